"""How long work will take, from how long other work took on the same lab.

A stack is as long as its operations times the seconds that an operation took in the measured stacks most like it: those
nearest in operations and in operations a step, for a step of a small network is mostly the calling of its operations.
How far this goes wrong is measured, too: each measured stack is predicted from all the others.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST = 5
"""Measured stacks without which nothing is predicted."""
_NEAREST = 9
# Beyond this factor from anything measured, a prediction is a guess, and says so.
_FAR = 10.0
_LOW, _HIGH = 0.1, 0.9


@dataclass(frozen=True, slots=True)
class Load:
    """What decides how long a stack takes."""

    cost_flops: int
    steps: int


@dataclass(frozen=True, slots=True)
class Timed:
    """A stack that was trained, from its claim to its end."""

    load: Load
    seconds: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """`seconds` until `processes` training processes that have nothing else to do are through; `busy_s` adds up what
    each of them takes. Of the measured stacks, each predicted from the others, four in five took between
    `low / seconds` and `high / seconds` of what was predicted. None where nothing can be said; `note` says why, or what
    it is worth.
    """

    seconds: float | None
    low: float | None
    high: float | None
    busy_s: float | None
    processes: int
    measured: int
    note: str


def forecast(work: Sequence[Load], measured: Sequence[Timed], processes: int) -> Forecast:
    """Of stacks that are claimed in this order. Without a process that was seen, it is one's time."""
    if len(measured) < FEWEST:
        note = f"This lab has measured {len(measured)} finished stacks; a forecast takes {FEWEST}."
        return Forecast(None, None, None, None, processes, len(measured), note)
    known, rates = _points([each.load for each in measured]), np.array([_rate(each) for each in measured])
    asked = _points(work)
    distances = _distances(asked, known)
    seconds = _flops(work) * _nearest_rates(distances, rates)
    apart = _distances(known, known)
    np.fill_diagonal(apart, np.inf)
    low, high = np.quantile(rates / _nearest_rates(apart, rates), (_LOW, _HIGH))
    length = _length(seconds.tolist(), max(processes, 1))
    return Forecast(
        seconds=length,
        low=length * float(low),
        high=length * float(high),
        busy_s=float(seconds.sum()),
        processes=processes,
        measured=len(measured),
        note=_note(distances, processes),
    )


def _rate(timed: Timed) -> float:
    """Seconds an operation."""
    return timed.seconds / timed.load.cost_flops


def _flops(loads: Sequence[Load]) -> Array:
    return np.array([load.cost_flops for load in loads], dtype=np.float64)


def _points(loads: Sequence[Load]) -> Array:
    """Logarithms of operations and of operations a step: (n, 2)."""
    steps = np.array([load.steps for load in loads], dtype=np.float64)
    return np.log(np.stack([_flops(loads), _flops(loads) / steps], axis=-1))


def _distances(a: Array, b: Array) -> Array:
    """The larger of the two coordinates' differences: (n of a, n of b)."""
    distances: Array = np.abs(a[:, None] - b[None]).max(axis=-1)
    return distances


def _nearest_rates(distances: Array, rates: Array) -> Array:
    """For each row the median of the nearest measured rates."""
    nearest = np.argsort(distances, axis=1, kind="stable")[:, : min(_NEAREST, len(rates) - 1)]
    medians: Array = np.median(rates[nearest], axis=1)
    return medians


def _length(seconds: Sequence[float], processes: int) -> float:
    """Whoever is free takes the next."""
    ends = [0.0] * processes
    for each in seconds:
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)


def _note(distances: Array, processes: int) -> str:
    far = int((distances.min(axis=1) > np.log(_FAR)).sum())
    notes = [] if processes else ["No training process was seen lately: this is the time of one."]
    notes += [f"{far} stacks are more than {_FAR:g} times unlike any that was measured."] if far else []
    return " ".join(notes)
