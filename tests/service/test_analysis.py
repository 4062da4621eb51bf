from __future__ import annotations

import math
from typing import Any

import pytest
from flask.testing import FlaskClient

from lab.catalog.measurements import CURVES, DERIVED, GEOMETRY, MEASUREMENTS
from lab.plan import Run
from lab.records import PredictedValue
from lab.spec import DatasetSpec
from service.drawing import FIGURES
from store.database import Database
from store.metrics import RUN_METRICS
from tests.builders import a_spec
from tests.service.recorded import DEAD_END, DEAD_START, GRADIENT_RATIO, failed, predicted, submitted, trained

# Accuracy of arm 0, then of arm 1, by replicate.
_SCORES = ((0.50, 0.60, 0.55, 0.65, 0.70), (0.60, 0.68, 0.67, 0.73, 0.82))


def _scored(run: Run) -> float:
    return _SCORES[run.arm.position][run.replicate]


def _compare(client: FlaskClient, experiment_id: str, query: str) -> Any:
    return client.get(f"/v1/experiments/{experiment_id}/comparison?{query}").get_json()


def test_a_comparison_is_a_paired_t_interval(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec(replicates=5), accuracy=_scored)

    answer = _compare(client, experiment_id, "metric=test_accuracy")

    # Differences 0.10, 0.08, 0.12, 0.08, 0.12: mean 0.1, sd 0.02; t(4; 0.975) = 2.776445.
    half = 2.776445 * 0.02 / math.sqrt(5)
    difference = answer["arms"][1]["difference"]
    assert answer["baseline"] == "relu"
    assert answer["arms"][0]["difference"] is None
    assert answer["arms"][0]["mean"] == pytest.approx(0.6)
    assert difference["to"] == "relu"
    assert (difference["n"], difference["missing"]) == (5, 0)
    assert difference["mean"] == pytest.approx(0.1)
    assert difference["low"] == pytest.approx(0.1 - half, abs=1e-6)
    assert difference["high"] == pytest.approx(0.1 + half, abs=1e-6)
    assert difference["p"] == difference["p_holm"]
    assert difference["p"] < 0.001
    assert (answer["layer"], answer["at"], answer["level"]) == (None, None, 0.95)


def test_a_comparison_and_a_report_say_of_which_arms_interval_and_p_differ(
    client: FlaskClient, database: Database
) -> None:
    # Of gelu's differences from relu p is 0.034 (scipy's ttest_rel); of two arms with tanh's smaller p it stays so.
    off = {"relu": (0, 0, 0, 0, 0), "tanh": (0.2, 0.2, 0.2, 0.2, 0.21), "gelu": (0.01, 0.05, 0.09, 0.08, 0.02)}
    off["elu"] = (-0.05, 0.05, -0.03, 0.03, 0.01)
    experiment_id = trained(
        database,
        a_spec(*off, replicates=5),
        accuracy=lambda run: 0.5 + off[run.arm.activation.name][run.replicate],
    )

    one = _compare(client, trained(database, a_spec(replicates=5), accuracy=_scored), "metric=test_accuracy")
    answer = _compare(client, experiment_id, "metric=test_accuracy")
    report = client.get(f"/v1/experiments/{experiment_id}/report").text

    gelu = answer["arms"][2]["difference"]
    assert (gelu["low"] > 0, gelu["p"] < 0.05, gelu["p_holm"] > 0.05) == (True, True, True)
    assert answer["note"].endswith("where p is not below 0.05: here for gelu.")
    assert answer["note"] in report
    assert one["note"] == ""


def test_a_wider_level_gives_a_wider_interval(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec(replicates=5), accuracy=_scored)

    narrow, wide = (_compare(client, experiment_id, f"metric=test_accuracy&level={level}") for level in (0.9, 0.99))

    assert wide["arms"][1]["low"] < narrow["arms"][1]["low"]


def test_each_arm_is_compared_at_its_own_point_of_the_sweep(client: FlaskClient, database: Database) -> None:
    spec = a_spec(sweep=(("network.depth", (1, 2)),), baseline=1)

    answer = _compare(client, trained(database, spec), "metric=test_loss")

    assert [arm["difference"] and arm["difference"]["to"] for arm in answer["arms"]] == [
        "tanh, depth=1",
        "tanh, depth=2",
        None,
        None,
    ]
    assert answer["arms"][1]["swept"] == {"network.depth": 2}


def test_a_diverged_network_is_counted_and_makes_its_pair_missing(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec(replicates=5), accuracy=_scored, diverged={(1, 2): 3})

    arm = _compare(client, experiment_id, "metric=test_accuracy")["arms"][1]

    assert (arm["n"], arm["diverged"], arm["failed"], arm["cancelled"]) == (4, 1, 0, 0)
    assert (arm["difference"]["n"], arm["difference"]["missing"]) == (4, 1)
    assert arm["difference"]["low"] is None
    assert "inconclusive" in arm["difference"]["note"]


def test_what_was_cancelled_is_counted_apart_from_what_failed(client: FlaskClient, database: Database) -> None:
    spec = a_spec("relu", sweep=(("network.depth", (1, 2)),))
    path = f"/v1/experiments/{failed(database, spec)}"
    client.post(f"{path}/cancel")

    compared = client.get(f"{path}/comparison?metric=dead_fraction").get_json()["arms"]
    table = client.get(f"{path}/summary").get_json()["table"]

    for rows in (compared, table):
        assert [(row["n"], row["failed"], row["cancelled"]) for row in rows] == [(0, 2, 0), (0, 0, 2)]


def test_added_replicates_that_were_cancelled_leave_what_was_complete(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(replicates=5), accuracy=_scored)}"
    predicted(database, path.rpartition("/")[2], PredictedValue(1, "gradient_ratio", GRADIENT_RATIO, 0.24, 0.26041666))
    before = client.get(f"{path}/comparison?metric=test_accuracy").get_json()["arms"][1]
    client.post(f"{path}/replicates", json={"replicates": 10})
    assert client.post(f"{path}/cancel").get_json()["state"] == "cancelled"

    after = client.get(f"{path}/comparison?metric=test_accuracy").get_json()["arms"][1]
    answer = "\n".join(client.get(f"{path}/summary").get_json()["answer"])
    theory = client.get(f"{path}/predictions?arm=0").get_json()["items"][0]["predictions"][0]

    note = "replicates 5 to 9 were cancelled and do not count"
    assert after == before | {"cancelled": 5, "difference": before["difference"] | {"note": note}}
    assert "better: tanh by" in answer
    assert "5 of tanh were cancelled (replicates 5 to 9)" in answer
    assert (theory["measured"]["n"], theory["missing"], theory["agreement"]) == (5, 0, "agrees")


def test_a_first_training_that_was_cancelled_before_five_are_complete_says_nothing(
    client: FlaskClient, database: Database
) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(replicates=4), accuracy=_scored)}"
    client.post(f"{path}/replicates", json={"replicates": 5})
    client.post(f"{path}/cancel")

    answer = "\n".join(client.get(f"{path}/summary").get_json()["answer"])

    assert "inconclusive: tanh (4 pairs, of 5 that a verdict takes)" in answer


def test_the_size_of_the_probe_is_each_arms_own(client: FlaskClient, database: Database) -> None:
    dataset = DatasetSpec("xor", (("n_test", 9), ("n_train", 100), ("noise", 0.0)))
    spec = a_spec("relu", dataset=dataset, probe_size=250, sweep=(("dataset.n_train", (300, 200)),))
    path = f"/v1/experiments/{trained(database, spec)}"

    comparison = client.get(f"{path}/comparison?metric=dead_fraction").get_json()
    summary = client.get(f"{path}/summary").get_json()

    assert [row["probe_size"] for row in comparison["arms"]] == [250, 200]
    assert [row["probe_size"] for row in summary["table"]] == [250, 200]
    assert comparison["probe_size"] == summary["probe_size"] == 200
    assert "at least 200 training inputs" in client.get(f"{path}/report").text


@pytest.mark.parametrize("metric", [*MEASUREMENTS, *CURVES, *DERIVED])
def test_every_metric_can_be_compared(metric: str, sqlite_client: FlaskClient, sqlite_database: Database) -> None:
    answer = _compare(sqlite_client, trained(sqlite_database, a_spec()), f"metric={metric}")

    assert answer["definition"] == (MEASUREMENTS | CURVES | DERIVED)[metric].definition
    # What the request did not ask for nobody has.
    n = 0 if metric in GEOMETRY else 2
    assert [arm["n"] for arm in answer["arms"]] == [n, n]


def test_a_measurement_is_taken_at_the_layer_and_step_asked(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec(depth=3))

    first = _compare(client, experiment_id, "metric=dead_fraction&at=first&layer=2")
    last = _compare(client, experiment_id, "metric=dead_fraction")
    layer = _compare(client, experiment_id, "metric=activation_mean&layer=3")

    assert (first["layer"], first["at"], first["arms"][0]["mean"]) == (2, "first", DEAD_START)
    assert (last["layer"], last["at"], last["arms"][0]["mean"]) == ("mean", "last", DEAD_END)
    assert layer["arms"][0]["mean"] == 3.5


def test_the_gradient_ratio_is_per_layer(client: FlaskClient, database: Database) -> None:
    answer = _compare(client, trained(database, a_spec(depth=4)), "metric=gradient_ratio&at=first")

    assert answer["arms"][0]["mean"] == pytest.approx(GRADIENT_RATIO)
    assert answer["layer"] is None


def test_the_share_of_units_that_came_back_has_layers_but_no_step(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec(depth=2))

    whole = _compare(client, experiment_id, "metric=revived_share")
    first = _compare(client, experiment_id, "metric=revived_share&layer=1")

    # Of two units a layer that were dead, one came back.
    assert (whole["layer"], whole["at"], whole["arms"][0]["mean"]) == ("mean", None, 0.5)
    assert (first["layer"], first["at"], first["arms"][0]["mean"]) == (1, None, 0.5)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "metric"),
        ("metric=accuracy", "metric"),
        ("metric=dead_fraction&layer=0", "layer"),
        ("metric=dead_fraction&layer=all", "layer"),
        ("metric=dead_fraction&at=middle", "at"),
        ("metric=test_loss&level=1", "level"),
        ("metric=test_loss&level=0", "level"),
        ("metric=test_loss&level=nan", "level"),
        ("metric=test_loss&level=1e-2", "level"),
        ("metric=accuracy&at=first", "metric"),
        ("metric=gradient_ratio&layer=1", "layer"),
        ("metric=revived_share&at=last", "at"),
        ("metric=gradient_ratio&layer=mean", "layer"),
        ("metric=dead_fraction&layer=3", "layer"),
    ],
)
def test_a_comparison_is_checked(query: str, field: str, client: FlaskClient, database: Database) -> None:
    answer = client.get(f"/v1/experiments/{submitted(database, a_spec())}/comparison?{query}")

    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]


@pytest.mark.parametrize("metric", RUN_METRICS)
def test_what_is_one_number_a_run_has_no_step_and_no_layer(
    metric: str, sqlite_client: FlaskClient, sqlite_database: Database
) -> None:
    problem = _compare(sqlite_client, submitted(sqlite_database, a_spec()), f"metric={metric}&at=last&layer=mean")

    allowed = f"nothing: it does not apply to {metric}, which is one number a run"
    assert [(e["field"], e["given"], e["allowed"]) for e in problem["errors"]] == [
        ("at", "last", allowed),
        ("layer", "mean", allowed),
    ]


def test_a_layer_is_one_of_the_deepest_arm(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec("relu", sweep=(("network.depth", (1, 3)),)))

    deepest = _compare(client, experiment_id, "metric=dead_fraction&layer=3")
    problem = _compare(client, experiment_id, "metric=dead_fraction&layer=4")

    assert [arm["n"] for arm in deepest["arms"]] == [0, 2]
    assert problem["errors"] == [
        {
            "field": "layer",
            "given": 4,
            "allowed": "mean, or a whole number from 1 to 3",
            "message": "layer: given 4; allowed: mean, or a whole number from 1 to 3.",
        }
    ]


def test_the_summary_is_a_table_and_sentences_that_follow_from_it(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec(replicates=5), accuracy=_scored)

    answer = client.get(f"/v1/experiments/{experiment_id}/summary").get_json()

    row = answer["table"][1]
    assert (row["label"], row["n"], row["failed"], row["diverged"]) == ("tanh", 5, 0, 0)
    assert row["test_accuracy"]["mean"] == pytest.approx(0.7)
    assert row["test_accuracy"]["low"] < 0.7 < row["test_accuracy"]["high"]
    assert row["gradient_ratio"] == pytest.approx(GRADIENT_RATIO)
    assert (row["dead_fraction_start"], row["dead_fraction_end"]) == (DEAD_START, DEAD_END)
    assert answer["probe_size"] == 32
    assert any("tanh" in sentence for sentence in answer["answer"])


def test_the_answer_says_what_changes_along_the_sweep(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(
        database,
        a_spec("relu", replicates=5, sweep=(("training.learning_rate", (0.1, 0.3)),)),
        accuracy=lambda run: _SCORES[run.arm.position][run.replicate],
    )

    answer = client.get(f"/v1/experiments/{experiment_id}/summary").get_json()["answer"]

    # As of the paired comparison above: 10 points, give or take 2.776445 * 2 / sqrt(5).
    [said] = [sentence for sentence in answer if sentence.startswith("Along ")]
    assert "Along learning_rate, against 0.1, in pairs of equal seeds" in said
    assert said.endswith("relu is better at 0.3 (+7.5 to +12.5 points).")


@pytest.mark.parametrize("part", ["summary", *(f"figures/{name}" for name in FIGURES)])
@pytest.mark.parametrize("make", [submitted, failed, trained])
def test_there_is_an_answer_at_every_stage(part: str, make: Any, client: FlaskClient, database: Database) -> None:
    answer = client.get(f"/v1/experiments/{make(database, a_spec(depth=1))}/{part}")

    assert answer.status_code == 200
    assert answer.get_json()


def test_regression_is_judged_by_its_loss(client: FlaskClient, database: Database) -> None:
    dataset = DatasetSpec("function_1d", (("function", "sine"), ("n_test", 20), ("n_train", 30)))
    path = f"/v1/experiments/{trained(database, a_spec(dataset=dataset))}"

    summary = client.get(f"{path}/summary").get_json()
    figure = client.get(f"{path}/figures/learning_curves").get_json()

    assert summary["table"][0]["test_accuracy"]["mean"] is None
    assert summary["table"][0]["n"] == 2
    assert "loss" in summary["answer"][0]
    assert "loss" in figure["layout"]["title"]["text"]
