"""Rows over HTTP: narrowed, paged, aggregated, thinned, and new ones alone."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from lab.catalog.measurements import CURVES, MEASUREMENTS
from lab.spec import DatasetSpec
from store.database import Database
from tests.builders import a_spec, an_activation
from tests.service.recorded import FIRST_UNIT, SECOND_UNIT, submitted, trained


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


@pytest.mark.parametrize(
    ("table", "own"), [("measurements", "layer, fields, thin_by, over"), ("curves", "fields, thin_by")]
)
def test_an_unknown_parameter_is_told_the_known_ones_as_they_are_spelt(
    table: str, own: str, client: FlaskClient, database: Database
) -> None:
    answer = client.get(f"/v1/experiments/{submitted(database, a_spec())}/{table}?columns=test_loss")

    (error,) = answer.get_json()["errors"]
    known = (
        "arm, activation, swept, replicate, step_min, step_max, limit, cursor, since, format, aggregate, level, thin"
    )
    assert (error["field"], error["allowed"]) == ("columns", f"one of {known}, {own}")


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


def test_rows_are_narrowed_to_points_of_the_sweep(client: FlaskClient, database: Database) -> None:
    spec = a_spec(sweep=(("network.depth", (1, 2)), ("training.optimizer", ("sgd", "adam"))))
    path = f"/v1/experiments/{trained(database, spec)}/curves"

    found = client.get(f"{path}?swept=network.depth:2&swept=training.optimizer:adam").get_json()["columns"]
    refused = client.get(f"{path}?swept=network.depth:3").get_json()["errors"]

    assert set(found["label"]) == {"relu, depth=2, optimizer=adam", "tanh, depth=2, optimizer=adam"}
    assert [(error["field"], error["allowed"]) for error in refused] == [("swept", "network.depth: and one of 1, 2")]


SWEPT = {"training.clip_norm": (None, 0.5), "network.residual": (False, True), "network.depth": (2, 1)}


@pytest.mark.parametrize(
    ("table", "query"),
    [
        *((table, query) for table in ("measurements", "curves", "units") for query in ("", "since=start")),
        *((table, query) for table in ("measurements", "curves") for query in ("thin=4", "aggregate=mean")),
        ("measurements", "swept=network.depth:1&replicate=1&layer=1"),
    ],
)
def test_what_is_swept_has_columns_of_its_own(table: str, query: str, client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec('relu', sweep=tuple(SWEPT.items())))}"
    points = {arm["position"]: arm["swept"] for arm in client.get(f"{path}/arms").get_json()["items"]}

    columns = client.get(f"{path}/{table}?{query}").get_json()["columns"]

    rest = [name for name in columns if name not in ("run_id", "arm", "label", "activation", "replicate")]
    assert rest[:4] == [*SWEPT, "step"]
    assert columns["arm"]
    for swept in SWEPT:
        assert columns[swept] == [points[arm][swept] for arm in columns["arm"]]


def test_swept_columns_are_in_csv_and_ndjson_as_in_json_and_stay_where_no_arm_is_left(
    client: FlaskClient, database: Database
) -> None:
    path = f"/v1/experiments/{trained(database, a_spec('relu', sweep=tuple(SWEPT.items())))}/curves?fields=test_loss"

    columns = client.get(path).get_json()["columns"]
    table = list(csv.DictReader(io.StringIO(client.get(f"{path}&format=csv").text)))
    lines = [json.loads(line) for line in client.get(f"{path}&format=ndjson").text.splitlines()]
    none = client.get(f"{path}&activation=tanh&format=csv").text

    text = {None: "", True: "true", False: "false"}
    for swept in SWEPT:
        assert [row[swept] for row in lines] == columns[swept]
        said = [text[v] if v is None or isinstance(v, bool) else str(v) for v in columns[swept]]
        assert [row[swept] for row in table] == said
    assert none.strip() == ",".join(columns)


def test_means_come_with_their_intervals(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(depth=2, replicates=5))}"

    found = client.get(f"{path}/curves?aggregate=mean&fields=test_accuracy&step_min=6").get_json()["columns"]
    over = client.get(f"{path}/measurements?aggregate=mean&over=layers&fields=delta_norm&level=0.5").get_json()

    assert list(found)[4:] == [f"test_accuracy{which}" for which in ("", "_n", "_sd", "_low", "_high")]
    assert found["arm"] == [0, 1]
    assert found["test_accuracy"] == pytest.approx([0.52, 0.62])
    assert found["test_accuracy_n"] == [5, 5]
    assert found["test_accuracy_sd"] == pytest.approx([0.0158113883] * 2)
    assert found["test_accuracy_low"] == pytest.approx([0.5003676, 0.6003676])
    assert over["columns"]["delta_norm"][0] == pytest.approx(0.75)
    assert "layer" not in over["columns"]


def test_new_rows_come_once(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(points=7))}/curves"

    since, rows, more = "start", [], True
    while more:
        answer = client.get(f"{path}?since={since}&limit=5").get_json()
        rows += list(zip(*answer["columns"].values(), strict=True))
        since, more = answer["since"], answer["more"]
    later = client.get(f"{path}?since={since}").get_json()

    assert rows == list(zip(*client.get(path).get_json()["columns"].values(), strict=True))
    assert (later["columns"]["run_id"], later["more"], later["removed"], later["next"]) == ([], False, [], None)
    assert later["since"] == since


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=", "since"),
        ("since=abc", "since"),
        ("since=start&cursor=x", "cursor"),
        ("since=start&aggregate=mean", "aggregate"),
        ("since=start&thin=4", "thin"),
        ("since=start&format=csv", "since"),
        ("format=ndjson&limit=5", "limit"),
        ("level=0.9", "level"),
        ("thin_by=test_loss", "thin_by"),
        ("thin=3", "thin"),
        ("thin=4&thin_by=undefined", "thin_by"),
        ("thin=4&fields=test_loss&thin_by=probe_loss", "thin_by"),
        ("thin=4&fields=undefined", "fields"),
        ("aggregate=median", "aggregate"),
        ("aggregate=mean&fields=undefined", "fields"),
        ("over=layers&aggregate=mean", "over"),
        ("swept=depth", "swept.0"),
        ("swept=network.depth:", "swept.0"),
        ("swept=network.depth:2", "swept"),
    ],
)
def test_what_does_not_go_together_is_refused(query: str, field: str, client: FlaskClient, database: Database) -> None:
    answer = client.get(f"/v1/experiments/{submitted(database, a_spec())}/curves?{query}")

    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]
