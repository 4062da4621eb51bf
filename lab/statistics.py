"""What follows from numbers: means with intervals, and paired comparisons with a baseline.

The unit of replication is a network (one seed). Arms share their replicates' seeds, so they are compared in pairs;
intervals are Student's t. `scipy.special` does the arithmetic (`scipy.stats` would cost the API process 50 MB).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from lab.phrases import labels

MOST_MISSING = 0.1
"""Share of pairs that may lack a member before a comparison says nothing."""

FEWEST = 5
"""Networks, or pairs of them, that a verdict takes. Of fewer nothing is called different and nothing equal: four agree
by chance too often.
"""

ACROSS = "the interval reaches across the end of the band"
_TOO_LARGE = "too large for a mean and an interval"
_LARGEST_EXPONENT = math.log(np.finfo(np.float64).max)
_EPSILON = float(np.finfo(np.float64).eps)

Values = Mapping[int, float | None]
"""Every planned replicate to its value; None where its run has not succeeded, diverged, or its value is undefined."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over n networks, its standard deviation (ddof 1) and its interval. None where n does not allow it."""

    n: int
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """An arm minus its baseline, over the `n` replicates at which both have a value. `p_holm` is `p` adjusted over all
    arms.

    `missing` counts the other replicates, but for those at which a cancel alone is why: `note` names these.
    """

    n: int
    missing: int
    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ArmComparison:
    estimate: Estimate
    difference: Difference | None
    """None for a baseline itself."""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether a mean over networks is 0 within a margin; `note` says why that is not known."""

    n: int
    missing: int
    outcome: Literal["agrees", "disagrees", "inconclusive"]
    note: str = ""


def estimate(values: Iterable[float], *, level: float = 0.95, rounding: float = 0.0) -> Estimate:
    """The mean with its t interval at `level`. Values that differ by no more than `rounding` are the same value."""
    sample = np.asarray(list(values), dtype=np.float64)
    n = len(sample)
    if n == 0:
        return Estimate(0, None, None, None, None, "no finished run has a value")
    if not np.isfinite(sample).all():
        return Estimate(n, None, None, None, None, _TOO_LARGE)
    # Sums of squares overflow long before the values do.
    scale = float(np.abs(sample).max()) or 1.0
    mean = scale * float((sample / scale).mean())
    if n == 1 and math.isfinite(mean):
        return Estimate(1, mean, None, None, None, "one network has no spread")
    sd = scale * float((sample / scale).std(ddof=1)) if n > 1 else 0.0
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * sd / math.sqrt(n)
    if not math.isfinite(abs(mean) + half):
        return Estimate(n, None, None, None, None, _TOO_LARGE)
    if np.ptp(sample) <= rounding:
        return Estimate(n, mean, 0.0, mean, mean, "zero variance: all networks have the same value")
    return Estimate(n, mean, sd, mean - half, mean + half)


def geometric(values: Iterable[float], *, level: float = 0.95) -> Estimate:
    """The geometric mean of positive values, with the interval that their logarithms have. It has no `sd`."""
    logarithm = estimate((math.log(value) for value in values), level=level)
    mean, low, high = logarithm.mean, logarithm.low, logarithm.high
    if max(mean or 0.0, high or 0.0) > _LARGEST_EXPONENT:
        return Estimate(logarithm.n, None, None, None, None, _TOO_LARGE)
    mean, low, high = (None if each is None else math.exp(each) for each in (mean, low, high))
    return replace(logarithm, mean=mean, low=low, high=high, sd=None)


def equivalence(differences: Values, *, margin: float, level: float = 0.9) -> Equivalence:
    """Whether differences have mean 0 within `margin`: two one-sided t tests (Schuirmann 1987), which agree both at
    p = (1 - level)/2 where the interval at `level` lies within the margin. Wholly beyond it, they disagree.
    """
    known = [difference for difference in differences.values() if difference is not None]
    n, missing = len(known), len(differences) - len(known)
    found = estimate(known, level=level)
    if missing > MOST_MISSING * len(differences):
        return Equivalence(n, missing, "inconclusive", f"{missing} of {len(differences)} networks have no value")
    if n < FEWEST:
        return Equivalence(n, missing, "inconclusive", f"fewer than {FEWEST} networks")
    if found.low is None or found.high is None:
        return Equivalence(n, missing, "inconclusive", found.note)
    if -margin <= found.low and found.high <= margin:
        return Equivalence(n, missing, "agrees")
    if found.high < -margin or found.low > margin:
        return Equivalence(n, missing, "disagrees")
    return Equivalence(n, missing, "inconclusive", ACROSS)


def wilson(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    """The share of n networks that show something, with Wilson's score interval (1927): within [0, 1], and of some
    width where none or all show it. `sd` is None: a share says it all.
    """
    if n == 0:
        return Estimate(0, None, None, None, None, "no finished run has a value")
    share, z = successes / n, float(ndtri(0.5 + level / 2))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(n, share, None, max(0.0, middle - half), min(1.0, middle + half))


def compare(
    values: Mapping[int, Values],
    baseline_of: Mapping[int, int],
    *,
    cancelled: Mapping[int, Collection[int]] = MappingProxyType({}),
    level: float = 0.95,
) -> dict[int, ArmComparison]:
    """Every arm's estimate, and its paired difference from its baseline, p adjusted by Holm over all of them.

    `values` maps arm to replicate to value; `baseline_of` maps each arm to the arm it is compared with; `cancelled`
    maps arm to the replicates that were. A pair that lacks a member for that reason alone was not to be: it is left
    out, and named. One whose other member failed, diverged or is undefined stays missing, lest cancelling hide it.
    """
    differences = {
        arm: _difference(
            values.get(arm, {}),
            values.get(baseline, {}),
            cancelled=(cancelled.get(arm, ()), cancelled.get(baseline, ())),
            level=level,
        )
        for arm, baseline in baseline_of.items()
        if arm != baseline
    }
    adjusted = holm({arm: difference.p for arm, difference in differences.items() if difference.p is not None})
    return {
        arm: ArmComparison(
            estimate((value for value in values.get(arm, {}).values() if value is not None), level=level),
            replace(differences[arm], p_holm=adjusted.get(arm)) if arm in differences else None,
        )
        for arm in baseline_of
    }


def adjustment(compared: Mapping[str, ArmComparison], *, level: float = 0.95) -> str:
    """What a reader must know who holds intervals of differences beside p, by the arms' names; empty where one
    difference or none has a p.
    """
    tested = {
        name: found.difference
        for name, found in compared.items()
        if found.difference is not None and found.difference.p_holm is not None
    }
    if len(tested) < 2:
        return ""
    said = (
        f"Each interval is at {100 * level:g} %, unadjusted; p is adjusted (Holm) over the {len(tested)} differences, "
        f"so an interval may exclude 0 where p is not below {1 - level:.2g}"
    )
    such = [name for name, difference in tested.items() if _excludes_zero_alone(difference, level)]
    return f"{said}: here for {labels(such)}." if such else f"{said}; here p is below it wherever one does."


def _excludes_zero_alone(difference: Difference, level: float) -> bool:
    low, high, p = difference.low, difference.high, difference.p_holm
    return low is not None and high is not None and p is not None and not low <= 0 <= high and p >= 1 - level


def holm(p_values: Mapping[int, float]) -> dict[int, float]:
    """Holm's step-down adjustment (1979): the i-th smallest of k, from 0, times (k - i); never falling, at most 1."""
    adjusted: dict[int, float] = {}
    highest = 0.0
    for i, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        highest = max(highest, min(1.0, (len(p_values) - i) * p_values[key]))
        adjusted[key] = highest
    return adjusted


def spans(numbers: Iterable[int]) -> str:
    """`3, 5 to 9`: whole numbers in words, neighbours together."""
    ends: list[list[int]] = []
    for number in sorted(numbers):
        if ends and number == ends[-1][1] + 1:
            ends[-1][1] = number
        else:
            ends.append([number, number])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ends)


def _difference(
    arm: Values, baseline: Values, *, cancelled: tuple[Collection[int], Collection[int]], level: float
) -> Difference:
    replicates = arm.keys() | baseline.keys()
    left_out = {
        replicate
        for replicate in replicates & {*cancelled[0], *cancelled[1]}
        if all(
            replicate in those or member.get(replicate) is not None
            for member, those in zip((arm, baseline), cancelled, strict=True)
        )
    }
    found = _paired(arm, baseline, replicates - left_out, level=level)
    if not left_out:
        return found
    words = "replicate {} was" if len(left_out) == 1 else "replicates {} were"
    note = f"{words.format(spans(left_out))} cancelled and {'does' if len(left_out) == 1 else 'do'} not count"
    return replace(found, note="; ".join(filter(None, (found.note, note))))


def _paired(arm: Values, baseline: Values, replicates: Collection[int], *, level: float) -> Difference:
    pairs = [
        (a, b)
        for replicate in replicates
        if (a := arm.get(replicate)) is not None and (b := baseline.get(replicate)) is not None
    ]
    n, missing = len(pairs), len(replicates) - len(pairs)
    # Equal differences of decimal fractions differ in their last bits: that is no spread.
    rounding = 8 * _EPSILON * max((max(abs(a), abs(b)) for a, b in pairs), default=0.0)
    spread = estimate([a - b for a, b in pairs], level=level, rounding=rounding)
    if replicates and missing > MOST_MISSING * len(replicates):
        note = f"{missing} of {len(replicates)} pairs lack a member (not finished, diverged or undefined): inconclusive"
        return Difference(n, missing, spread.mean, None, None, None, None, note)
    if spread.sd is None or spread.mean is None:
        note = "fewer than two pairs" if n < 2 else spread.note
        return Difference(n, missing, spread.mean, None, None, None, None, note)
    if spread.sd == 0:
        return Difference(
            n,
            missing,
            spread.mean,
            spread.low,
            spread.high,
            None,
            None,
            "zero variance: every pair differs by the same",
        )
    t = spread.mean / (spread.sd / math.sqrt(n))
    p = 2 * float(stdtr(n - 1, -abs(t)))
    return Difference(n, missing, spread.mean, spread.low, spread.high, p, None)
