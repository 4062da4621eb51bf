"""Learning rates, tuned for each setting over a grid on seeds of their own, and judged on other seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lab.claims.claim import Asked
from lab.claims.evidence import Reading, Results
from lab.errors import Conflict
from lab.plan import Arm
from lab.spec import ActivationSpec, ExperimentSpec, Swept, with_value
from lab.statistics import Values

RATE = "training.learning_rate"
SCORE = Reading("loss_auc")
"""What is tuned for: the mean minibatch loss over all steps, low where training is fast and ends well."""

# Streams of random numbers are keyed by the seed: no network is judged that was tuned.
TUNING_SEED, JUDGING_SEED = 101, 202

Point = tuple[tuple[str, Swept], ...]
"""A point of the sweep without its learning rate."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a learning rate is tuned for."""

    activation: ActivationSpec
    point: Point


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best learning rate of its grid; at an edge of the grid, a better one may lie beyond."""

    rate: float
    at_edge: bool

    def __str__(self) -> str:
        return f"lr {self.rate:g}" + (" (the edge of its grid)" if self.at_edge else "")


def tuned(results: Results, *, score: Reading = SCORE) -> dict[Cell, Tuned]:
    """For each cell the rate with the lowest mean score, among those at which every network finished undiverged.

    Raises Conflict where a cell has no such rate.
    """
    scores: dict[Cell, dict[float, float | None]] = {}
    for arm in results.arms():
        scores.setdefault(_cell(arm), {})[arm.training.learning_rate] = _mean(
            results.values[score].get(arm.position, {})
        )
    return {cell: _best(cell, rates) for cell, rates in scores.items()}


def judging(template: ExperimentSpec, cells: Mapping[Cell, Tuned], *readings: Reading) -> dict[str, Asked]:
    """One experiment for each point and tuned rate, with the activations that share them; `template` has the rest."""
    shared: dict[tuple[Point, float], list[ActivationSpec]] = {}
    for cell, choice in cells.items():
        shared.setdefault((cell.point, choice.rate), []).append(cell.activation)
    found = {}
    for (point, rate), activations in shared.items():
        spec = replace(template, activations=tuple(activations), sweep=(), baseline=0)
        for path, value in (*point, (RATE, rate)):
            spec = with_value(spec, path, value)
        place = "".join(f"{path.rpartition('.')[2]} {value}, " for path, value in point)
        found[f"judging: {place}lr {rate:g}"] = Asked(spec, (SCORE, *readings))
    return found


def _cell(arm: Arm) -> Cell:
    return Cell(arm.activation, tuple((path, value) for path, value in arm.swept if path != RATE))


def _mean(values: Values) -> float | None:
    """None where one has no value."""
    known = [value for value in values.values() if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def _best(cell: Cell, rates: Mapping[float, float | None]) -> Tuned:
    usable = {rate: score for rate, score in rates.items() if score is not None}
    if not usable:
        where = ", ".join(f"{path} {value}" for path, value in cell.point)
        told = f"{cell.activation.label} at {where}" if where else cell.activation.label
        raise Conflict(f"No learning rate could be tuned for {told}: none finished all its networks.")
    best = min(usable, key=lambda rate: usable[rate])
    return Tuned(best, best in (min(rates), max(rates)))
