from __future__ import annotations

import math

import numpy as np
import pytest

from lab.claims.pieces import CLAIM, FUNCTIONS, fitted_network, rate, relu_network, step_network
from lab.claims.verdict import Verdict, judge
from lab.plan import Arm
from tests.lab.claims.evidence import evidence_of
from worker import datasets

X = np.linspace(0.0, 1.0, 1001)


def test_a_relu_network_draws_the_line_through_its_points() -> None:
    knots = np.array([0.0, 0.1, 0.4, 0.45, 1.0])
    values = np.array([0.3, -1.0, 2.0, 2.0, 0.0])

    np.testing.assert_allclose(relu_network(knots, values)(X), np.interp(X, knots, values), atol=1e-12)


def test_a_step_network_draws_the_bars() -> None:
    knots = np.array([0.0, 0.25, 0.5, 1.0])
    values = np.array([1.0, 3.0, -2.0])

    bars = [values[min(int(np.searchsorted(knots, x, side="right")) - 1, 2)] for x in X]

    np.testing.assert_allclose(step_network(knots, values)(X), bars)


@pytest.mark.parametrize("name", ["square", "sine", "sqrt", "abs"])
def test_a_fit_is_never_worse_than_the_constructed_network(name: str) -> None:
    f, knots = FUNCTIONS[name], np.linspace(0, 1, 17)

    fitted, constructed = (
        float(np.mean((network(X) - f(X)) ** 2)) for network in (fitted_network(f, 16), relu_network(knots, f(knots)))
    )

    # The fit is least squares on another grid than the one it is looked at on here.
    assert fitted <= constructed * 1.01


def test_a_rate_is_the_exponent() -> None:
    assert rate((2, 4, 8), [0.25 * 2**-1.5, 0.25 * 4**-1.5, 0.25 * 8**-1.5]) == pytest.approx(1.5)


@pytest.mark.parametrize("name", ["square", "sine", "sqrt", "abs"])
def test_the_functions_are_those_that_networks_are_trained_on(name: str) -> None:
    asked = CLAIM.stages[0].experiments("full", {})["tuning"].spec
    spec = type(asked.dataset)(
        "function_1d", tuple(sorted((dict(asked.dataset.parameters) | {"function": name}).items()))
    )

    data = datasets.load(spec)

    found, made = np.asarray(data.y_train)[:, 0], FUNCTIONS[name](np.asarray(data.x_train)[:, 0])
    # The data set may be standardised: then the two are alike but for scale and offset.
    assert np.corrcoef(found, made)[0, 1] == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("exponent", "verdict"), [(2.0, Verdict.SUPPORTED), (1.0, Verdict.REFUTED)])
def test_trained_networks_are_judged_by_the_exponent_of_their_error(exponent: float, verdict: Verdict) -> None:
    def loss(_: object, arm: Arm, replicate: int) -> float:
        return math.exp(0.01 * (-1.0) ** replicate - 2 * exponent * math.log(arm.network.width))

    judged = judge(CLAIM, evidence_of(CLAIM, "quick", loss))

    assert {part.part.name: part.verdict for part in judged.parts} == {
        "interpolates": Verdict.SUPPORTED,
        "fits": Verdict.SUPPORTED,
        "like_riemann": Verdict.REFUTED,
        "trained": verdict,
    }


def test_every_exponent_can_be_worked_out_again_from_the_errors_it_was_made_of() -> None:
    def loss(_: object, arm: Arm, replicate: int) -> float:
        return math.exp(0.1 * (replicate % 3) - 3 * math.log(arm.network.width))

    for part in judge(CLAIM, evidence_of(CLAIM, "full", loss)).parts:
        for number in part.numbers:
            sizes = [float(told.rpartition(" ")[2]) for told in number.sample.made_of]
            errors = list(number.sample.made_of.values())
            ends = math.log(errors[-1] / errors[0]) / math.log(sizes[-1] / sizes[0])
            assert len(errors) == 5
            assert number.estimate.mean == pytest.approx(-ends, abs=0.05)
            assert number.estimate.mean == pytest.approx(rate(tuple(map(int, sizes)), errors))
