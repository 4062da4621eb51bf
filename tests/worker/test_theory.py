"""What a worker keeps of theory is what its networks then show; where theory breaks, they are trained all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from lab.agreement import Agreement, agreement, whole_network
from lab.limits import Limits
from lab.plan import plan
from lab.records import PredictedValue
from lab.spec import ExperimentSpec
from store import predictions
from store.database import Database
from store.models import Stack
from tests.builders import a_spec
from tests.worker.workplaces import a_workplace, rows, submitted
from worker import theory
from worker.training import train_next


def trained(database: Database, spec: ExperimentSpec) -> str:
    experiment_id = submitted(database, spec)
    while train_next(a_workplace(database)):
        pass
    return experiment_id


def beside(database: Database, experiment_id: str, arm: int = 0) -> dict[tuple[int, str], Agreement]:
    with database.reading() as session:
        predicted = predictions.predictions(session, experiment_id, [arm])[arm]
        measured = predictions.measured(session, experiment_id, [arm])[arm]
    return {
        (each.layer or 0, each.quantity): agreement(each, measured.of(each.layer or 0, each.quantity))
        for each in predicted
    }


def outcomes(found: dict[tuple[int, str], Agreement], quantity: str) -> list[str | None]:
    return [each.outcome for (_, name), each in found.items() if name == quantity]


def test_an_identity_network_agrees_with_a_ratio_of_one_third(sqlite_database: Database) -> None:
    spec = a_spec("identity", depth=3, width=128, replicates=20, steps=1, points=2, probe_size=100)

    found = beside(sqlite_database, trained(sqlite_database, spec))

    for layer in (1, 2):
        each = found[layer, "gradient_ratio"]
        assert each.prediction.predicted == pytest.approx(1 / 3)
        assert (each.outcome, each.measured.n, each.missing) == ("agrees", 20, 0), each
    assert found[3, "gradient_ratio"].reason == "the last hidden layer has none above it"


def test_a_relu_network_bends_as_often_as_predicted_where_that_was_asked(sqlite_database: Database) -> None:
    network = {"initialization": "he_normal"}
    spec = a_spec("relu", "tanh", depth=2, width=256, steps=1, points=2, replicates=8, network=network)
    asking = replace(spec, recording=replace(spec.recording, geometry=True))

    silent, asked = (trained(sqlite_database, each) for each in (spec, asking))

    relu = beside(sqlite_database, asked)
    assert outcomes(relu, "breakpoints") == ["agrees", "agrees"]
    tanh = beside(sqlite_database, asked, arm=1)[1, "breakpoints"]
    assert tanh.reason == "Kac and Rice's count is of ReLU networks without norms and residual branches"
    assert tanh.measured.n == 0
    assert outcomes(beside(sqlite_database, silent), "breakpoints") == []


def test_a_deep_sigmoid_network_agrees_and_a_prediction_three_tenths_off_does_not(sqlite_database: Database) -> None:
    spec = a_spec("sigmoid", depth=8, width=128, replicates=20, steps=1, points=2, probe_size=64)
    experiment_id = trained(sqlite_database, spec)

    found = beside(sqlite_database, experiment_id)

    # Its slope is 1/4 at most: gradients fall by at least 1/3 of 1/16 a layer.
    ratios = [found[layer, "gradient_ratio"] for layer in range(1, 8)]
    assert all(each.prediction.predicted is not None and each.prediction.predicted < 1 / 48 for each in ratios)
    assert [each.outcome for each in ratios].count("agrees") >= 5, ratios
    assert "disagrees" not in [each.outcome for each in ratios]
    assert set(outcomes(found, "activation_mean")) == {"agrees"}
    with sqlite_database.reading() as session:
        measured = predictions.measured(session, experiment_id, [0])[0]
    for each in ratios:
        right = each.prediction
        assert right.predicted is not None
        assert right.low is not None
        assert right.high is not None
        wrong = PredictedValue(right.layer, right.quantity, 1.3 * right.predicted, 1.3 * right.low, 1.3 * right.high)
        assert agreement(wrong, measured.of(right.layer or 0, "gradient_ratio")).outcome == "disagrees"


def test_dead_relu_units_are_as_predicted_for_the_probe_and_more_on_ten_inputs(sqlite_database: Database) -> None:
    few, many = (
        beside(
            sqlite_database,
            trained(
                sqlite_database,
                a_spec("relu", depth=2, width=256, replicates=8, steps=1, points=2, probe_size=probe_size),
            ),
        )
        for probe_size in (10, 300)
    )

    assert set(outcomes(few, "dead_fraction")) == set(outcomes(many, "dead_fraction")) == {"agrees"}
    for layer in (1, 2):
        assert (few[layer, "dead_fraction"].prediction.low or 0) > (many[layer, "dead_fraction"].measured.high or 1)


def test_a_dead_network_has_no_ratio_and_says_so(sqlite_database: Database) -> None:
    # The gain leaves every weight 1e-30 times as large: squared gradients leave float32.
    spec = a_spec("relu", depth=3, width=32, replicates=5, steps=1, points=2, network={"gain": 1e-30})
    experiment_id = trained(sqlite_database, spec)

    found = beside(sqlite_database, experiment_id)[1, "gradient_ratio"]

    assert (found.measured.mean, found.ratio, found.outcome) == (None, None, None)
    assert "undefined" in found.reason


def test_arms_that_differ_only_in_training_share_their_theory() -> None:
    spec = a_spec("relu", width=32, sweep=(("training.learning_rate", (0.1, 0.2)),))
    (stack,) = plan(spec, Limits()).stacks

    found = theory.overlays(stack, [0, 1], np.eye(2))

    assert found[0] is found[1]


def test_where_theory_breaks_the_stack_is_trained_and_the_reason_kept(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError("no root")

    monkeypatch.setattr("worker.theory.overlay", broken)

    experiment_id = trained(sqlite_database, a_spec("relu"))

    assert {stack.state for stack in rows(sqlite_database, Stack)} == {"succeeded"}
    found = beside(sqlite_database, experiment_id)
    assert {each.reason for each in found.values()} == {"theory broke off: LinAlgError: 'no root'"}


def test_a_stack_that_is_trained_again_keeps_its_predictions(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment_id = submitted(sqlite_database, a_spec("relu", width=32))
    train_next(a_workplace(sqlite_database))
    with sqlite_database.reading() as session:
        before = predictions.predictions(session, experiment_id, [0])
    monkeypatch.setattr("worker.theory.overlay", None)
    with sqlite_database.writing() as session:
        session.execute(sa.update(Stack).values(state="queued"))

    train_next(a_workplace(sqlite_database))

    with sqlite_database.reading() as session:
        assert predictions.predictions(session, experiment_id, [0]) == before
    assert whole_network(before[0]).predicted is not None
