"""Predictions are kept once for every arm, by the claim that holds its first run; measurements are those of step 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from lab.errors import InvalidRequest, LeaseLost
from lab.records import PredictedValue
from store import leases, predictions, queries
from store.database import Database
from store.models import Prediction
from tests.builders import a_spec
from tests.store.builders import a_record, a_result, claimed, in_stacks, ran, run_out, submitted

KNOWN = PredictedValue(1, "gradient_ratio", 0.25, 0.2, 0.3)
UNKNOWN = PredictedValue(2, "gradient_ratio", None, None, None, "the last hidden layer has none above it")


def kept(database: Database, experiment_id: str, *arms: int) -> dict[int, list[PredictedValue]]:
    with database.reading() as session:
        return predictions.predictions(session, experiment_id, arms)


def record(database: Database, claim: leases.Claim, found: dict[int, Any]) -> None:
    with database.writing() as session:
        predictions.record(session, claim, found)


def unpredicted(database: Database, claim: leases.Claim) -> list[int]:
    with database.reading() as session:
        return predictions.unpredicted(session, claim)


def test_what_was_recorded_is_read_back_and_a_second_time_does_no_harm(database: Database) -> None:
    experiment, claim = submitted(database), claimed(database)

    record(database, claim, {0: [KNOWN, UNKNOWN], 1: [UNKNOWN]})
    record(database, claim, {0: [KNOWN, UNKNOWN]})

    assert kept(database, experiment.id, 0, 1, 2) == {0: [KNOWN, UNKNOWN], 1: [UNKNOWN], 2: []}


def test_each_arm_is_predicted_by_the_claim_that_holds_its_first_run(database: Database) -> None:
    # A stack takes half of what is left: arm 0's replicates are in more than one.
    submitted(database, a_spec("relu", width=1024, batch_size=64, replicates=8))
    claims = [claimed(database) for _ in range(2)]

    assert sorted(unpredicted(database, claim) for claim in claims) == [[], [0]]


def test_an_arm_that_has_its_predictions_is_not_predicted_again(database: Database) -> None:
    submitted(database)
    claim = claimed(database)
    before = unpredicted(database, claim)

    record(database, claim, {0: [KNOWN]})

    assert (before, unpredicted(database, claim)) == ([0, 1], [1])


def test_a_worker_that_lost_its_lease_predicts_nothing(database: Database) -> None:
    experiment, late = submitted(database), claimed(database)
    run_out(database, late)
    with database.writing() as session:
        leases.expire(session, max_losses=3)
    record(database, claimed(database), {0: [KNOWN]})

    with pytest.raises(LeaseLost):
        record(database, late, {0: [UNKNOWN]})

    assert kept(database, experiment.id, 0) == {0: [KNOWN]}


def test_predictions_go_with_their_experiment(database: Database) -> None:
    experiment = submitted(database)
    record(database, claimed(database), {0: [KNOWN]})

    with database.writing() as session:
        session.delete(session.merge(experiment))

    with database.reading() as session:
        assert session.scalars(sa.select(Prediction)).all() == []


def test_what_is_measured_at_step_0_is_in_the_terms_of_theory(database: Database) -> None:
    experiment = submitted(database)
    first = a_record(
        0,
        delta_norm=[[1.0, 2.0], [0.0, 1.0], [3.0, 1.0], [1.0, 1.0]],
        preactivation_mean=[[3.0, 1e200]],
        preactivation_std=4.0,
        activation_mean=0.5,
        dead_fraction=[[0.0, 0.25]],
    )
    ran(database, claimed(database), first, a_record(6), results_of=[a_result(diverged_at=3), *[a_result()] * 3])

    with database.reading() as session:
        relu, tanh = predictions.measured(session, experiment.id, (0, 1)).values()

    # A run that diverged later had not at step 0; a gradient of 0 has no ratio.
    assert relu.of(1, "gradient_ratio") == {0: pytest.approx(0.25), 1: None}
    assert tanh.of(1, "gradient_ratio") == {0: pytest.approx(9.0), 1: pytest.approx(1.0)}
    assert relu.of(2, "gradient_ratio") == {0: None, 1: None}
    assert relu.of(1, "preactivation_variance") == {0: 25.0, 1: 25.0}
    assert relu.of(2, "preactivation_variance") == {0: None, 1: None}
    assert tanh.of(2, "dead_fraction") == {0: 0.25, 1: 0.25}
    assert tanh.of(2, "activation_mean") == {0: 0.5, 1: 0.5}


def test_networks_that_have_not_succeeded_are_planned_and_have_no_value(database: Database) -> None:
    experiment = submitted(database, in_stacks(2))
    ran(database, claimed(database), a_record(0, n_layers=1, activation_mean=np.nan))

    with database.reading() as session:
        found = predictions.measured(session, experiment.id, range(4))

    assert all(arm.of(1, "activation_mean") == {0: None, 1: None} for arm in found.values())
    assert found[0].of(1, "dead_fraction")[0] is not None
    assert found[1].of(1, "dead_fraction") == {0: None, 1: None}


def test_arms_come_in_pages(database: Database) -> None:
    experiment = submitted(database, in_stacks(3))

    def page(**asked: Any) -> tuple[list[int], str | None]:
        with database.reading() as session:
            found, following = queries.page_of_arms(session, experiment.id, **asked)
            return [arm.position for arm in found], following

    first, cursor = page(limit=4)

    assert first == [0, 1, 2, 3]
    assert page(limit=4, after=cursor) == ([4, 5], None)
    assert page(limit=4, positions=(1, 5)) == ([1, 5], None)
    with pytest.raises(InvalidRequest):
        page(limit=4, after="x")
