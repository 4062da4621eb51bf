"""One number per run is what a slow reading of the rows gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lab.statistics import compare
from store import deletions, leases, metrics, results
from store.database import Database
from store.metrics import GRADIENT_RATIO, REVIVED_SHARE, RUN_METRICS, MetricValues
from tests.builders import a_spec
from tests.store.builders import a_record, a_result, claimed, in_stacks, ran, submitted


def values_of(database: Database, experiment_id: str, metric: str, **asked: Any) -> MetricValues:
    with database.reading() as session:
        return metrics.metric_values(session, experiment_id, metric, **asked)


def an_experiment(database: Database, *records: Any, **fields: Any) -> str:
    """Arms relu and tanh, 2 replicates, 2 layers, 6 steps."""
    experiment = submitted(database)
    ran(database, claimed(database), *records, **fields)
    return experiment.id


def test_a_result_of_the_run_is_read_from_the_run(database: Database) -> None:
    accuracies = [a_result(test_accuracy=accuracy) for accuracy in (0.1, 0.2, 0.3, None)]
    experiment = an_experiment(database, results_of=accuracies)

    found = values_of(database, experiment, "test_accuracy", layer=2, at="first")

    assert found == MetricValues(
        {0: {0: 0.1, 1: 0.2}, 1: {0: 0.3, 1: None}},
        failed={0: 0, 1: 0},
        cancelled={0: set(), 1: set()},
        diverged={0: 0, 1: 0},
    )


def test_the_share_of_units_that_came_back_is_of_those_that_were_dead(database: Database) -> None:
    history = [
        # Of run 0, layer 1: unit 0 born dead and back, dead and back again; unit 1 dies for good; layer 2: unit 5 too.
        a_record(0, died=[(0, 1, 0), (3, 1, 2)]),
        a_record(2, died=[(0, 1, 1), (0, 2, 5)], revived=[(0, 1, 0)]),
        a_record(3, died=[(0, 1, 0)]),
        a_record(6, revived=[(0, 1, 0), (3, 1, 2)]),
    ]
    experiment = an_experiment(database, *history)

    whole, first, second = (
        values_of(database, experiment, REVIVED_SHARE, layer=layer).values for layer in (None, 1, 2)
    )

    assert whole == {0: {0: 1 / 3, 1: None}, 1: {0: None, 1: 1.0}}
    assert first == {0: {0: 1 / 2, 1: None}, 1: {0: None, 1: 1.0}}
    assert second == {0: {0: 0.0, 1: None}, 1: {0: None, 1: None}}


@pytest.mark.parametrize(("at", "step"), [("first", 0), ("last", 6)])
def test_a_measurement_is_read_at_its_step(database: Database, at: str, step: int) -> None:
    records = [a_record(each, delta_norm=np.arange(8.0).reshape(4, 2) + 100 * each) for each in (0, 3, 6)]
    experiment = an_experiment(database, *records)

    whole = values_of(database, experiment, "delta_norm", at=at)
    second = values_of(database, experiment, "delta_norm", at=at, layer=2)
    third = values_of(database, experiment, "delta_norm", at=at, layer=3)

    base = 100.0 * step
    assert whole.values == {0: {0: base + 0.5, 1: base + 2.5}, 1: {0: base + 4.5, 1: base + 6.5}}
    assert second.values == {0: {0: base + 1, 1: base + 3}, 1: {0: base + 5, 1: base + 7}}
    assert third.values == {0: {0: None, 1: None}, 1: {0: None, 1: None}}


def test_the_mean_over_steps_is_by_trapezoids_over_what_is_defined(database: Database) -> None:
    levels = {0: np.nan, 1: 4.0, 3: 2.0, 6: 8.0}
    experiment = an_experiment(database, *(a_record(step, update_ratio=level) for step, level in levels.items()))

    found = values_of(database, experiment, "update_ratio", at="auc").values[0][0]

    # NumPy's own trapezoid, on the steps after 0, divided by their length.
    assert found == pytest.approx(np.trapezoid([4, 2, 8], [1, 3, 6]) / 5)


def test_a_mean_over_layers_is_undefined_where_one_layer_is(database: Database) -> None:
    experiment = an_experiment(database, a_record(6, delta_norm=[[1.0, np.nan], [1.0, 3.0], [1.0, 1.0], [1.0, 1.0]]))

    assert values_of(database, experiment, "delta_norm").values[0] == {0: None, 1: 2.0}


def test_the_gradient_ratio_is_the_factor_per_layer_towards_the_input(database: Database) -> None:
    experiment = submitted(database, a_spec("relu", depth=4, replicates=4))
    norms = [[1.0, 5.0, 5.0, 8.0], [8.0, 0.0, np.nan, 1.0], [1e-200, 1, 1, 1e-180], [0.0, 1, 1, 1]]
    ran(database, claimed(database), a_record(6, n_layers=4, delta_norm=norms))

    found = values_of(database, experiment.id, GRADIENT_RATIO).values[0]

    # delta_norm^2 falls from 64 to 1 over three layers: a factor of 1/4 a layer.
    assert found[0] == pytest.approx(1 / 4)
    assert found[1] == pytest.approx(4)
    assert found[2] == pytest.approx(1e-40 ** (1 / 3))
    assert found[3] is None


def test_one_layer_has_no_gradient_ratio(database: Database) -> None:
    experiment = submitted(database, a_spec("relu", depth=1))
    ran(database, claimed(database), a_record(6, n_runs=2, n_layers=1))

    assert values_of(database, experiment.id, GRADIENT_RATIO).values == {0: {0: None, 1: None}}


def test_the_gradient_ratio_averages_over_steps(database: Database) -> None:
    experiment = an_experiment(database, *(a_record(step, delta_norm=[[step + 1.0, 1.0]]) for step in (0, 2, 6)))

    found = values_of(database, experiment, GRADIENT_RATIO, at="auc").values[1][1]

    assert found == pytest.approx(np.trapezoid([1, 9, 49], [0, 2, 6]) / 6)


def test_the_databases_mean_over_steps_is_the_one_that_is_taken_here(database: Database) -> None:
    """Here that of the gradient ratio is: of two layers it is the first one's squared norm over the last one's."""
    nan = np.nan
    of_runs = {0: [2, 5, nan, nan], 1: [nan, 3, nan, nan], 3: [7, 4, nan, 8], 6: [9, 1, nan, nan]}
    records = [
        a_record(step, delta_norm=[[value**0.5, 1] for value in values], weight_norm=[[value] * 2 for value in values])
        for step, values in of_runs.items()
    ]
    experiment = an_experiment(database, *records)

    theirs, ours = (values_of(database, experiment, name, at="auc").values for name in ("weight_norm", GRADIENT_RATIO))

    numbers = [[each[arm][replicate] for arm in (0, 1) for replicate in (0, 1)] for each in (theirs, ours)]
    assert numbers[0][2] is None is numbers[1][2]
    assert [numbers[0][i] for i in (0, 1, 3)] == pytest.approx([numbers[1][i] for i in (0, 1, 3)])


@pytest.mark.parametrize("metric", [*RUN_METRICS, "delta_norm", GRADIENT_RATIO])
def test_a_diverged_run_has_no_value_but_its_first(database: Database, metric: str) -> None:
    outcomes = [a_result(), a_result(diverged_at=3), a_result(), a_result()]
    experiment = an_experiment(database, a_record(0), a_record(6, diverged_at=[-1, 3, -1, -1]), results_of=outcomes)

    for at in ("first", "last", "auc"):
        found = values_of(database, experiment, metric, at=at)

        assert found.diverged == {0: 1, 1: 0}
        assert found.values[0][0] is not None
        assert (found.values[0][1] is None) == (at != "first" or metric in RUN_METRICS)


def test_a_run_that_has_not_succeeded_has_no_value_and_is_counted(database: Database) -> None:
    experiment = submitted(database, in_stacks(5))
    ran(database, claimed(database), a_record(6, n_layers=1))
    failing, stopping, training = (claimed(database) for _ in range(3))
    with database.writing() as session:
        leases.fail(session, failing, error_class="E", error="It broke.")
        leases.cancelled(session, stopping)
        run_ids = results.begin(session, training)
        results.record(session, training, a_record(6, n_layers=4), run_ids)

    for metric in ("delta_norm", "test_loss"):
        found = values_of(database, experiment.id, metric)

        # Arms are relu at depth 1 to 5, then tanh: succeeded, failed, cancelled, running, queued.
        assert list(found.values) == list(range(10))
        assert all(list(replicates) == [0, 1] for replicates in found.values.values())
        valued = [arm for arm, replicates in found.values.items() if None not in replicates.values()]
        assert valued == [0, 5]
        assert {arm for arm, n in found.failed.items() if n == 2} == {1, 6}
        assert {arm: gone for arm, gone in found.cancelled.items() if gone} == {2: {0, 1}, 7: {0, 1}}
        assert sum(found.failed.values()) == 4
        assert (found.without_cancelled(1), found.without_cancelled(2)) == ({0: None, 1: None}, {})


def test_pairs_that_both_failed_are_missing(database: Database) -> None:
    """Not left out on both sides, as if they had never been planned."""
    experiment = submitted(database, a_spec(replicates=2))
    claim = claimed(database)
    with database.writing() as session:
        leases.fail(session, claim, error_class="E", error="It broke.")

    difference = compare(values_of(database, experiment.id, "test_loss").values, {0: 0, 1: 0})[1].difference

    assert difference is not None
    assert (difference.n, difference.missing) == (0, 2)


def test_an_experiment_that_has_not_begun_has_no_values(database: Database) -> None:
    experiment = submitted(database)

    none, nobody = {0: None, 1: None}, {0: 0, 1: 0}
    found = values_of(database, experiment.id, "delta_norm")
    assert found == MetricValues({0: none, 1: none}, nobody, {0: set(), 1: set()}, nobody)


def test_metrics_of_a_deleted_experiment_are_gone(database: Database) -> None:
    experiment = an_experiment(database, a_record(6))
    with database.writing() as session:
        deletions.delete(session, experiment)
        deletions.purge(session, within_s=60)

    assert values_of(database, experiment, "delta_norm") == MetricValues({}, {}, {}, {})
