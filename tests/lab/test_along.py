"""What a sentence says of the sweep, against paired t tests of scipy and Holm's by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from lab.along import along
from lab.plan import Arm, arms_of
from lab.summary import SCORES
from tests.builders import a_spec

RATES = (0.03, 0.1, 0.3)
NOISE = np.array([0.01, -0.02, 0.015, 0.0, -0.005, 0.012])

Scores = Callable[[Arm], Any]


def say(scores: Scores, *names: str, task: str = "classification", **sweep: tuple[Any, ...]) -> list[str]:
    """`scores` gives those of an arm's replicates; the sweep's paths have __ for the point."""
    paths = tuple((path.replace("__", "."), values) for path, values in sweep.items())
    arms = arms_of(a_spec(*names, sweep=paths))
    values = {arm.position: dict(enumerate(scores(arm))) for arm in arms}
    return along(arms, values, {}, SCORES[task], level=0.95)


def test_each_activation_is_compared_with_itself_at_the_first_value_in_pairs() -> None:
    """Relu gains with the rate and no more at 0.3; tanh only varies."""
    base = np.linspace(0.4, 0.5, 6)
    of = {
        ("relu", 0.03): base,
        ("relu", 0.1): base + 0.1 + NOISE,
        ("relu", 0.3): base - 0.2 + NOISE[::-1],
        ("tanh", 0.03): base,
        ("tanh", 0.1): base + NOISE,
        ("tanh", 0.3): base + 2 * NOISE - 0.005,
    }
    t = {key: stats.ttest_rel(values, of[key[0], 0.03]) for key, values in of.items() if key[1] != 0.03}
    ends = {key: 100 * np.array(each.confidence_interval(0.95)) for key, each in t.items()}
    assert 4 * max(t["relu", 0.1].pvalue, t["relu", 0.3].pvalue) < 0.05
    assert min(t["tanh", 0.1].pvalue, t["tanh", 0.3].pvalue) > 0.05

    [said] = say(lambda arm: of[arm.activation.name, arm.training.learning_rate], training__learning_rate=RATES)

    def points(*key: Any) -> str:
        low, high = ends[key]
        return f"({low:+.1f} to {high:+.1f} points)"

    assert said == (
        "Along learning_rate, against 0.03, in pairs of equal seeds (95 % intervals of the difference in test "
        "accuracy, n = 6; better or worse where p, adjusted for all 4, is below 0.05): "
        f"relu is better at 0.1 {points('relu', 0.1)}, worse at 0.3 {points('relu', 0.3)}; "
        f"tanh is not told apart at 0.1 {points('tanh', 0.1)} and 0.3 {points('tanh', 0.3)}."
    )


def test_a_difference_counts_only_where_its_p_does_after_all_are_adjusted_for() -> None:
    """Of relu at 0.1 p is between 0.05/2 and 0.05: alone it is better, beside three others it is not told apart."""
    shape = np.array([-1.5, -0.7, 0.2, 0.5, 0.6, 0.9])
    gain = 0.1 * (shape + 1.0)
    assert 0.025 < stats.ttest_1samp(gain, 0).pvalue < 0.05

    def scores(arm: Arm) -> Any:
        raised = arm.training.learning_rate == 0.1 and arm.activation.name == "relu"
        return gain if raised else 0.01 * shape[::-1] * arm.training.learning_rate

    [alone] = say(scores, "relu", training__learning_rate=(0.03, 0.1))
    [beside] = say(scores, "relu", "tanh", training__learning_rate=RATES)

    assert "relu is better at 0.1" in alone
    assert "relu is not told apart at 0.1" in beside


@pytest.mark.parametrize(
    ("path", "values", "pairs"),
    [
        ("network__depth", (2, 4), "by equal seeds, which draw other initial weights there"),
        ("network__width", (8, 16), "by equal seeds, which draw other initial weights there"),
        ("network__gain", (1.0, 2.0), "in pairs of equal seeds"),
        ("training__optimizer", ("sgd", "adam"), "in pairs of equal seeds"),
    ],
)
def test_pairs_are_said_to_be_such_where_their_draws_are_the_same(path: str, values: Any, pairs: str) -> None:
    [said] = say(lambda arm: 0.1 * arm.position + NOISE * arm.position, "relu", **{path: values})

    assert said.startswith(f"Along {path.partition('__')[2]}, against {values[0]}, {pairs} (")


def test_of_a_loss_less_is_better_and_what_changes_nothing_is_the_same() -> None:
    [loss] = say(lambda arm: (NOISE - 1) * arm.network.depth, "relu", task="regression", network__depth=(2, 3))
    [same] = say(lambda _: NOISE, "relu", training__clip_norm=(None, 1.0))

    assert "relu is better at 3 (-1.0" in loss
    assert same.endswith("relu is the same in every pair at 1.0.")
    assert "against none" in same


def test_four_pairs_are_inconclusive_and_no_score_says_nothing() -> None:
    few = say(lambda arm: (NOISE + arm.network.depth)[:4], "relu", network__depth=(2, 3))
    none = say(lambda _: [None] * 6, "relu", network__depth=(2, 3))
    without = say(lambda _: NOISE, "relu")

    assert "relu is inconclusive at 3" in few[0]
    assert (none, without) == ([], [])


def test_of_many_lines_and_values_the_strongest_is_told_and_the_rest_is_counted() -> None:
    def scores(arm: Arm) -> Any:
        slope = 0.01 if arm.activation.name == "tanh" and arm.training.learning_rate == 0.1 else 0.001
        return slope * arm.network.depth * (1 + NOISE)

    names = ("relu", "tanh", "elu")
    depth, rate = say(scores, *names, network__depth=(2, 3, 4, 5, 6), training__learning_rate=RATES)

    assert "9 of 9 are better or worse at some value. The mean changes most for tanh (learning_rate 0.1)" in depth
    assert "it is better at 4 of 4 values, most at 6 (+4.0 to +4.1 points)" in depth
    assert "5 of 15 are better or worse" in rate
    assert "The mean changes most for tanh (depth 6): it is better at 0.1" in rate
