"""Against scipy.stats, which the service itself does not import."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from lab.statistics import FEWEST, adjustment, compare, equivalence, estimate, geometric, holm, wilson


def test_an_interval_is_student_s_t() -> None:
    sample = np.random.default_rng(0).normal(3, 2, size=9)

    found = estimate(sample, level=0.9)

    low, high = stats.t.interval(0.9, 8, loc=sample.mean(), scale=stats.sem(sample))
    assert found.mean == pytest.approx(sample.mean(), rel=1e-12)
    assert found.sd == pytest.approx(sample.std(ddof=1), rel=1e-12)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-10)


POPULATIONS: dict[str, tuple[float, Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]]] = {
    "normal": (0.0, lambda rng, shape: rng.normal(0, 1, shape)),
    "skewed shares: Beta(1/2, 9/2)": (0.1, lambda rng, shape: rng.beta(0.5, 4.5, shape)),
    "rare shares: 0 in seven of ten networks, else Beta(2, 3)": (
        0.12,
        lambda rng, shape: np.where(rng.random(shape) < 0.3, rng.beta(2, 3, shape), 0.0),
    ),
    "log-normal, sigma = 1": (math.exp(0.5), lambda rng, shape: rng.lognormal(0, 1, shape)),
}
"""Their mean, and how they are drawn."""


def coverage(values: str, n: int) -> float:
    """The share of 2,000 intervals of n values each that hold the mean; its binomial sd is at most 0.9 points."""
    mean, draw = POPULATIONS[values]
    intervals = [estimate(sample) for sample in draw(np.random.default_rng(n), (2000, n))]
    held = [e.low <= mean <= e.high for e in intervals if e.low is not None and e.high is not None]
    assert len(held) == len(intervals)
    return float(np.mean(held))


@pytest.mark.parametrize("n", [10, 20, 40])
def test_ninety_five_percent_intervals_of_normal_values_hold_the_mean_about_that_often(n: int) -> None:
    assert 0.93 <= coverage("normal", n) <= 0.97


def test_the_page_says_how_often_intervals_of_skewed_values_hold_the_mean() -> None:
    page = (Path(__file__).parents[2] / "docs/statistics.md").read_text(encoding="utf-8")

    for values in POPULATIONS:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {values} |")]
        told = [float(cell.strip(" %")) / 100 for cell in row.split("|")[2:-1]]
        assert told == pytest.approx([coverage(values, n) for n in (5, 10, 20, 40)], abs=0.02)


def test_differences_are_paired_by_replicate() -> None:
    rng = np.random.default_rng(2)
    base, noise = rng.normal(0, 10, size=8), rng.normal(0.5, 0.1, size=8)
    values = {0: dict(enumerate(base)), 1: dict(enumerate(base + noise))}

    compared = compare(values, {0: 0, 1: 0})

    difference = compared[1].difference
    assert compared[0].difference is None
    assert difference is not None
    expected = stats.ttest_rel(base + noise, base)
    assert difference.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (difference.low, difference.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-9)
    assert difference.low is not None
    assert difference.low > 0, "unpaired, a spread of 10 would hide a difference of 0.5"


def test_holm_adjusts_as_the_slow_definition_does() -> None:
    p = dict(enumerate([0.01, 0.04, 0.03, 0.005, 0.9]))

    adjusted = holm(p)

    # By definition: reject in order while p_(i) <= alpha / (k - i); the adjusted p is the smallest alpha that rejects.
    for key in p:
        rank = sorted(p.values()).index(p[key])
        smaller = sorted(p.values())[: rank + 1]
        assert adjusted[key] == pytest.approx(min(1.0, max((5 - i) * q for i, q in enumerate(smaller))))


def test_a_diverged_member_is_counted_and_above_a_tenth_of_the_pairs_nothing_is_said() -> None:
    rng = np.random.default_rng(3)
    values: dict[int, dict[int, float | None]] = {arm: dict(enumerate(rng.normal(arm, 1, size=20))) for arm in (0, 1)}
    values[1][3] = values[1][4] = None
    two_of_twenty = compare(values, {0: 0, 1: 0})[1].difference
    values[0][5] = None
    three_of_twenty = compare(values, {0: 0, 1: 0})[1].difference

    assert two_of_twenty is not None
    assert three_of_twenty is not None
    assert (two_of_twenty.n, two_of_twenty.missing) == (18, 2)
    assert two_of_twenty.p is not None
    assert (three_of_twenty.missing, three_of_twenty.p, three_of_twenty.low) == (3, None, None)
    assert "3 of 20 pairs" in three_of_twenty.note


def test_a_pair_that_lacks_both_members_is_missing_too() -> None:
    half: dict[int, float | None] = {replicate: 0.1 * replicate if replicate < 4 else None for replicate in range(10)}

    difference = compare({0: half, 1: {key: value and value + 1 for key, value in half.items()}}, {0: 0, 1: 0})[
        1
    ].difference

    assert difference is not None
    assert (difference.n, difference.missing, difference.p) == (4, 6, None)


def test_cancelled_pairs_are_left_out_and_named() -> None:
    rng = np.random.default_rng(4)
    of_five: dict[int, dict[int, float | None]] = {arm: dict(enumerate(rng.normal(arm, 1, size=5))) for arm in (0, 1)}
    # Of the five added ones the baseline finished one, the arm another.
    of_ten = {arm: of_five[arm] | dict.fromkeys(range(5, 10)) for arm in (0, 1)}
    of_ten[0][5], of_ten[1][7] = 3.0, 3.0
    cancelled = {0: {6, 7, 8, 9}, 1: {5, 6, 8, 9}}

    alone = compare(of_five, {0: 0, 1: 0})[1].difference
    found = compare(of_ten, {0: 0, 1: 0}, cancelled=cancelled)[1]

    assert alone is not None
    assert alone.p is not None
    assert found.difference == replace(alone, note="replicates 5 to 9 were cancelled and do not count")
    assert found.estimate.n == 6


def test_a_pair_that_failed_or_diverged_is_missing_though_its_other_member_was_cancelled() -> None:
    values: dict[int, dict[int, float | None]] = {arm: dict(enumerate(np.sqrt([1, 2 + arm, 5, 7]))) for arm in (0, 1)}
    values[1] |= {4: None}
    values[0] |= {4: None}

    failed = compare(values, {0: 0, 1: 0}, cancelled={0: {4}})[1].difference
    cancelled = compare(values, {0: 0, 1: 0}, cancelled={0: {4}, 1: {4}})[1].difference

    assert failed is not None
    assert cancelled is not None
    assert (failed.n, failed.missing, failed.low) == (4, 1, None)
    assert "cancelled" not in failed.note
    assert (cancelled.n, cancelled.missing) == (4, 0)
    assert cancelled.note == "replicate 4 was cancelled and does not count"


def test_too_little_is_said_rather_than_interpolated() -> None:
    assert estimate([]).mean is None
    assert (estimate([1.0]).mean, estimate([1.0]).low) == (1.0, None)
    assert "zero variance" in estimate([2.0, 2.0, 2.0]).note
    same = compare({0: {0: 1.0, 1: 2.0}, 1: {0: 1.5, 1: 2.5}}, {0: 0, 1: 0})[1].difference
    assert same is not None
    assert same.p is None
    assert "zero variance" in same.note


def test_equal_differences_of_fractions_have_no_spread_however_they_round() -> None:
    values = {0: {0: 0.1 + 0.2, 1: 0.3, 2: 0.6}, 1: {0: 0.4, 1: 0.4, 2: 0.7}}

    difference = compare(values, {0: 0, 1: 0})[1].difference

    assert difference is not None
    assert difference.p is None
    assert "zero variance" in difference.note


@pytest.mark.parametrize("values", [[1e200, 2e200, 4e200], [1e308, -1e308, 1e308, 1e308], [1.7e308, 1.6e308]])
def test_huge_values_give_finite_numbers_or_a_reason(values: list[float]) -> None:
    found = estimate(values)

    shown = (found.mean, found.sd, found.low, found.high)
    assert all(number is None for number in shown) or all(
        number is not None and np.isfinite(number) for number in shown
    )
    assert found.mean is not None or found.note
    compared = compare({0: dict(enumerate(values)), 1: dict(enumerate(reversed(values)))}, {0: 0, 1: 0})[1].difference
    assert compared is not None
    assert compared.p is None or np.isfinite(compared.p)


def test_an_arm_that_no_run_finished_is_there_with_n_zero() -> None:
    compared = compare({0: {0: 1.0, 1: 2.0}}, {0: 0, 1: 0})

    assert compared[1].estimate.n == 0
    assert compared[1].difference is not None
    assert compared[1].difference.missing == 2


@pytest.mark.parametrize("level", [0.9, 0.8])
def test_an_equivalence_is_two_one_sided_t_tests(level: float) -> None:
    rng, margin, outcomes = np.random.default_rng(4), 0.05, set()
    for mean in np.linspace(-0.1, 0.1, 41):
        sample = rng.normal(mean, 0.04, size=12)

        found = equivalence(dict(enumerate(sample)), margin=margin, level=level)

        above = stats.ttest_1samp(sample, -margin, alternative="greater").pvalue
        below = stats.ttest_1samp(sample, margin, alternative="less").pvalue
        alpha = (1 - level) / 2
        assert (found.outcome == "agrees") == (max(above, below) <= alpha)
        assert (found.outcome == "disagrees") == (min(1 - above, 1 - below) < alpha)
        outcomes.add(found.outcome)
    assert outcomes == {"agrees", "disagrees", "inconclusive"}


def test_at_the_end_of_the_margin_five_percent_agree_by_chance() -> None:
    samples = np.random.default_rng(5).normal(0.05, 0.01, size=(2000, 10))

    agreed = np.mean([equivalence(dict(enumerate(s)), margin=0.05).outcome == "agrees" for s in samples])

    # Binomial standard deviation of the share: 0.5 points.
    assert 0.035 <= agreed <= 0.065


def test_too_few_networks_are_never_equal() -> None:
    values: dict[int, float | None] = dict.fromkeys(range(FEWEST - 1), 0.0)

    assert equivalence(values, margin=1.0).outcome == "inconclusive"
    assert equivalence(values | {9: 0.0}, margin=1.0).outcome == "agrees"
    assert equivalence({}, margin=1.0).outcome == "inconclusive"


def test_a_geometric_mean_is_that_of_the_logarithms() -> None:
    sample = np.random.default_rng(6).lognormal(1, 0.5, size=9)

    found = geometric(sample)

    low, high = stats.t.interval(0.95, 8, loc=np.log(sample).mean(), scale=stats.sem(np.log(sample)))
    assert found.mean == pytest.approx(stats.gmean(sample), rel=1e-12)
    assert (found.low, found.high) == pytest.approx((np.exp(low), np.exp(high)), rel=1e-10)
    assert geometric([1e308, 1e300, 1e-300]).note == "too large for a mean and an interval"


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (1, 5), (7, 10), (20, 20)])
def test_a_share_s_interval_is_wilson_s(successes: int, n: int) -> None:
    found = wilson(successes, n, level=0.99)

    low, high = stats.binomtest(successes, n).proportion_ci(0.99, method="wilson")
    assert found.mean == successes / n
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


def test_intervals_that_exclude_zero_where_an_adjusted_p_is_too_large_are_named() -> None:
    """Of differences with mean m, sd s and n = 8, p is scipy's; Holm takes three times the least, twice the next."""
    base = np.zeros(8)
    shape = np.array([-1.5, -1.0, -0.5, -0.2, 0.2, 0.5, 1.0, 1.5])
    arms = {"clear": shape + 5, "near": shape + 0.9, "nothing": shape + 0.1}
    p = {name: float(stats.ttest_rel(values, base).pvalue) for name, values in arms.items()}
    assert 3 * p["clear"] < 0.05
    assert 0.025 < p["near"] < 0.05
    assert p["nothing"] > 0.05
    values = {i: dict(enumerate(each.tolist())) for i, each in enumerate([base, *arms.values()])}

    found = compare(values, dict.fromkeys(values, 0))
    said = adjustment({name: found[i] for i, name in enumerate(["base", *arms])})
    strict = adjustment({name: found[i] for i, name in enumerate(["base", *arms]) if name != "near"})

    assert "Each interval is at 95 %, unadjusted; p is adjusted (Holm) over the 3 differences" in said
    assert said.endswith("where p is not below 0.05: here for near.")
    assert strict.endswith("; here p is below it wherever one does.")
    assert adjustment({"base": found[0], "near": found[2]}) == ""
