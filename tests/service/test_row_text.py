"""Rows as text of any length, in CSV and ndjson: the same as in JSON."""

from __future__ import annotations

import csv
import io
import json

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from service import row_text
from store.database import Database
from store.models import Curve
from store.rows import Block
from tests.builders import a_spec
from tests.service.recorded import trained


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
    monkeypatch.setattr("service.row_text.PAGE", 7)
    path = f"/v1/experiments/{trained(database, a_spec())}/curves"

    lines = client.get(f"{path}?format=csv").text.splitlines()

    assert len(lines) == 1 + len(client.get(path).get_json()["columns"]["run_id"])


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_spreadsheet_runs_a_text(text: str, sqlite_app: Flask) -> None:
    block = Block(("name", "value"), 1, [(text, -1.5), ("relu", None)])

    with sqlite_app.test_request_context():
        answer = row_text.streamed(lambda *_: block, "csv", filename="x").get_data(as_text=True)

    assert list(csv.reader(io.StringIO(answer, newline=""))) == [["name", "value"], [f"'{text}", "-1.5"], ["relu", ""]]


@pytest.mark.parametrize("table", ["measurements", "curves", "units"])
def test_a_line_of_ndjson_is_a_row(table: str, client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec())}/{table}"

    answer = client.get(f"{path}?format=ndjson")

    columns = client.get(path).get_json()["columns"]
    assert answer.mimetype == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == [
        dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
    ]


@pytest.mark.parametrize("fields", ["undefined", "undefined,test_loss", "test_loss,undefined"])
def test_a_reason_stands_in_its_own_cell(fields: str, client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec())
    reason = 'probe_loss: "overflow", and more'
    with database.writing() as session:
        session.execute(sa.update(Curve).where(Curve.step == 0).values(undefined=reason))

    text = client.get(f"/v1/experiments/{experiment_id}/curves?format=csv&fields={fields}").text
    rows = list(csv.DictReader(io.StringIO(text)))

    assert {row["undefined"] for row in rows if row["step"] == "0"} == {reason}
    assert {row["undefined"] for row in rows if row["step"] != "0"} == {""}


@pytest.mark.parametrize("form", ["csv", "ndjson"])
@pytest.mark.parametrize("query", ["aggregate=mean&fields=test_loss", "thin=4&fields=test_loss,undefined"])
def test_all_forms_hold_the_same(
    form: str, query: str, client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.row_text.PAGE", 3)
    path = f"/v1/experiments/{trained(database, a_spec(points=7))}/curves?{query}"

    text = client.get(f"{path}&format={form}").text

    columns = client.get(path).get_json()["columns"]
    read = list(csv.DictReader(io.StringIO(text))) if form == "csv" else list(map(json.loads, text.splitlines()))
    assert [[str(row[name]) for name in ("arm", "step", "test_loss")] for row in read] == [
        list(map(str, row)) for row in zip(columns["arm"], columns["step"], columns["test_loss"], strict=True)
    ]
