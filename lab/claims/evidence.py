"""What a claim's experiments found, as plain mappings, and arithmetic over replicates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from lab.errors import Conflict
from lab.plan import Arm, arms_of
from lab.spec import ExperimentSpec, Swept
from lab.statistics import Values


@dataclass(frozen=True, slots=True)
class Reading:
    """One number a run: a metric as `/comparison` takes it, at the first or last step, of one layer or of their mean
    (None).
    """

    metric: str
    at: Literal["first", "last"] = "last"
    layer: int | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """An experiment that has ended: each reading by the position of an arm, then by replicate; and what theory
    predicts, by the position of an arm, layer and quantity.
    """

    spec: ExperimentSpec
    values: Mapping[Reading, Mapping[int, Values]]
    predicted: Mapping[tuple[int, int, str], float | None] = field(default_factory=dict)

    def of(self, reading: Reading, activation: str, /, **swept: Swept) -> Values:
        """The values of one arm, named as `arm` does."""
        return self.values[reading].get(self.arm(activation, **swept).position, {})

    def arm(self, activation: str, /, **swept: Swept) -> Arm:
        """The one arm with this activation's label at this point of the sweep: the swept field's last word to its
        value. Raises LookupError where there is none or more than one.
        """
        found = [arm for arm in self.arms() if arm.activation.label == activation and _stands_at(arm, swept)]
        if len(found) != 1:
            raise LookupError(f"{len(found)} arms are {activation} at {swept}.")
        return found[0]

    def arms(self) -> tuple[Arm, ...]:
        return arms_of(self.spec)


Evidence = Mapping[str, Results]
"""By the key of the experiment."""


def each(function: Callable[..., float | None], *values: Values) -> dict[int, float | None]:
    """`function` of every replicate that any of `values` planned; None where one of them has no value, or where the
    function has none: it may answer None, or fail for numbers it is not defined for.
    """
    replicates = sorted(set().union(*values))
    return {replicate: _applied(function, [those.get(replicate) for those in values]) for replicate in replicates}


def minus(a: Values, b: Values) -> dict[int, float | None]:
    """The differences a - b, in pairs of equal replicate."""
    return each(lambda x, y: x - y, a, b)


def log_ratio(a: Values, b: Values) -> dict[int, float | None]:
    """ln(a / b), in pairs of equal replicate."""
    return each(lambda x, y: math.log(x) - math.log(y), a, b)


def log(a: Values) -> dict[int, float | None]:
    return each(math.log, a)


def mean_of(several: list[Values]) -> dict[int, float | None]:
    """The mean over settings, replicate by replicate."""
    return each(lambda *x: math.fsum(x) / len(x), *several)


def only(evidence: Evidence, beginning: str) -> Iterator[tuple[str, Results]]:
    """The experiments whose key begins so."""
    return ((key, results) for key, results in evidence.items() if key.startswith(beginning))


def somewhere(evidence: Evidence, beginning: str, activation: str, /, **where: Swept) -> tuple[Results, Arm]:
    """The one arm of that activation, at those fields of network, training or data set, among the experiments whose
    key begins so. Raises Conflict where there is none.
    """
    for _, results in only(evidence, beginning):
        for arm in results.arms():
            if arm.activation.label == activation and _has(arm, where):
                return results, arm
    raise Conflict(f"No experiment {beginning!r} has an arm {activation} at {where}.")


def _stands_at(arm: Arm, swept: Mapping[str, Swept]) -> bool:
    return {path.rpartition(".")[2]: value for path, value in arm.swept} == swept


def _has(arm: Arm, where: Mapping[str, Swept]) -> bool:
    fields = asdict(arm.network) | asdict(arm.training) | dict(arm.dataset.parameters)
    return all(fields[name] == value for name, value in where.items())


def _applied(function: Callable[..., float | None], arguments: list[float | None]) -> float | None:
    if any(argument is None for argument in arguments):
        return None
    try:
        value = function(*arguments)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if value is not None and math.isfinite(value) else None
