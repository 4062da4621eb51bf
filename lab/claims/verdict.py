"""The rule by which numbers become verdicts; the only place that knows it.

A part's effect has a smallest size of interest (SESOI). A part that claims more than that is supported where the
interval lies wholly above it, refuted where it lies wholly below, and else inconclusive: the further down an interval
lies, the worse for the claim, so an effect that is none or the other way round refutes it, and one need not tell which.
Always inconclusive are fewer than five networks, and more than 10 % of the planned ones missing. A claim of k parts
uses intervals at level 1 - 0.05/k, so that verdict and interval never disagree. A part that claims equality is an
equivalence test (Schuirmann 1987): supported within plus or minus the SESOI, refuted wholly beyond either end; its two
one-sided tests at 0.05/k make an interval of level 1 - 0.1/k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from lab.claims.claim import Claim, Direction, Effort, Part, Sample
from lab.claims.evidence import Evidence
from lab.statistics import FEWEST, MOST_MISSING, Estimate, estimate, wilson

EXACT = "computed, not sampled"
_ALPHA = 0.05


class Verdict(Enum):
    """`NOT_RUN` is that of a part alone, whose experiments have not been run to their end."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not run"


class Standing(Enum):
    """Of a claim as it is commonly said."""

    HOLDS = "holds"
    IN_PART = "holds in part"
    FAILS = "does not hold"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Judged:
    """One sample with its numbers. `missing` counts its values that are None; `reason` says why a verdict is
    inconclusive, or what the interval cannot show.
    """

    sample: Sample
    estimate: Estimate
    missing: int
    sesoi: float
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JudgedPart:
    """A part with its verdict. `level` is that of its intervals."""

    part: Part
    level: float
    verdict: Verdict
    numbers: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """Every part of a claim, judged on the evidence of one round of its experiments, or on none."""

    claim: Claim
    effort: Effort | None
    parts: tuple[JudgedPart, ...]


def judge(claim: Claim, evidence: Evidence | None, effort: Effort | None = None) -> JudgedClaim:
    """Judges `claim`. Without evidence every part is `NOT_RUN`."""
    return JudgedClaim(claim, effort, tuple(_judge_part(part, evidence, len(claim.parts)) for part in claim.parts))


def level_of(direction: Direction, n_parts: int) -> float:
    return 1 - (2 if direction == "within" else 1) * _ALPHA / n_parts


def judge_sample(sample: Sample, *, direction: Direction, sesoi: float, level: float) -> Judged:
    """What one effect says."""
    sesoi = sesoi if sample.sesoi is None else sample.sesoi
    known = [value for value in sample.values.values() if value is not None]
    missing = len(sample.values) - len(known)
    spread = _spread(sample, known, level)
    reason = "" if sample.exact else _says_nothing(len(known), missing)
    if reason or spread.low is None or spread.high is None:
        return Judged(sample, spread, missing, sesoi, Verdict.INCONCLUSIVE, reason or spread.note)
    verdict = _decide(spread.low, spread.high, direction, sesoi)
    undecided = "the interval reaches across the smallest effect of interest"
    reason = undecided if verdict is Verdict.INCONCLUSIVE else _told(spread, known, sample)
    return Judged(sample, spread, missing, sesoi, verdict, reason)


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Of a part: supported where every sample supports it, refuted where one refutes it."""
    if Verdict.REFUTED in verdicts:
        return Verdict.REFUTED
    if verdicts and all(verdict is Verdict.SUPPORTED for verdict in verdicts):
        return Verdict.SUPPORTED
    return Verdict.INCONCLUSIVE


def standing(judged: JudgedClaim) -> Standing:
    """Of the parts that the claim's sentence says: in part where one is supported and another refuted; open where
    nothing is refuted, or nothing supported, but not all is decided.
    """
    verdicts = {part.verdict for part in judged.parts if part.part.answer and part.part.answer.said}
    if {Verdict.SUPPORTED, Verdict.REFUTED} <= verdicts:
        return Standing.IN_PART
    if verdicts & {Verdict.INCONCLUSIVE, Verdict.NOT_RUN}:
        return Standing.OPEN
    return Standing.HOLDS if Verdict.SUPPORTED in verdicts else Standing.FAILS


def _judge_part(part: Part, evidence: Evidence | None, n_parts: int) -> JudgedPart:
    level = level_of(part.direction, n_parts)
    if evidence is None:
        return JudgedPart(part, level, Verdict.NOT_RUN, ())
    samples = part.samples(evidence)
    numbers = tuple(judge_sample(s, direction=part.direction, sesoi=part.sesoi, level=level) for s in samples)
    return JudgedPart(part, level, together([number.verdict for number in numbers]), numbers)


def _spread(sample: Sample, known: list[float], level: float) -> Estimate:
    if sample.exact:
        (value,) = known
        return Estimate(1, value, None, value, value, EXACT)
    return wilson(int(sum(known)), len(known), level=level) if sample.proportion else estimate(known, level=level)


def _told(spread: Estimate, known: list[float], sample: Sample) -> str:
    """Values that are all the same have an interval of no width, which is no certainty."""
    if spread.sd != 0 or sample.exact:
        return spread.note
    unseen = wilson(0, len(known)).high
    return f"{spread.note}; what fewer than {unseen:.0%} of networks do may not have been seen"


def _says_nothing(n: int, missing: int) -> str:
    if n + missing == 0:
        return "there are no results yet"
    if missing > MOST_MISSING * (n + missing):
        return f"{missing} of {n + missing} planned values are missing (failed, cancelled, diverged or undefined)"
    if n < FEWEST:
        return f"too few networks: {n}, and a verdict takes {FEWEST}"
    return ""


def _decide(low: float, high: float, direction: Direction, sesoi: float) -> Verdict:
    if direction == "above":
        supported, refuted = low > sesoi, high < sesoi
    else:
        supported, refuted = -sesoi < low and high < sesoi, low > sesoi or high < -sesoi
    if supported:
        return Verdict.SUPPORTED
    return Verdict.REFUTED if refuted else Verdict.INCONCLUSIVE
