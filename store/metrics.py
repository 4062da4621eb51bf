"""One number per run, for comparing arms."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from lab.catalog.measurements import CURVES, DERIVED
from store.database import numbers
from store.models import CANCELLED, FAILED, SUCCEEDED, Arm, Measurement, Run, Stack, UnitChange
from store.queries import stretch

GRADIENT_RATIO, REVIVED_SHARE = "gradient_ratio", "revived_share"
At = Literal["first", "last", "auc"]
RUN_METRICS = (*CURVES, *(name for name in DERIVED if name not in (GRADIENT_RATIO, REVIVED_SHARE)))
"""Metrics that a run has one of, whatever the layer and the step."""
WITHOUT_A_STEP = (*RUN_METRICS, REVIVED_SHARE)

_LARGEST_EXPONENT = math.log(sys.float_info.max)


@dataclass(frozen=True, slots=True)
class MetricValues:
    """A metric over an experiment: arm position to replicate to value. Every arm has an entry in each mapping.

    `values` holds every planned replicate; None where the run has not succeeded, where it diverged, or where its value
    is undefined. `cancelled` has the replicates that were; `failed` and `diverged` count runs, and a diverged one is
    one of those that succeeded.
    """

    values: Mapping[int, Mapping[int, float | None]]
    failed: Mapping[int, int]
    cancelled: Mapping[int, Set[int]]
    diverged: Mapping[int, int]

    def without_cancelled(self, arm: int) -> dict[int, float | None]:
        """The values of one arm's replicates that were not cancelled."""
        gone = self.cancelled[arm]
        return {replicate: value for replicate, value in self.values[arm].items() if replicate not in gone}


def metric_values(
    session: Session, experiment_id: str, metric: str, *, layer: int | None = None, at: At = "last"
) -> MetricValues:
    """`metric` is one of RUN_METRICS, a name of the measurements, or another of the derived numbers. `layer` None is
    the mean over layers, or all their units; `auc` the mean over steps by trapezoids, over those where the metric is
    defined.
    """
    if metric in RUN_METRICS:
        found = _run_level(session, experiment_id, metric)
    elif metric == REVIVED_SHARE:
        found = _revived_shares(session, experiment_id, layer)
    else:
        found = _by_step(session, experiment_id, metric, layer, at)
    values: dict[int, dict[int, float | None]] = {}
    failed, diverged = Counter[int](), Counter[int]()
    cancelled: dict[int, set[int]] = {}
    runs = sa.select(Arm.position, Run.id, Run.replicate, Run.state, Run.diverged_at).join(Arm, Arm.id == Run.arm_id)
    planned = runs.where(Run.experiment_id == experiment_id).order_by(Arm.position, Run.replicate)
    for arm, run_id, replicate, state, diverged_at in session.execute(planned):
        failed[arm] += state == FAILED
        cancelled.setdefault(arm, set())
        if state == CANCELLED:
            cancelled[arm].add(replicate)
        diverged[arm] += state == SUCCEEDED and diverged_at is not None
        # What a run shows before it diverges is its own only at the first step; later numbers depend on when it broke.
        comparable = diverged_at is None or (at == "first" and metric not in WITHOUT_A_STEP)
        counts = state == SUCCEEDED and comparable
        values.setdefault(arm, {})[replicate] = found.get(run_id) if counts else None
    return MetricValues(values, failed, cancelled, diverged)


def gradient_ratio(first: float | None, last: float | None, n_layers: int) -> float | None:
    """The factor by which the squared norm changes per layer from the last of `n_layers` to the first.

    Undefined with one layer, and where a gradient is zero. By logarithms, so that the squares of tiny norms do not
    vanish.
    """
    if not first or not last or n_layers < 2:
        return None
    exponent = 2 * (math.log(first) - math.log(last)) / (n_layers - 1)
    return math.exp(exponent) if exponent < _LARGEST_EXPONENT else None


def _run_level(session: Session, experiment_id: str, metric: str) -> dict[int, float | None]:
    query = sa.select(Run.id, getattr(Run, metric)).where(Run.experiment_id == experiment_id)
    return dict(session.execute(query).all())


def _revived_shares(session: Session, experiment_id: str, layer: int | None) -> dict[int, float | None]:
    """Run id to value; runs in which no unit was dead are missing."""
    query = sa.select(UnitChange.run_id, UnitChange.layer, UnitChange.died, UnitChange.revived)
    query = query.join(Run, Run.id == UnitChange.run_id)
    query = query.where(Run.experiment_id == experiment_id, Run.state == SUCCEEDED)
    if layer is not None:
        query = query.where(UnitChange.layer == layer)
    rows = session.execute(query.order_by(UnitChange.run_id).execution_options(yield_per=1000))
    shares: dict[int, float | None] = {}
    for run_id, changes in groupby(rows, key=itemgetter(0)):
        dead, revived = set[tuple[int, int]](), set[tuple[int, int]]()
        for _, i, died, back in changes:
            dead |= {(i, unit) for unit in died}
            revived |= {(i, unit) for unit in back}
        shares[run_id] = len(revived) / len(dead)
    return shares


def _by_step(session: Session, experiment_id: str, metric: str, layer: int | None, at: At) -> dict[int, float | None]:
    """Run id to value; runs that recorded nothing there are missing."""
    query = _gradient_ends(experiment_id) if metric == GRADIENT_RATIO else _over_layers(experiment_id, metric, layer)
    if at == "first":
        query = query.where(Measurement.step == 0)
    elif at == "last":
        query = query.join(Stack, Stack.id == Run.stack_id).where(Measurement.step == Stack.steps)
    query = query.where(stretch(session, Measurement.__table__.c.run_id, Run.experiment_id == experiment_id))
    if at == "auc" and metric != GRADIENT_RATIO:
        return dict(numbers(session, _means_over_steps(query)))
    rows = numbers(session, query.order_by(Measurement.run_id, Measurement.step))
    values = {}
    for run_id, points in groupby(rows, key=itemgetter(0)):
        read = ((step, gradient_ratio(*rest) if metric == GRADIENT_RATIO else rest[0]) for _, step, *rest in points)
        values[run_id] = _mean_over_steps([(step, value) for step, value in read if value is not None])
    return values


def _over_layers(experiment_id: str, metric: str, layer: int | None) -> sa.Select[*tuple[Any, ...]]:
    """run_id, step, value: at one layer, or the mean over layers where it is defined in all of them."""
    value = Measurement.__table__.c[metric]
    if layer is not None:
        return _recorded(experiment_id).add_columns(value.label("value")).where(Measurement.layer == layer)
    mean = sa.case((sa.func.count(value) == sa.func.count(), sa.func.avg(value)))
    return _recorded(experiment_id).add_columns(mean.label("value")).group_by(Measurement.run_id, Measurement.step)


def _means_over_steps(points: sa.Select[*tuple[Any, ...]]) -> sa.Select[int, float]:
    """As `_mean_over_steps` of each run, by the database: run_id, value."""
    point = points.subquery("point").c

    def before(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.func.lag(column).over(partition_by=point.run_id, order_by=point.step)

    area = (point.step - before(point.step)) * (before(point.value) + point.value) / 2
    pieces = sa.select(point.run_id, point.step, point.value, area.label("area")).where(point.value.is_not(None))
    piece = pieces.subquery("piece").c
    length = sa.func.max(piece.step) - sa.func.min(piece.step)
    mean = sa.case((length > 0, sa.func.sum(piece.area) / length), else_=sa.func.max(piece.value))
    return sa.select(piece.run_id, sa.type_coerce(mean, sa.Double())).group_by(piece.run_id)


def _gradient_ends(experiment_id: str) -> sa.Select[*tuple[Any, ...]]:
    """run_id, step, delta_norm of the first and of the last layer, and the number of layers."""
    last, every = aliased(Measurement), aliased(Measurement)
    there = (every.run_id == Measurement.run_id, every.step == Measurement.step)
    n_layers = sa.select(sa.func.max(every.layer)).where(*there).correlate(Measurement).scalar_subquery()
    at_end = sa.and_(last.run_id == Measurement.run_id, last.step == Measurement.step, last.layer == n_layers)
    query = _recorded(experiment_id).join(last, at_end).where(Measurement.layer == 1)
    return query.add_columns(Measurement.delta_norm, last.delta_norm, last.layer)


def _recorded(experiment_id: str) -> sa.Select[*tuple[Any, ...]]:
    """run_id and step of what succeeded runs recorded."""
    query = sa.select(Measurement.run_id, Measurement.step).join(Run, Run.id == Measurement.run_id)
    return query.where(Run.experiment_id == experiment_id, Run.state == SUCCEEDED)


def _mean_over_steps(points: Sequence[tuple[int, float]]) -> float | None:
    """By trapezoids; the value itself where there is one point only."""
    if len(points) < 2:
        return points[0][1] if points else None
    area = math.fsum((b - a) * (u + v) / 2 for (a, u), (b, v) in pairwise(points))
    return area / (points[-1][0] - points[0][0])
