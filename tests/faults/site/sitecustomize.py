"""What Python runs at the start of every program of a lab under test: it counts the steps that are trained, and shifts
the clock, where the environment asks for it. The programs themselves are the ones that run everywhere.
"""

from __future__ import annotations

import datetime
import os
import sys
import time
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_LOOP = "worker.engine.loop"


class _CountingLoop:
    """Loads the training loop so that each piece of training is written down before it is done."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        spec = PathFinder.find_spec(name, path) if name == _LOOP else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_count(module: ModuleType) -> None:
            execute(module)
            self._count(module.StackTraining)

        spec.loader.exec_module = execute_and_count  # type: ignore[method-assign]  # this one loader, not its class
        return spec

    def _count(self, training: Any) -> None:
        advance_to = training.advance_to

        def counted(this: Any, step: int) -> None:
            log = os.open(f"{self._folder}/{os.getpid()}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(log, f"{max(0, step - this.step)}\n".encode())
            os.close(log)
            advance_to(this, step)

        training.advance_to = counted


def _shift_clock(by_s: float) -> None:
    """What this program takes for the time of day is wrong by so much; clocks that only count on are right."""
    right, right_ns = time.time, time.time_ns

    class Shifted(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Shifted:
            return cls.fromtimestamp(time.time(), tz)

        @classmethod
        def utcnow(cls) -> Shifted:
            return cls.now(datetime.UTC).replace(tzinfo=None)

    time.time = lambda: right() + by_s
    time.time_ns = lambda: right_ns() + int(by_s * 1e9)
    datetime.datetime = Shifted  # type: ignore[misc]  # that is the point


if folder := os.environ.get("FAULTS_STEPS"):
    sys.meta_path.insert(0, _CountingLoop(folder))
if shift := os.environ.get("FAULTS_CLOCK_S"):
    _shift_clock(float(shift))
