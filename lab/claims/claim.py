"""What a claim is made of: a sentence that can be tested, its parts, and the experiments that decide them.

A claim's experiments come in stages, each a pure function of what the earlier ones found: learning rates are tuned on
seeds of their own, and judged on others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lab.claims.evidence import Evidence, Reading
from lab.spec import ExperimentSpec
from lab.statistics import Values

Effort = Literal["full", "quick"]
"""`quick` has fewer seeds and settings; it may well answer inconclusive."""

Direction = Literal["above", "within"]
"""A part claims that its effect lies above its smallest effect of interest, or within plus or minus it."""

EFFORTS: Mapping[Effort, str] = {
    "full": "Every setting, and the seeds that a verdict deserves.",
    "quick": "Fewer settings and five seeds: minutes, and a verdict that may well be inconclusive.",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One effect that decides a part: a value a network (or pair of networks), by replicate.

    None where a member of the pair failed, was cancelled, diverged, or is undefined. `sesoi` replaces the part's own.
    `proportion` says that the values are 0 or 1 and their mean a share of networks; `exact` that the one value is
    mathematics, not a sample: it has no spread, and needs no replicates. `made_of` are the numbers that a value, or the
    mean of all, was made from, by what each is: for a reader who works it out again.
    """

    label: str
    values: Values
    sesoi: float | None = None
    proportion: bool = False
    exact: bool = False
    made_of: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clause:
    """What a claim's answer says of a part: `so` where it is supported, `not_so` where it is refuted, each to be put
    after "it is open whether" as well. `said` tells whether the claim's own sentence says it; the rest is told besides.
    """

    so: str
    not_so: str
    said: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """One statement of a claim. It holds where all its samples bear it out.

    `effect` says what the number is, in words and units; `sesoi` is the smallest effect of interest. `figure` is the
    key of an experiment and the name of its figure, `key/name`; empty where numbers alone show it. A part without an
    `answer` is left out of the claim's.
    """

    name: str
    statement: str
    effect: str
    direction: Direction
    sesoi: float
    explanation: str
    would_change: str
    figure: str
    samples: Callable[[Evidence], list[Sample]]
    answer: Clause | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """An experiment of a claim: the request, and the numbers of it that parts and later stages read; `predicted` are
    the quantities of theory that they are held against.
    """

    spec: ExperimentSpec
    readings: tuple[Reading, ...]
    predicted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """Experiments that run at the same time, by key. A key is unique within the claim.

    `experiments` raises Conflict where what the earlier stages found does not allow it.
    """

    name: str
    experiments: Callable[[Effort, Evidence], Mapping[str, Asked]]


@dataclass(frozen=True, slots=True)
class Claim:
    """`sentence` is what is commonly said; `parts` are what can be tested of it. A claim about mathematics alone has
    no stages: its samples are computed on the spot.
    """

    name: str
    title: str
    sentence: str
    parts: tuple[Part, ...]
    stages: tuple[Stage, ...]
