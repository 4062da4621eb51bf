"""Theory beside the measurement, over HTTP: numbers that a reader can check, and a reason wherever there is none."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from lab.records import PredictedValue
from store.database import Database
from tests.builders import a_spec
from tests.service.recorded import DEAD_START, GRADIENT_RATIO, predicted, submitted, trained

# Networks of `trained` differ in nothing but their scores: their gradients fall by a quarter a layer, means rise by 1.
RIGHT = PredictedValue(1, "gradient_ratio", GRADIENT_RATIO, 0.24, 0.26041666)
WRONG = PredictedValue(1, "gradient_ratio", 1.3 * GRADIENT_RATIO, 1.3 * 0.24, 1.3 * 0.26)
LAST = PredictedValue(2, "gradient_ratio", None, None, None, "the last hidden layer has none above it")
MEAN = PredictedValue(1, "activation_mean", 1.4, 1.2, 1.6)
DEAD = PredictedValue(1, "dead_fraction", 0.5, 0.45, 0.55)


def items(client: FlaskClient, experiment_id: str, query: str = "") -> Any:
    return client.get(f"/v1/experiments/{experiment_id}/predictions{query}").get_json()["items"]


def test_a_prediction_stands_beside_its_measurement(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec("relu", replicates=5))
    predicted(database, experiment_id, RIGHT, MEAN, DEAD, LAST)

    [arm] = items(client, experiment_id)

    rows = {(row["layer"], row["quantity"]): row for row in arm["predictions"]}
    assert (arm["label"], arm["probe_size"], arm["note"]) == ("relu", 32, "")
    ratio = rows[1, "gradient_ratio"]
    assert ratio["measured"]["mean"] == pytest.approx(0.25)
    assert (ratio["measured"]["n"], ratio["missing"], ratio["reason"]) == (5, 0, "")
    assert ratio["ratio"] == pytest.approx(1)
    assert (ratio["low"], ratio["high"], ratio["agreement"]) == (0.24, 0.26041666, "agrees")
    assert rows[1, "activation_mean"]["agreement"] == "agrees"
    assert rows[1, "dead_fraction"]["measured"]["mean"] == DEAD_START
    assert rows[1, "dead_fraction"]["agreement"] == "disagrees"
    last = rows[2, "gradient_ratio"]
    assert (last["predicted"], last["agreement"], last["reason"]) == (None, None, LAST.reason)
    whole = rows[None, "gradient_ratio"]
    assert (whole["predicted"], whole["agreement"]) == (pytest.approx(0.25), "agrees")
    assert arm["outcomes"] == {"agrees": 3, "disagrees": 1, "inconclusive": 0, "none": 1}


def test_a_wrong_prediction_disagrees_and_few_networks_leave_it_open(client: FlaskClient, database: Database) -> None:
    twenty, four = (trained(database, a_spec("relu", replicates=n)) for n in (20, 4))
    for experiment_id in (twenty, four):
        predicted(database, experiment_id, WRONG, LAST)

    outcomes = [[row["agreement"] for row in items(client, each)[0]["predictions"]] for each in (twenty, four)]

    assert outcomes == [["disagrees", None, "disagrees"], ["inconclusive", None, "inconclusive"]]


def test_before_its_first_network_has_begun_an_arm_says_why_there_is_nothing(
    client: FlaskClient, database: Database
) -> None:
    for arm in items(client, submitted(database, a_spec())):
        assert arm["predictions"] == []
        assert set(arm["outcomes"].values()) == {0}
        assert "first network has not begun" in arm["note"]


def test_networks_that_have_not_finished_are_missing(client: FlaskClient, database: Database) -> None:
    experiment_id = submitted(database, a_spec("relu", replicates=3))
    predicted(database, experiment_id, RIGHT, LAST)

    row = items(client, experiment_id)[0]["predictions"][0]

    assert (row["measured"]["n"], row["missing"], row["agreement"]) == (0, 3, None)
    assert "none has finished" in row["reason"]


def test_arms_come_in_pages_and_by_position(client: FlaskClient, database: Database) -> None:
    experiment_id = submitted(database, a_spec("relu", "tanh", "gelu"))
    path = f"/v1/experiments/{experiment_id}/predictions"

    first = client.get(f"{path}?limit=2").get_json()
    second = client.get(f"{path}?limit=2&cursor={first['next']}").get_json()

    assert [arm["label"] for arm in first["items"]] == ["relu", "tanh"]
    assert ([arm["label"] for arm in second["items"]], second["next"]) == (["gelu"], None)
    assert [arm["arm"] for arm in items(client, experiment_id, "?arm=2&arm=0")] == [0, 2]


@pytest.mark.parametrize("query", ["quantity=dead_fraction", "step=0", "arm=-1", "limit=0", "cursor=x"])
def test_what_cannot_be_asked_is_refused(query: str, client: FlaskClient, database: Database) -> None:
    answer = client.get(f"/v1/experiments/{submitted(database, a_spec())}/predictions?{query}")

    assert answer.status_code == 422
    assert [error["field"].partition(".")[0] for error in answer.get_json()["errors"]] == [query.partition("=")[0]]


def test_the_summary_says_who_agrees_and_the_report_shows_it(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec("relu", "tanh", "gelu", replicates=5))
    predicted(database, experiment_id, RIGHT, LAST)
    predicted(database, experiment_id, WRONG, LAST, arm=1)

    summary = client.get(f"/v1/experiments/{experiment_id}/summary").get_json()
    report = client.get(f"/v1/experiments/{experiment_id}/report").text

    assert [row["gradient_ratio_agreement"] for row in summary["table"]] == ["agrees", "disagrees", None]
    assert summary["table"][1]["gradient_ratio_predicted"] == pytest.approx(0.325)
    sentence = (
        "Theory of wide networks predicts the factor before training; the measured one agrees with it for relu; "
        "it disagrees for tanh (x 0.25, predicted x 0.325)."
    )
    assert sentence in summary["answer"]
    assert "theory 0.325: disagrees" in report
    assert sentence in report


def test_a_figure_draws_bands_behind_the_lines_and_names_them_once(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec("relu", "tanh", replicates=5))
    for arm in (0, 1):
        predicted(database, experiment_id, RIGHT, MEAN, LAST, arm=arm)
    path = f"/v1/experiments/{experiment_id}/figures"

    gradients = client.get(f"{path}/gradient_flow").get_json()["data"]
    means = client.get(f"{path}/mean_activation").get_json()["data"]

    bands, lines = gradients[:2], gradients[2:]
    assert [line["name"] for line in lines] == ["relu", "tanh"]
    assert [(band["name"], band["showlegend"]) for band in bands] == [
        ("theory, down from the last layer", True),
        ("theory, down from the last layer", False),
    ]
    # From the last layer's norm of 1: half the logarithm of the squared norm's ratio.
    assert bands[0]["x"] == [1, 2, 2, 1]
    assert bands[0]["y"] == pytest.approx([0.26041666**0.5, 1, 1, 0.24**0.5], rel=1e-4)
    assert [trace["name"] for trace in means] == ["theory at step 0"] * 2 + ["relu", "tanh"] + [
        "networks at step 0"
    ] * 2
    assert means[0]["y"] == [1.6, 1.2]
    assert means[4]["y"] == [1.5, 2.5]
