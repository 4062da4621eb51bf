"""At which learning rates of a grid a network trains: how many decades they are, and which is the highest."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lab.claims.evidence import Reading, Results, each
from lab.claims.tuning import SCORE
from lab.spec import Swept
from lab.statistics import Values

TRAINS = math.log(10) / 2
"""A mean loss over all steps below which a network trains: half that of guessing among ten classes."""

STARTED = Reading("dead_fraction", "first")
"""What every network has that ran to its end, even one that diverged."""

Trained = Mapping[float, Values]
"""Learning rates in rising order; for each, 1 where the network trains and 0 where it does not."""


def trained(results: Results, activation: str, /, **swept: Swept) -> Trained:
    """Of the arms at that point of the sweep. A network that diverges does not train; one that failed has no value."""
    rates = sorted({arm.training.learning_rate for arm in results.arms()})
    return {rate: _trained(results, activation, swept | {"learning_rate": rate}) for rate in rates}


def decades(trained: Trained) -> dict[int, float | None]:
    """How far the rates at which a network trains reach: as many as they are, times the distance of two."""
    apart = math.log10(max(trained) / min(trained)) / (len(trained) - 1)
    return each(lambda *those: apart * math.fsum(those), *trained.values())


def highest(trained: Trained) -> dict[int, float | None]:
    """log10 of the highest rate at which a network trains; None where it does at none."""
    return each(
        lambda *those: max(
            (math.log10(rate) for rate, trains in zip(trained, those, strict=True) if trains), default=None
        ),
        *trained.values(),
    )


def _trained(results: Results, activation: str, where: Mapping[str, Swept]) -> dict[int, float | None]:
    score = results.of(SCORE, activation, **where)
    return {
        replicate: None if started is None else float((loss := score.get(replicate)) is not None and loss < TRAINS)
        for replicate, started in results.of(STARTED, activation, **where).items()
    }
