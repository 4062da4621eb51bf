from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from lab.catalog.measurements import CURVES, MEASUREMENTS
from lab.spec import DatasetSpec
from service import csv_text
from store.database import Database
from tests.builders import a_spec, an_activation
from tests.service.recorded import DEAD_END, DEAD_START, FIRST_UNIT, SECOND_UNIT, submitted, trained


def test_arms_stand_in_order_with_their_settings(client: FlaskClient, database: Database) -> None:
    spec = a_spec("relu", an_activation("leaky_relu", negative_slope=0.2), sweep=(("network.depth", (1, 3)),))

    page = client.get(f"/v1/experiments/{submitted(database, spec)}/arms").get_json()

    assert page["next"] is None
    assert page["items"][3] == {
        "position": 3,
        "label": "leaky_relu(negative_slope=0.2), depth=3",
        "activation": {"name": "leaky_relu", "negative_slope": 0.2, "scale_in": 1.0, "scale_out": 1.0, "shift": 0.0},
        "swept": {"network.depth": 3},
        "baseline": 1,
    }


def test_a_run_says_how_it_ended(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(depth=2), diverged={(1, 0): 4})}/runs"

    items = client.get(path).get_json()["items"]

    assert [(run["arm"], run["replicate"]) for run in items] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [run["diverged_at"] for run in items] == [None, None, 4, None]
    assert client.get(f"{path}/{items[1]['id']}").get_json() == items[1]
    assert items[1]["test_accuracy"] == pytest.approx(0.51)
    assert items[1]["dead_fraction_end"] == DEAD_END
    assert items[1]["layers"][1] == {
        "layer": 2,
        "dead_fraction_start": DEAD_START,
        "dead_fraction_end": DEAD_END,
        "units_died": 1,
        "units_revived": 0,
    }


def test_runs_are_narrowed_and_paged(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec('relu', 'tanh', 'gelu'))}/runs"

    first = client.get(f"{path}?arm=0&arm=2&limit=3&state=succeeded").get_json()
    second = client.get(f"{path}?arm=0&arm=2&limit=3&cursor={first['next']}").get_json()

    assert [run["arm"] for run in first["items"] + second["items"]] == [0, 0, 2, 2]
    assert second["next"] is None
    assert client.get(f"{path}?state=failed").get_json()["items"] == []


def test_a_run_of_another_experiment_is_not_found(client: FlaskClient, database: Database) -> None:
    one, other = trained(database, a_spec()), trained(database, a_spec())
    run_id = client.get(f"/v1/experiments/{other}/runs").get_json()["items"][0]["id"]

    assert client.get(f"/v1/experiments/{one}/runs/{run_id}").status_code == 404
    assert client.get(f"/v1/experiments/{one}/runs/{2**63}").status_code == 404


def test_rows_come_as_columns_of_one_length_page_by_page(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(depth=2, points=4))}/measurements"
    whole = client.get(path).get_json()

    pages, cursor = [], ""
    while True:
        page = client.get(f"{path}?limit=7{cursor}").get_json()
        pages.append(page["columns"])
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"

    assert whole["probe_size"] == 32
    assert list(whole["columns"])[:7] == ["run_id", "arm", "label", "activation", "replicate", "step", "layer"]
    assert set(MEASUREMENTS) < set(whole["columns"])
    assert {len(values) for values in whole["columns"].values()} == {4 * 4 * 2}
    assert len(pages) == 5
    for name, values in whole["columns"].items():
        assert [value for page in pages for value in page[name]] == values


def test_rows_are_narrowed_to_what_is_asked(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(depth=3, points=4))}/measurements"

    query = "arm=1&activation=tanh&layer=1&layer=3&replicate=0&step_min=1&step_max=5&fields=dead_fraction,undefined"
    columns = client.get(f"{path}?{query}").get_json()["columns"]

    assert list(columns)[7:] == ["dead_fraction", "undefined"]
    assert set(columns["arm"]) == {1}
    assert set(columns["activation"]) == {"tanh"}
    assert set(columns["layer"]) == {1, 3}
    assert set(columns["replicate"]) == {0}
    assert columns["step"]
    assert all(1 <= step <= 5 for step in columns["step"])
    assert client.get(f"{path}?arm=1&activation=relu").get_json()["columns"]["run_id"] == []


def test_what_is_undefined_is_null(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec())}/measurements?step_max=0&fields=update_ratio"

    assert set(client.get(path).get_json()["columns"]["update_ratio"]) == {None}


def test_a_diverged_run_has_no_rows_after_that_step(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(points=7), diverged={(0, 0): 3})}/curves?arm=0&replicate=0"

    assert client.get(path).get_json()["columns"]["step"] == [0, 1, 2, 3]


def test_curves_have_no_layers(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec())}/curves"

    columns = client.get(path).get_json()["columns"]

    assert list(columns) == ["run_id", "arm", "label", "activation", "replicate", "step", *CURVES, "undefined"]
    assert client.get(f"{path}?layer=1").status_code == 422


def test_units_come_with_what_happened_to_them_and_when(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(depth=2, steps=6, points=4))}/units"

    columns = client.get(f"{path}?arm=1&layer=2&replicate=0").get_json()["columns"]

    assert columns["step"] == [0, 6]
    assert columns["died"] == [[FIRST_UNIT], [SECOND_UNIT]]
    assert columns["revived"] == [[], [FIRST_UNIT]]
    assert (columns["n_died"], columns["n_revived"]) == ([1, 1], [0, 1])
    assert set(columns["label"]) == {"tanh"}
    assert client.get(f"{path}?step_min=1&step_max=5").get_json()["columns"]["run_id"] == []


def test_units_come_page_by_page_and_as_csv(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(depth=2, points=4))}/units"

    first = client.get(f"{path}?limit=9").get_json()
    second = client.get(f"{path}?limit=9&cursor={first['next']}").get_json()
    table = list(csv.DictReader(io.StringIO(client.get(f"{path}?format=csv&fields=died").text)))

    assert [len(page["columns"]["step"]) for page in (first, second)] == [9, 4 * 2 * 2 - 9]
    assert second["next"] is None
    assert len(table) == 4 * 2 * 2
    assert table[0]["died"] == f"[{FIRST_UNIT}]"


@pytest.mark.parametrize("table", ["measurements", "curves", "units"])
def test_rows_name_their_arm(table: str, client: FlaskClient, database: Database) -> None:
    spec = a_spec(
        *(an_activation("leaky_relu", negative_slope=slope) for slope in (0.1, 0.2)), sweep=(("network.depth", (1, 2)),)
    )
    path = f"/v1/experiments/{trained(database, spec)}"
    labels = {arm["position"]: arm["label"] for arm in client.get(f"{path}/arms").get_json()["items"]}

    columns = client.get(f"{path}/{table}").get_json()["columns"]

    assert columns["label"] == [labels[arm] for arm in columns["arm"]]
    assert set(columns["label"]) == set(labels.values())


@pytest.mark.parametrize(("table", "layer"), [("measurements", ", layer"), ("curves", "")])
def test_an_unknown_parameter_is_told_the_known_ones_as_they_are_spelt(
    table: str, layer: str, client: FlaskClient, database: Database
) -> None:
    answer = client.get(f"/v1/experiments/{submitted(database, a_spec())}/{table}?columns=test_loss")

    (error,) = answer.get_json()["errors"]
    known = "arm, activation, replicate, step_min, step_max, limit, cursor, format"
    assert (error["field"], error["allowed"]) == ("columns", f"one of {known}{layer}, fields")


@pytest.mark.parametrize("table", ["measurements", "curves"])
def test_csv_holds_every_row_that_json_does(table: str, client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec())}/{table}"

    answer = client.get(f"{path}?format=csv")

    columns = client.get(path).get_json()["columns"]
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert header == list(columns)
    assert rows == [
        ["" if value is None else str(value) for value in row] for row in zip(*columns.values(), strict=True)
    ]


def test_csv_is_streamed_in_pages(client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.csv_text.PAGE", 7)
    path = f"/v1/experiments/{trained(database, a_spec())}/curves"

    lines = client.get(f"{path}?format=csv").text.splitlines()

    assert len(lines) == 1 + len(client.get(path).get_json()["columns"]["run_id"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("fields=", "fields"),
        ("fields=loss", "fields"),
        ("fields=test_loss,test_loss", "fields"),
        ("fields=test_loss&fields=probe_loss", "fields"),
        ("arm=-1", "arm.0"),
        ("arm=0&arm=x", "arm.1"),
        ("activation=rleu", "activation.0"),
        ("step_min=1.5", "step_min"),
        ("step_max=99999999999999999999", "step_max"),
        ("replicate=" + "9" * 19, "replicate.0"),
        ("format=xml", "format"),
        ("format=csv&limit=5", "limit"),
        ("format=csv&cursor=abc", "cursor"),
        ("limit=10001", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=WzldXQ", "cursor"),
        ("order=step", "order"),
    ],
)
def test_a_query_for_rows_is_checked(query: str, field: str, client: FlaskClient, database: Database) -> None:
    answer = client.get(f"/v1/experiments/{submitted(database, a_spec())}/curves?{query}")

    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("dataset", "probe_size", "sweep", "expected"),
    [
        (DatasetSpec(), 512, (), 512),
        (DatasetSpec(), 5000, (), 1437),
        (_xor := DatasetSpec("xor", (("n_test", 9), ("n_train", 100), ("noise", 0.0))), 512, (), 100),
        (_xor, 512, (("dataset.n_train", (300, 200)),), 200),
    ],
)
def test_the_probe_has_at_most_the_training_set(
    dataset: DatasetSpec, probe_size: int, sweep: Any, expected: int, client: FlaskClient, database: Database
) -> None:
    spec = a_spec("relu", dataset=dataset, probe_size=probe_size, sweep=sweep)

    answer = client.get(f"/v1/experiments/{submitted(database, spec)}/measurements").get_json()

    assert answer["probe_size"] == expected


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_spreadsheet_runs_a_text(text: str, sqlite_app: Flask) -> None:
    columns: csv_text.Columns = {"name": [text, "relu"], "value": [-1.5, None]}

    with sqlite_app.test_request_context():
        answer = csv_text.streamed(lambda *_: (columns, None), filename="x.csv").get_data(as_text=True)

    assert list(csv.reader(io.StringIO(answer, newline=""))) == [["name", "value"], [f"'{text}", "-1.5"], ["relu", ""]]
