from __future__ import annotations

import math
from collections.abc import Callable

from lab.claims.evidence import Reading
from lab.claims.vanishing import CLAIM
from lab.claims.verdict import Verdict, judge
from lab.plan import Arm
from lab.theory.prediction import Inputs, predict
from tests.lab.claims.evidence import evidence_of
from worker import datasets

DIGITS = Inputs(q0=1.0, v0=1.0, participation=1.0)


def measured(off_by: Callable[[Arm], float] = lambda _: 1.0) -> Callable[[Reading, Arm, int], float | None]:
    """Gradients that change as theory says, but for a factor, and differ by a percent from network to network."""

    def ratio(_: Reading, arm: Arm, replicate: int) -> float | None:
        predicted = predict(arm, DIGITS).gradient_ratio
        return predicted * off_by(arm) * (1 + 0.01 * (-1) ** replicate) if predicted else None

    return ratio


def verdicts(off_by: Callable[[Arm], float] = lambda _: 1.0) -> dict[str, Verdict]:
    judged = judge(CLAIM, evidence_of(CLAIM, "quick", measured(off_by)))
    return {part.part.name: part.verdict for part in judged.parts}


def test_networks_that_follow_theory_refute_the_quarter_and_bear_out_the_vanishing() -> None:
    assert verdicts() == {
        "vanishes": Verdict.SUPPORTED,
        "as_predicted": Verdict.SUPPORTED,
        "whatever_the_weights": Verdict.REFUTED,
        "relu_is_spared": Verdict.REFUTED,
        "relu_keeps": Verdict.REFUTED,
        "stays": Verdict.SUPPORTED,
    }


def test_networks_that_do_not_follow_theory_are_found_out() -> None:
    def off_by(arm: Arm) -> float:
        return 1.1 if arm.activation.name == "tanh" else 1.0

    assert verdicts(off_by)["as_predicted"] is Verdict.REFUTED


def test_a_network_without_gradients_has_no_factor_and_is_missing() -> None:
    judged = judge(CLAIM, evidence_of(CLAIM, "quick", lambda *_: None))

    for part in judged.parts:
        assert part.verdict is Verdict.INCONCLUSIVE
        assert all(number.missing == 5 and "missing" in number.reason for number in part.numbers)


def test_four_networks_are_inconclusive() -> None:
    def of_four(reading: Reading, arm: Arm, replicate: int) -> float | None:
        return None if replicate == 4 else measured()(reading, arm, replicate)

    judged = judge(CLAIM, evidence_of(CLAIM, "quick", of_four))

    assert {part.verdict for part in judged.parts} == {Verdict.INCONCLUSIVE}


def test_the_digits_have_the_mean_square_that_theory_is_given() -> None:
    arm = CLAIM.stages[0].experiments("quick", {})["usual"].spec
    probe = datasets.probe_indices(arm.dataset, arm.recording.probe_size)

    x = datasets.load(arm.dataset).x_train[probe]

    # The probe is a third of what was standardised; q0 decides layer 1's share of the factor only.
    assert math.isclose(float((x * x).mean()), 1.0, rel_tol=0.02)
