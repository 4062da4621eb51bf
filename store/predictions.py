"""Theory at step 0 as it is kept: an arm's predictions, and what its networks show of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.catalog.predictions import BREAKPOINTS, GRADIENT_RATIO
from lab.records import PredictedValue
from store import bulk
from store.leases import Claim, hold
from store.metrics import gradient_ratio
from store.models import CANCELLED, SUCCEEDED, Arm, Measurement, Prediction, Run
from store.transitions import BLIND

Key = tuple[int | None, str]
"""Layer, None for the network as a whole, and quantity."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the networks of one arm show: its planned replicates but for cancelled ones, and the values of those that
    have succeeded.
    """

    replicates: list[int] = field(default_factory=list)
    values: dict[Key, dict[int, float | None]] = field(default_factory=dict)

    def of(self, layer: int | None, quantity: str) -> dict[int, float | None]:
        """Every planned replicate to its value."""
        known = self.values.get((layer, quantity), {})
        return {replicate: known.get(replicate) for replicate in self.replicates}


def unpredicted(session: Session, claim: Claim) -> list[int]:
    """Positions of the arms whose first run is in the claimed stack, and that have no predictions yet.

    So each arm is predicted by one claim only, however many stacks its runs are in.
    """
    first = sa.select(Arm.position).join(Run, Run.arm_id == Arm.id)
    first = first.where(Run.stack_id == claim.stack_id, Run.replicate == 0)
    kept = sa.exists().where(Prediction.arm_id == Arm.id)
    return list(session.scalars(first.where(~kept).order_by(Arm.position)))


def record(session: Session, claim: Claim, predictions: Mapping[int, Sequence[PredictedValue]]) -> None:
    """Writes the predictions of arms, by their positions, in the place of what there is of them: it does no harm the
    second time. To be called before the stack's first update. Raises LeaseLost.
    """
    hold(session, claim)
    of_experiment = sa.select(Arm.position, Arm.id).where(
        Arm.experiment_id == claim.experiment_id, Arm.position.in_(list(predictions))
    )
    ids: dict[int, int] = dict(session.execute(of_experiment).all())
    session.execute(sa.delete(Prediction).where(Prediction.arm_id.in_(ids.values())), execution_options=BLIND)
    kept = [(ids[arm], value) for arm, values in predictions.items() for value in values]
    numbers = {
        name: np.array([getattr(value, name) for _, value in kept], dtype=np.float64)
        for name in ("predicted", "low", "high")
    }
    columns: dict[str, bulk.Column] = {
        "arm_id": np.array([arm_id for arm_id, _ in kept], dtype=np.int64),
        "layer": np.array([value.layer for _, value in kept], dtype=np.int64),
        "quantity": [value.quantity for _, value in kept],
        **numbers,
        "reason": [value.reason or None for _, value in kept],
    }
    bulk.insert(session, Prediction.metadata.tables["predictions"], columns)


def predictions(
    session: Session, experiment_id: str, arms: Collection[int], *, quantity: str | None = None
) -> dict[int, list[PredictedValue]]:
    """Of each arm in `arms`, by position, in the order of layers; empty where none is on record."""
    query = sa.select(Arm.position, Prediction).join(Arm, Arm.id == Prediction.arm_id)
    query = query.where(Arm.experiment_id == experiment_id, Arm.position.in_(arms))
    if quantity is not None:
        query = query.where(Prediction.quantity == quantity)
    found: dict[int, list[PredictedValue]] = {arm: [] for arm in arms}
    for arm, row in session.execute(query.order_by(Arm.position, Prediction.layer, Prediction.quantity)):
        value = PredictedValue(row.layer, row.quantity, row.predicted, row.low, row.high, row.reason or "")
        found[arm].append(value)
    return found


def measured(session: Session, experiment_id: str, arms: Collection[int]) -> dict[int, Measured]:
    """What the networks of each arm in `arms` show at step 0 of everything that is predicted.

    None where a run has not succeeded, and where its value is undefined; those that were cancelled are left out. A run
    that diverged later counts: it had not at step 0.
    """
    planned = sa.select(Arm.position, Run.replicate).join(Arm, Arm.id == Run.arm_id)
    planned = planned.where(Run.experiment_id == experiment_id, Arm.position.in_(arms), Run.state != CANCELLED)
    found: dict[int, Measured] = {arm: Measured() for arm in arms}
    for arm, replicate in session.execute(planned.order_by(Arm.position, Run.replicate)):
        found[arm].replicates.append(replicate)
    rows = session.execute(_at_the_start(experiment_id, arms).execution_options(yield_per=5000))
    for (arm, replicate), layers in groupby(rows, key=attrgetter("position", "replicate")):
        for key, value in _quantities(list(layers)):
            found[arm].values.setdefault(key, {})[replicate] = value
    return found


def _at_the_start(experiment_id: str, arms: Collection[int]) -> sa.Select[*tuple[Any, ...]]:
    """A row a layer of each network that has succeeded, those of one network together and in order."""
    query = sa.select(
        Arm.position,
        Run.replicate,
        Measurement.layer,
        Measurement.preactivation_mean,
        Measurement.preactivation_std,
        Measurement.activation_mean,
        Measurement.dead_fraction,
        Measurement.delta_norm,
        Measurement.breakpoints,
    )
    query = query.join(Run, Run.id == Measurement.run_id).join(Arm, Arm.id == Run.arm_id)
    query = query.where(Run.experiment_id == experiment_id, Run.state == SUCCEEDED, Measurement.step == 0)
    return query.where(Arm.position.in_(arms)).order_by(Arm.position, Run.replicate, Measurement.layer)


def _quantities(layers: Sequence[Any]) -> Iterator[tuple[Key, float | None]]:
    """Of one network, from its rows in the order of layers."""
    for row in layers:
        yield (row.layer, "preactivation_variance"), _mean_square(row.preactivation_mean, row.preactivation_std)
        yield (row.layer, "activation_mean"), row.activation_mean
        yield (row.layer, "dead_fraction"), row.dead_fraction
        yield (row.layer, BREAKPOINTS), row.breakpoints
    for row, above in pairwise(layers):
        yield (row.layer, GRADIENT_RATIO), gradient_ratio(row.delta_norm, above.delta_norm, 2)
    yield (None, GRADIENT_RATIO), gradient_ratio(layers[0].delta_norm, layers[-1].delta_norm, len(layers))


def _mean_square(mean: float | None, std: float | None) -> float | None:
    if mean is None or std is None:
        return None
    # Products, for a power that overflows raises.
    square = mean * mean + std * std
    return square if math.isfinite(square) else None
