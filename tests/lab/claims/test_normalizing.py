from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from lab.claims.claim import Sample
from lab.claims.evidence import Reading
from lab.claims.normalizing import BATCHES, CLAIM, RANGE
from lab.claims.verdict import Verdict, judge
from lab.plan import Arm
from tests.lab.claims.evidence import Measured, evidence_of
from tests.lab.claims.test_claims import plausible

TRAINS, DOES_NOT = 0.5, 2.3


def ranges(score: Callable[[Arm], float | None], start: float | None = 0.0) -> Measured:
    """Networks whose mean loss is `score` of their arm in the sweep over learning rates."""

    def measured(reading: Reading, arm: Arm, replicate: int) -> float | None:
        if len(arm.swept) < 3:
            return plausible(reading, arm, replicate)
        return start if reading.metric == "dead_fraction" else score(arm)

    return measured


def samples_of(part: str, measured: Measured) -> list[Sample]:
    (found,) = [each for each in CLAIM.parts if each.name == part]
    return found.samples(evidence_of(CLAIM, "full", measured))


def verdict_of(part: str, measured: Measured) -> Verdict:
    judged = judge(CLAIM, evidence_of(CLAIM, "full", measured))
    (found,) = [each for each in judged.parts if each.part.name == part]
    return found.verdict


def test_the_rates_that_train_are_counted_in_decades() -> None:
    def score(arm: Arm) -> float:
        slowest = 0.003 if arm.network.normalization == "batch" else 0.1
        return TRAINS if slowest <= arm.training.learning_rate <= 1 else DOES_NOT

    found = samples_of("range", ranges(score))

    assert [sample.label for sample in found] == [f"relu, batch {size}" for size in BATCHES["full"]]
    # From 0.003 to 1 are six of the nine rates, from 0.1 to 1 three.
    for sample in found:
        assert list(sample.values.values()) == pytest.approx([1.5] * 10)


def test_the_highest_rate_that_trains_is_compared_in_decades() -> None:
    def score(arm: Arm) -> float:
        fastest = 1 if arm.network.normalization == "batch" else 0.1
        return TRAINS if arm.training.learning_rate <= fastest else DOES_NOT

    for sample in samples_of("faster_steps", ranges(score)):
        assert list(sample.values.values()) == pytest.approx([1.0] * 10)
    assert verdict_of("faster_steps", ranges(score)) is Verdict.SUPPORTED


def test_a_network_that_trains_at_no_rate_has_no_highest() -> None:
    (first, *_) = samples_of("faster_steps", ranges(lambda _: DOES_NOT))

    assert list(first.values.values()) == [None] * 10


def test_a_network_that_diverges_does_not_train() -> None:
    def score(arm: Arm) -> float | None:
        return TRAINS if arm.network.normalization == "batch" else None

    (first, *_) = samples_of("range", ranges(score))

    assert list(first.values.values()) == pytest.approx([4.5] * 10)
    assert verdict_of("range", ranges(score)) is Verdict.SUPPORTED


def test_a_network_that_failed_is_missing() -> None:
    (first, *_) = samples_of("range", ranges(lambda _: None, start=None))

    assert list(first.values.values()) == [None] * 10
    assert verdict_of("range", ranges(lambda _: None, start=None)) is Verdict.INCONCLUSIVE


def test_a_range_that_is_as_wide_without_the_norm_refutes_its_widening() -> None:
    assert verdict_of("range", ranges(lambda _: TRAINS)) is Verdict.REFUTED


@pytest.mark.parametrize("rates", RANGE.values())
def test_the_rates_lie_at_equal_ratios(rates: tuple[float, ...]) -> None:
    ratios = [high / low for low, high in pairwise(rates)]

    assert ratios == pytest.approx([ratios[0]] * len(ratios), rel=0.12)


def test_units_that_die_at_small_batches_alone_refute_that_batch_size_is_no_matter() -> None:
    def dying(units: int) -> Measured:
        def measured(reading: Reading, arm: Arm, replicate: int) -> float:
            if reading.metric != "units_died":
                return plausible(reading, arm, replicate)
            return units if arm.training.batch_size == min(BATCHES["full"]) else 0

        return measured

    assert verdict_of("death_by_batch", dying(0)) is Verdict.SUPPORTED
    # Of 192.
    assert verdict_of("death_by_batch", dying(20)) is Verdict.REFUTED
