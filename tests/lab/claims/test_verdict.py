from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.claims.claim import Direction, Sample
from lab.claims.verdict import Judged, Verdict, judge_sample, level_of, together
from lab.statistics import Values

SUPPORTED, REFUTED, INCONCLUSIVE = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE


def judged(values: Values, *, direction: Direction = "above", sesoi: float = 1.0, level: float = 0.95) -> Judged:
    return judge_sample(Sample("it", values), direction=direction, sesoi=sesoi, level=level)


def around(mean: float, n: int = 10) -> dict[int, float | None]:
    """Values whose 95 % interval has a half-width of 0.1 to 0.2."""
    return {i: mean + 0.2 * (-1) ** i for i in range(n)}


@pytest.mark.parametrize(
    ("mean", "above", "within"),
    [
        (2.0, SUPPORTED, REFUTED),
        (1.0, INCONCLUSIVE, INCONCLUSIVE),
        (0.0, REFUTED, SUPPORTED),
        # Whether it is none or the other way round is open, but not that it is no effect in the claimed direction.
        (-1.0, REFUTED, INCONCLUSIVE),
        (-2.0, REFUTED, REFUTED),
    ],
)
def test_the_verdict_is_where_the_interval_lies(mean: float, above: Verdict, within: Verdict) -> None:
    assert judged(around(mean)).verdict is above
    assert judged(around(mean), direction="within").verdict is within


def test_a_claim_of_more_fares_no_better_where_there_is_less() -> None:
    order = {REFUTED: 0, INCONCLUSIVE: 1, SUPPORTED: 2}

    found = [order[judged(around(mean)).verdict] for mean in np.linspace(-3, 3, 61).tolist()]

    assert found == sorted(found)
    assert set(found) == {0, 1, 2}


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4])
def test_fewer_than_five_networks_are_inconclusive_however_clear(n: int) -> None:
    found = judged(around(100.0, n=n))

    assert found.verdict is INCONCLUSIVE
    assert found.reason


def test_more_than_a_tenth_missing_is_inconclusive_and_said() -> None:
    lost_one = around(5.0) | {3: None}
    lost_two = lost_one | {4: None}

    assert judged(lost_one).verdict is SUPPORTED
    assert judged(lost_one).missing == 1
    found = judged(lost_two)
    assert found.verdict is INCONCLUSIVE
    assert found.reason.startswith("2 of 10 planned values are missing")


def test_an_arm_against_itself_is_never_supported() -> None:
    found = judged(dict.fromkeys(range(10), 0.0))

    assert found.verdict is REFUTED
    assert "zero variance" in found.reason


def test_parts_of_many_samples_hold_where_all_do() -> None:
    assert together([SUPPORTED, SUPPORTED]) is SUPPORTED
    assert together([SUPPORTED, INCONCLUSIVE]) is INCONCLUSIVE
    assert together([SUPPORTED, INCONCLUSIVE, REFUTED]) is REFUTED
    assert together([]) is INCONCLUSIVE


def test_a_share_of_networks_has_an_interval_of_some_width_where_none_shows_it() -> None:
    none = Sample("dead", dict.fromkeys(range(40), 0.0), proportion=True)

    found = judge_sample(none, direction="within", sesoi=0.1, level=0.95)

    assert found.estimate.high == pytest.approx(0.0876, abs=1e-4)
    assert found.verdict is SUPPORTED


def test_no_effect_is_called_one_in_less_than_five_percent_of_experiments() -> None:
    """The worst case: the true effect is exactly the smallest effect of interest."""
    rng = np.random.default_rng(5)
    samples = [dict(enumerate(sample)) for sample in rng.normal(1.0, 1.0, size=(2000, 10)).tolist()]

    found = [judged(sample, sesoi=1.0, level=level_of("above", 1)).verdict for sample in samples]

    # A two-sided interval at 95 % leaves 2.5 % on that side; its binomial standard deviation is 0.35 points.
    assert np.mean([verdict is SUPPORTED for verdict in found]) < 0.036
    nothing = [judged({i: x - 1.0 for i, x in sample.items()}, sesoi=0.1).verdict for sample in samples]
    assert np.mean([verdict is SUPPORTED for verdict in nothing]) < 0.05


def test_equality_is_claimed_wrongly_in_less_than_five_percent_of_experiments() -> None:
    """The worst case: the true difference is exactly the margin."""
    rng = np.random.default_rng(6)
    samples = [dict(enumerate(sample)) for sample in rng.normal(1.0, 0.5, size=(2000, 10)).tolist()]

    found = [judged(sample, direction="within", level=level_of("within", 1)).verdict for sample in samples]

    # One of two one-sided tests at 5 %; the binomial standard deviation is 0.5 points.
    assert np.mean([verdict is SUPPORTED for verdict in found]) < 0.065


def test_an_effect_is_refuted_wrongly_in_less_than_five_percent_of_experiments() -> None:
    """The worst case: the true effect is exactly the smallest effect of interest."""
    rng = np.random.default_rng(7)
    samples = [dict(enumerate(sample)) for sample in rng.normal(1.0, 1.0, size=(2000, 10)).tolist()]

    found = [judged(sample, sesoi=1.0, level=level_of("above", 1)).verdict for sample in samples]

    assert np.mean([verdict is REFUTED for verdict in found]) < 0.036


def test_verdicts_of_many_parts_take_wider_intervals() -> None:
    assert level_of("above", 5) == pytest.approx(0.99)
    assert level_of("within", 5) == pytest.approx(0.98)


def test_the_page_says_how_often_rare_deaths_pass_for_none() -> None:
    page = (Path(__file__).parents[3] / "docs" / "statistics.md").read_text(encoding="utf-8")
    shares: dict[str, Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]] = {
        "in all networks, normal": lambda rng, shape: rng.normal(0.01, 0.005, shape),
        "in all networks, skewed: Beta(1/2, 9/2) / 10": lambda rng, shape: rng.beta(0.5, 4.5, shape) / 10,
        "in three of ten, a thirtieth of their units": lambda rng, shape: _rare(rng, shape, 0.3),
        "in one of ten, a tenth of their units": lambda rng, shape: _rare(rng, shape, 0.1),
        "in one of twenty, a fifth of their units": lambda rng, shape: _rare(rng, shape, 0.05),
    }

    for name, draw in shares.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {name} |")]
        told = [float(cell.strip(" %")) / 100 for cell in row.split("|")[2:-1]]
        found = []
        for n in (5, 10, 20, 40):
            samples = draw(np.random.default_rng(n), (2000, n)).tolist()
            within = [
                judged(dict(enumerate(x)), direction="within", sesoi=0.01, level=level_of("within", 9)) for x in samples
            ]
            found.append(np.mean([each.verdict is SUPPORTED for each in within]))
        assert told == pytest.approx(found, abs=0.02), name


def _rare(rng: np.random.Generator, shape: tuple[int, int], networks: float) -> NDArray[np.float64]:
    """Shares of dead units, 0 but in so many networks, with a mean of 0.01 over all of them."""
    return np.where(rng.random(shape) < networks, rng.beta(2, 3, shape) / 0.4 * 0.01 / networks, 0.0)
