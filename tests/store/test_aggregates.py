"""Means over networks are those of the rows, whichever way one counts."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from lab.statistics import estimate
from store import aggregates, leases, queries, results, rows
from store.aggregates import Aggregation
from store.database import Database
from store.models import Curve, Experiment, Measurement
from store.rows import Filters, Recorded, Thinning
from tests.builders import a_spec
from tests.store.builders import a_record, claimed, ran, submitted

FIELDS = ("dead_fraction", "delta_norm")


@pytest.fixture
def experiment(database: Database) -> Experiment:
    """Arms relu and tanh, 5 replicates, 2 layers, recorded at steps 0, 3 and 6."""
    experiment = submitted(database, a_spec(replicates=5))
    draw = np.random.default_rng(1)

    def record(step: int) -> Any:
        # One network has no value in its second layer.
        norms = draw.lognormal(size=(10, 2))
        norms[3, 1] = np.nan
        # They hardly differ: sums of their squares would say nothing.
        return a_record(step, n_runs=10, dead_fraction=1 + 1e-9 * draw.random((10, 2)), delta_norm=norms)

    ran(database, claimed(database), *map(record, (0, 3, 6)))
    return experiment


def means(
    database: Database,
    experiment: Experiment,
    *fields: str,
    of: type[Recorded] = Measurement,
    limit: int = 1000,
    thinning: Thinning | None = None,
    aggregation: Aggregation = Aggregation(),  # noqa: B008 - it is frozen
    **filters: Any,
) -> list[dict[str, Any]]:
    """All pages."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        with database.reading() as session:
            arms = queries.arms(session, experiment.id)
            asked = rows.asked(experiment.id, of, arms, Filters(**filters), fields or FIELDS)
            block = aggregates.page(session, asked, aggregation, thinning, limit=limit, after=after)
        assert len(block.rows) <= limit
        found += [dict(zip(block.names, row, strict=True)) for row in block.rows]
        after = block.following
        if after is None:
            return found


def recorded(database: Database, experiment: Experiment) -> list[dict[str, Any]]:
    with database.reading() as session:
        arms = queries.arms(session, experiment.id)
        columns = rows.page(
            session, rows.asked(experiment.id, Measurement, arms, Filters(), FIELDS), limit=1000
        ).columns
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_a_mean_is_that_of_the_networks(database: Database, experiment: Experiment, level: float) -> None:
    samples: dict[Any, list[Any]] = defaultdict(list)
    for row in recorded(database, experiment):
        for field in FIELDS:
            samples[row["arm"], row["step"], row["layer"], field].append(row[field])

    found = means(database, experiment, aggregation=Aggregation(level))

    assert [(row["arm"], row["step"], row["layer"]) for row in found] == [
        (arm, step, layer) for arm in (0, 1) for step in (0, 3, 6) for layer in (1, 2)
    ]
    assert list(found[0])[:10] == [
        "arm", "label", "activation", "step", "layer",
        "dead_fraction", "dead_fraction_n", "dead_fraction_sd", "dead_fraction_low", "dead_fraction_high",
    ]  # fmt: skip
    for row in found:
        for field in FIELDS:
            sample = samples[row["arm"], row["step"], row["layer"], field]
            expected = estimate((value for value in sample if value is not None), level=level)
            assert row[f"{field}_n"] == expected.n
            assert row[field] == pytest.approx(expected.mean, rel=1e-12)
            assert row[f"{field}_sd"] == pytest.approx(expected.sd, rel=1e-6)
            assert (row[f"{field}_low"], row[f"{field}_high"]) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_over_layers_each_network_has_one_mean_where_all_its_layers_have(
    database: Database, experiment: Experiment
) -> None:
    of_network: dict[Any, list[Any]] = defaultdict(list)
    for row in recorded(database, experiment):
        of_network[row["arm"], row["step"], row["replicate"]].append(row["delta_norm"])
    expected: dict[Any, list[float]] = defaultdict(list)
    for (arm, step, _), layers in of_network.items():
        if None not in layers:
            expected[arm, step].append(float(np.mean(layers)))

    found = means(database, experiment, aggregation=Aggregation(over_layers=True))

    assert "layer" not in found[0]
    assert [(row["arm"], row["step"]) for row in found] == [(arm, step) for arm in (0, 1) for step in (0, 3, 6)]
    for row in found:
        sample = expected[row["arm"], row["step"]]
        assert row["delta_norm_n"] == len(sample) == (4 if row["arm"] == 0 else 5)
        assert row["delta_norm"] == pytest.approx(np.mean(sample), rel=1e-12)
        assert row["delta_norm_sd"] == pytest.approx(np.std(sample, ddof=1), rel=1e-9)


@pytest.mark.parametrize("limit", [1, 5])
def test_pages_hold_everything_once(database: Database, experiment: Experiment, limit: int) -> None:
    assert means(database, experiment, limit=limit) == means(database, experiment)


def test_means_are_narrowed(database: Database, experiment: Experiment) -> None:
    found = means(database, experiment, activations=("tanh",), layers=(2,), replicates=(0, 1), step_min=3)

    assert [(row["arm"], row["step"], row["layer"], row["delta_norm_n"]) for row in found] == [
        (1, 3, 2, 2),
        (1, 6, 2, 2),
    ]


def test_curves_have_means_as_well(database: Database, experiment: Experiment) -> None:
    found = means(database, experiment, "test_loss", of=Curve)

    assert [row["step"] for row in found] == [0, 3, 6] * 2
    assert found[0]["test_loss"] == pytest.approx(2.2)


def test_a_mean_series_is_thinned_by_its_means(database: Database) -> None:
    experiment = submitted(database)
    record = [a_record(step, delta_norm=[[100.0 if step == 17 else step, step]] * 4) for step in range(40)]
    ran(database, claimed(database), *record)

    found = means(database, experiment, "delta_norm", thinning=Thinning(4, "delta_norm"))

    assert [row["step"] for row in found if (row["arm"], row["layer"]) == (0, 1)] == [0, 17, 39]


def test_what_is_too_large_to_be_squared_does_not_count(database: Database) -> None:
    experiment = submitted(database, a_spec("relu", replicates=4))
    hard = [[1e300, 5e-324], [-1e300, 1e-200], [1.0, 3e-160], [2.0, 0.0]]
    ran(database, claimed(database), a_record(0, n_runs=4, delta_norm=hard))

    first, second = means(database, experiment, "delta_norm")

    assert (first["delta_norm"], first["delta_norm_n"]) == (1.5, 2)
    assert (second["delta_norm_n"], second["delta_norm_sd"]) == (4, 0.0)


def test_what_a_failed_run_left_behind_does_not_count(database: Database) -> None:
    experiment = submitted(database, a_spec(sweep=(("training.steps", (4, 6)),)))
    ran(database, claimed(database), a_record(0))
    claim = claimed(database)
    with database.writing() as session:
        results.record(session, claim, a_record(0), results.begin(session, claim))

    training = {row["arm"] for row in means(database, experiment, "delta_norm")}
    with database.writing() as session:
        leases.fail(session, claim, error_class="broken", error="It broke.")
    after = {row["arm"] for row in means(database, experiment, "delta_norm")}

    assert (training, len(after)) == ({0, 1, 2, 3}, 2)
