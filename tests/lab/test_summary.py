"""The sentences say what the numbers beside them say, and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lab.agreement import agreement
from lab.records import PredictedValue
from lab.statistics import ArmComparison, Difference, Estimate
from lab.summary import SCORES, ArmSummary, answer


def an_estimate(mean: float | None, half: float = 0.01, n: int = 5) -> Estimate:
    if mean is None:
        return Estimate(0, None, None, None, None)
    return Estimate(n, mean, half, mean - half, mean + half)


def an_arm(
    label: str, score: float | None = 0.9, difference: tuple[float, float] | None = None, **given: Any
) -> ArmSummary:
    p_holm = 0.3 if difference is not None and difference[0] <= 0 <= difference[1] else 0.02
    paired = None if difference is None else Difference(5, 0, sum(difference) / 2, *difference, 0.01, p_holm)
    numbers = {
        "dead_fraction_start": 0.0,
        "dead_fraction_end": 0.0,
        "gradient_ratio": 1.0,
        "activation_mean": 0.5,
    } | given
    activation, _, point = label.partition(" at ")
    return ArmSummary(
        label,
        ArmComparison(an_estimate(score), paired),
        dead_fraction_start=an_estimate(numbers["dead_fraction_start"]),
        dead_fraction_end=an_estimate(numbers["dead_fraction_end"]),
        gradient_ratio=an_estimate(numbers["gradient_ratio"]),
        activation_mean=an_estimate(numbers["activation_mean"]),
        failed=numbers.get("failed", 0),
        diverged=numbers.get("diverged", 0),
        activation=activation,
        point=point,
        cancelled=numbers.get("cancelled", ()),
    )


def say(*arms: ArmSummary, task: str = "classification", probe_size: int = 512) -> str:
    baselines = dict.fromkeys(range(len(arms)), 0)
    return " ".join(answer(dict(enumerate(arms)), baselines, SCORES[task], level=0.95, probe_size=probe_size))


def test_an_interval_that_excludes_zero_is_better_or_worse_and_one_that_holds_it_is_neither() -> None:
    said = say(
        an_arm("relu"),
        an_arm("tanh", difference=(0.01, 0.03)),
        an_arm("sigmoid", difference=(-0.5, -0.4)),
        an_arm("gelu", difference=(-0.01, 0.02)),
    )

    assert "better: tanh by 1.0 to 3.0 points; worse: sigmoid by 40.0 to 50.0 points; not told apart: gelu" in said


def test_a_difference_is_one_only_after_adjusting_for_all_arms() -> None:
    likely = an_arm("tanh", difference=(0.001, 0.03))
    unadjusted = replace(likely.score, difference=replace(likely.score.difference, p=0.04, p_holm=0.2))  # type: ignore[type-var]

    assert "not told apart: tanh" in say(an_arm("relu"), replace(likely, score=unadjusted))


def test_a_layer_that_is_dead_as_a_whole_is_a_hundred_percent() -> None:
    assert "relu 100 % (at step 0: 99.6 %)" in say(an_arm("relu", dead_fraction_end=1.0, dead_fraction_start=0.996))


def test_for_a_loss_lower_is_better() -> None:
    said = say(an_arm("relu", 0.2), an_arm("tanh", 0.4, difference=(0.1, 0.3)), task="regression")

    assert "Lowest (best) mean test loss: relu" in said
    assert "worse: tanh by 0.1 to 0.3" in said


def test_a_gradient_that_shrinks_is_named_with_its_factor() -> None:
    said = say(
        an_arm("relu", gradient_ratio=0.17), an_arm("tanh", gradient_ratio=0.9), an_arm("up", gradient_ratio=1.5)
    )

    assert "shrinks for relu (x 0.17); it grows for up (x 1.5); it stays within a quarter for tanh" in said


def test_how_gradients_fit_their_theory_is_said_where_it_is_known() -> None:
    predicted = PredictedValue(None, "gradient_ratio", 0.2, 0.19, 0.21)
    known = [
        replace(an_arm(name), theory=agreement(predicted, dict.fromkeys(range(n), ratio)))
        for name, n, ratio in (("tanh", 9, 0.2), ("gelu", 4, 0.2), ("elu", 9, 0.3), ("dead", 9, None))
    ]

    said = say(an_arm("relu"), *known)

    assert (
        "Theory of wide networks predicts the factor before training; the measured one agrees with it for tanh; "
        "it disagrees for elu (x 0.3, predicted x 0.2). Whether the measured one agrees is open for gelu "
        "(x 0.2 [0.2, 0.2], predicted x 0.2): fewer than 5 networks."
    ) in said
    assert "Theory" not in say(an_arm("relu"))


def test_dead_units_are_said_with_the_probe_and_the_start() -> None:
    said = say(an_arm("relu", dead_fraction_end=0.12, dead_fraction_start=0.02), an_arm("tanh"))
    assert "on the probe of 512 inputs: relu 12 % (at step 0: 2 %); every other arm has none" in said

    assert "No hidden unit was dead on the probe of 512 inputs" in say(an_arm("tanh"))


def test_what_did_not_finish_is_never_left_out() -> None:
    said = say(an_arm("relu", diverged=2), an_arm("tanh", failed=1))

    assert "Not in the means: 2 of relu diverged and 1 of tanh failed." in said
    assert "retry" not in said


def test_what_was_cancelled_is_named_and_what_is_complete_counts() -> None:
    said = say(an_arm("relu", cancelled=(2,)), an_arm("tanh", cancelled=(2, 5, 6, 7)))

    assert "Not in the means: 1 of relu was cancelled (replicate 2) and 4 of tanh were cancelled" in said
    assert "(replicates 2, 5 to 7)" in said
    assert "What was cancelled does not count; pairs with both members do. A retry trains the rest." in said


def test_an_experiment_without_a_finished_run_says_so() -> None:
    said = say(
        an_arm(
            "relu", None, gradient_ratio=None, dead_fraction_end=None, dead_fraction_start=None, activation_mean=None
        )
    )

    assert "No run has finished with a score" in said
    assert "No hidden unit was dead" not in said


def test_networks_that_guess_are_named_as_such_and_those_that_learn_are_not() -> None:
    arms = [replace(an_arm(name, score), guess=0.1) for name, score in (("relu", 0.3), ("gelu", 0.087), ("elu", 0.14))]

    said = say(*arms)

    assert "No better than guessing, or hardly: gelu (8.7 %; a guess has 10.0 %) and elu (14.0 %; a guess has" in said
    assert "guessing" not in say(arms[0])
    assert "guessing" not in say(an_arm("relu", 0.05), task="regression")


def test_four_pairs_are_neither_better_nor_worse_however_clear() -> None:
    clear = an_arm("tanh", difference=(0.5, 0.6))
    four = replace(clear.score, difference=replace(clear.score.difference, n=4))  # type: ignore[type-var]

    assert "inconclusive: tanh (4 pairs, of 5 that a verdict takes)" in say(an_arm("relu"), replace(clear, score=four))


def test_dead_units_are_said_with_the_size_of_their_own_probe() -> None:
    dead = an_arm("relu", dead_fraction_end=0.25)

    assert "on the probe of 10 inputs" in say(dead, probe_size=10)
    assert "on the probe of 10 inputs" in say(an_arm("tanh"), probe_size=10)


def test_the_arms_of_a_sweep_are_told_from_the_commas_between_them() -> None:
    factors = {"relu": 0.2, "elu": 0.3}
    arms = [
        an_arm(f"{name} at depth {depth}, width 8", difference=difference, gradient_ratio=factors[name])
        for depth in (2, 5)
        for name, difference in (("relu", None), ("elu", (0.01, 0.03)))
    ]

    said = " ".join(
        answer(dict(enumerate(arms)), {0: 0, 1: 0, 2: 2, 3: 2}, SCORES["classification"], level=0.95, probe_size=9)
    )

    assert (
        "shrinks for relu (depth 2, width 8) (x 0.2), relu (depth 5, width 8) (x 0.2), elu (depth 2, width 8) (x 0.3) "
        "and elu (depth 5, width 8) (x 0.3)"
    ) in said
    for depth in (2, 5):
        assert f"At depth {depth}, width 8, against relu, in pairs" in said
    assert said.count("better: elu by 1.0 to 3.0 points.") == 2
