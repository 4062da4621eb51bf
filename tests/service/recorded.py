"""Experiments with hand-made results: recorded as a worker would, with numbers that a test can check."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict

import numpy as np

from lab.catalog.measurements import CURVES, GEOMETRY, MEASUREMENTS
from lab.limits import Limits
from lab.plan import Run, Stack, arms_of, plan
from lab.records import BoolArray, PredictedValue, RunResult, StackRecord
from lab.spec import ExperimentSpec
from store import leases, queries, results, submissions
from store.database import Database
from store.models import Prediction

Accuracy = Callable[[Run], float]

DEAD_START, DEAD_END = 0.125, 0.25
FIRST_UNIT, SECOND_UNIT = 2, 5
"""In every layer the first is born dead and back at the last step, where the second dies."""
GRADIENT_RATIO = 0.25
"""Of squared norms: the norm halves at each layer towards the input."""


def submitted(database: Database, spec: ExperimentSpec) -> str:
    with database.writing() as session:
        return submissions.submit(session, spec, plan(spec, Limits())).id


def trained(
    database: Database,
    spec: ExperimentSpec,
    *,
    accuracy: Accuracy = lambda run: 0.5 + 0.1 * run.arm.position + 0.01 * run.replicate,
    diverged: Mapping[tuple[int, int], int] | None = None,
) -> str:
    """An experiment that has succeeded. `diverged` maps (arm, replicate) to the step at which the run diverged."""
    experiment_id = submitted(database, spec)
    train_all(database, accuracy=accuracy, diverged=diverged)
    return experiment_id


def train_all(
    database: Database,
    *,
    accuracy: Accuracy = lambda run: 0.5 + 0.1 * run.arm.position + 0.01 * run.replicate,
    diverged: Mapping[tuple[int, int], int] | None = None,
) -> None:
    """Everything that waits succeeds."""
    while True:
        with database.writing() as session:
            claim = leases.claim(session, worker="test", lease_s=60)
            if claim is None:
                return
            spec = ExperimentSpec.from_json(submissions.get(session, claim.experiment_id).spec)
            arms = arms_of(spec)
            runs = tuple(Run(arms[arm], replicate) for arm, replicate in results.members(session, claim.stack_id))
        stack = Stack(claim.position, runs, spec.seed, spec.recording)
        ends = [(diverged or {}).get((run.arm.position, run.replicate), -1) for run in stack.runs]
        with database.writing() as session:
            run_ids = results.begin(session, claim)
            for step in stack.recorded_steps:
                results.record(session, claim, _record(stack, step, accuracy, ends), run_ids)
        with database.writing() as session:
            outcomes = [_result(stack, run, accuracy, end) for run, end in zip(stack.runs, ends, strict=True)]
            leases.finish(session, claim, outcomes, leases.RanOn("cpu", 1, "2.13.0"))


def failed(database: Database, spec: ExperimentSpec) -> str:
    """An experiment whose first stack has failed."""
    submitted(database, spec)
    return failed_one(database)


def failed_one(database: Database) -> str:
    """The experiment whose stack comes next: it fails."""
    with database.writing() as session:
        claim = leases.claim(session, worker="test", lease_s=60)
        assert claim is not None
        leases.fail(session, claim, error_class="out_of_memory", error="The stack does not fit into the memory.")
    return claim.experiment_id


def predicted(database: Database, experiment_id: str, *predictions: PredictedValue, arm: int = 0) -> None:
    """Keeps predictions as the worker would have that trained the arm's first run."""
    with database.writing() as session:
        arm_id = queries.arms(session, experiment_id)[arm].id
        session.add_all(Prediction(arm_id=arm_id, **asdict(prediction)) for prediction in predictions)


def _record(stack: Stack, step: int, accuracy: Accuracy, ends: list[int]) -> StackRecord:
    n_runs, depth = len(stack.runs), stack.shape.network.depth
    last = step == stack.recorded_steps[-1]
    layers = np.arange(1, depth + 1)
    made = {
        "dead_fraction": np.full((n_runs, depth), DEAD_END if last else DEAD_START),
        "delta_norm": np.tile(GRADIENT_RATIO ** ((depth - layers) / 2), (n_runs, 1)),
        "update_ratio": np.full((n_runs, depth), math.nan if step == 0 else 0.01),
        "effective_rank": np.full((n_runs, depth), 3.0 if last or step == 0 else math.nan),
    }
    made |= dict.fromkeys(GEOMETRY, np.full((n_runs, depth), math.nan))
    other = np.tile(0.5 + layers, (n_runs, 1))
    scores = np.array([accuracy(run) for run in stack.runs])
    curves = {name: np.full(n_runs, 1.0 + step) for name in CURVES} | {"test_accuracy": scores}
    if step == 0:
        curves["train_loss"] = np.full(n_runs, math.nan)
    if stack.shape.data.task == "regression":
        curves["test_accuracy"] = np.full(n_runs, math.nan)
    return StackRecord(
        step=step,
        measurements={name: made.get(name, other) for name in MEASUREMENTS},
        curves=curves,
        diverged_at=np.array([end if 0 <= end <= step else -1 for end in ends]),
        died=_changed(stack, FIRST_UNIT if step == 0 else SECOND_UNIT if last else None),
        revived=_changed(stack, FIRST_UNIT if last else None),
    )


def _changed(stack: Stack, unit: int | None) -> BoolArray:
    """That unit of every layer of every run."""
    changed = np.zeros((len(stack.runs), stack.shape.network.depth, stack.shape.network.width), dtype=np.bool_)
    if unit is not None:
        changed[:, :, unit] = True
    return changed


def _result(stack: Stack, run: Run, accuracy: Accuracy, end: int) -> RunResult:
    depth = stack.shape.network.depth
    regression = stack.shape.data.task == "regression"
    return RunResult(
        diverged_at=end if end >= 0 else None,
        train_loss=1.0,
        probe_loss=1.0,
        test_loss=2.0 - accuracy(run),
        test_accuracy=None if regression else accuracy(run),
        loss_auc=1.5,
        dead_fraction_start=(DEAD_START,) * depth,
        dead_fraction_end=(DEAD_END,) * depth,
        units_died=(1,) * depth,
        units_revived=(0,) * depth,
    )
