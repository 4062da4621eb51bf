"""Tensor programs that train and measure a stack of networks. No I/O, no SQL, no global seed, no choice of device."""

from worker.engine.loop import StackTraining

__all__ = ["StackTraining"]
