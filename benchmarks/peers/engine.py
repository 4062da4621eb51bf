"""The engine, as a worker runs it: the plan's stacks, in the order of the plan, without the database."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.job import Recorded, Trained
from benchmarks.workloads import planned
from lab.catalog.measurements import CURVES, MEASUREMENTS
from lab.plan import Stack
from lab.records import StackRecord
from lab.spec import ExperimentSpec
from worker import datasets
from worker.engine import StackTraining


def pieces(spec: ExperimentSpec) -> Sequence[Stack]:
    # A worker imports what its data set needs at its first stack.
    datasets.load(spec.dataset)
    return planned(spec).stacks


def train(stack: Stack, *, recording: bool, device: str) -> Trained:
    dataset = stack.shape.dataset
    training = StackTraining(
        stack,
        datasets.load(dataset),
        datasets.probe_indices(dataset, stack.probe_size),
        device=torch.device(device),
    )
    if not recording:
        training.advance_to(stack.recorded_steps[-1])
        return Trained({})
    records: list[StackRecord] = []
    for step in stack.recorded_steps:
        training.advance_to(step)
        records.append(training.record())
    training.results()
    return Trained(_recorded(records))


def _recorded(records: list[StackRecord]) -> Recorded:
    measurements = {name: np.stack([record.measurements[name] for record in records]) for name in MEASUREMENTS}
    return measurements | {name: np.stack([record.curves[name] for record in records]) for name in CURVES}
