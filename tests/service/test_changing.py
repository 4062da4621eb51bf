"""What is asked of experiments that are on record: more replicates, another name, a retry, an end to one or to many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.parts import parts
from store.database import Database
from tests.builders import a_spec
from tests.service.conftest import ask
from tests.service.recorded import failed, submitted, train_all, trained


def _states(client: FlaskClient) -> dict[str, str]:
    return {item["name"]: item["state"] for item in client.get("/v1/experiments").get_json()["items"]}


def test_more_replicates_are_trained_and_the_old_numbers_stay(
    app: Flask, client: FlaskClient, database: Database
) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(replicates=2))}"
    rows = client.get(f"{path}/measurements?limit=10000").get_json()["columns"]
    runs = client.get(f"{path}/runs").get_json()["items"]

    answer = client.post(f"{path}/replicates", json={"replicates": 5})
    waiting = client.get(f"{path}/comparison?metric=test_accuracy").get_json()["arms"][0]
    with app.app_context():
        hinted = parts().hints.waiting()
    train_all(database)

    assert (answer.status_code, answer.headers["Location"], hinted) == (202, path, 1)
    asked = answer.get_json()
    assert (asked["state"], asked["spec"]["replicates"], asked["plan"]["runs"]) == ("running", 5, 10)
    assert (asked["runs"]["queued"], asked["progress"]) == (6, 0.4)
    assert waiting["n"] == 2
    now = client.get(path).get_json()
    assert (now["state"], now["runs"]["succeeded"], now["progress"]) == ("succeeded", 10, 1)
    assert client.get(f"{path}/runs").get_json()["items"][:4] == runs
    old = client.get(f"{path}/measurements?limit=10000&replicate=0&replicate=1").get_json()["columns"]
    assert old == rows
    compared = client.get(f"{path}/comparison?metric=test_accuracy").get_json()["arms"]
    assert [(arm["n"], arm["difference"] and arm["difference"]["n"]) for arm in compared] == [(5, None), (5, 5)]
    assert [row["n"] for row in client.get(f"{path}/summary").get_json()["table"]] == [5, 5]
    again = client.post("/v1/experiments?dry_run=true", json=now["spec"])
    assert again.get_json()["plan"]["cost_flops"] == now["plan"]["cost_flops"]


def test_asking_for_the_same_number_again_is_asking_once(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec())}"

    answers = [client.post(f"{path}/replicates", json={"replicates": 3}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].get_json() == answers[1].get_json()


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"replicates": 1}, 422, "replicates"),
        ({"replicates": 10**6}, 422, "replicates"),
        ({"replicates": "5"}, 422, "replicates"),
        ({}, 422, "replicates"),
        ({"add": 3}, 422, "add"),
    ],
)
def test_replicates_that_cannot_be_are_refused(
    client: FlaskClient, database: Database, body: dict[str, Any], status: int, field: str
) -> None:
    path = f"/v1/experiments/{trained(database, a_spec())}"

    answer = client.post(f"{path}/replicates", json=body)

    assert answer.status_code == status
    assert field in [error["field"] for error in answer.get_json()["errors"]]
    assert client.get(path).get_json()["runs"]["queued"] == 0


def test_what_has_not_ended_gets_no_more_replicates(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{submitted(database, a_spec())}"

    answer = client.post(f"{path}/replicates", json={"replicates": 3})

    assert answer.status_code == 409
    assert "is queued" in answer.get_json()["detail"]


def test_a_name_and_tags_change_in_the_request_too(client: FlaskClient) -> None:
    path = ask(client, name="a", tags=["x", "y"]).headers["Location"]
    before = client.get(path)

    renamed = client.patch(path, json={"name": "b"}).get_json()
    retagged = client.patch(path, json={"tags": []})

    assert (renamed["name"], renamed["tags"], renamed["spec"]["name"]) == ("b", ["x", "y"], "b")
    assert retagged.status_code == 200
    shown = client.get(path, headers={"If-None-Match": before.headers["ETag"]}).get_json()
    assert (shown["name"], shown["tags"], shown["spec"]["tags"]) == ("b", [], [])
    assert shown["spec_digest"] == before.get_json()["spec_digest"]
    assert [item["name"] for item in client.get("/v1/experiments?name=b").get_json()["items"]] == ["b"]
    assert client.get("/v1/experiments?tag=x").get_json()["items"] == []


@pytest.mark.parametrize("body", [{}, {"name": None}, {"tags": ["a", "a"]}, {"seed": 1}, {"name": "x" * 201}, []])
def test_a_change_that_cannot_be_is_refused(client: FlaskClient, body: Any) -> None:
    path = ask(client, name="a").headers["Location"]

    answer = client.patch(path, json=body)

    assert answer.status_code == 422
    assert client.get(path).get_json()["name"] == "a"


def test_what_the_filters_show_is_cancelled_and_nothing_else(client: FlaskClient, database: Database) -> None:
    trained(database, a_spec(name="done", tags=("a",)))
    for name, tag in (("first", "a"), ("second", "a"), ("third", "b")):
        ask(client, name=name, tags=[tag])

    answer = client.post("/v1/experiments/cancel?tag=a")

    assert (answer.status_code, answer.get_json()) == (202, {"cancelled": 2, "more": False})
    assert _states(client) == {"done": "succeeded", "first": "cancelled", "second": "cancelled", "third": "queued"}
    assert client.post("/v1/experiments/cancel?tag=a").get_json() == {"cancelled": 0, "more": False}
    assert client.post("/v1/experiments/cancel?all=true").get_json() == {"cancelled": 1, "more": False}


@pytest.mark.parametrize("query", ["", "?all=true"])
def test_a_cancel_of_an_id_that_was_left_empty_is_not_one_of_all(query: str, client: FlaskClient) -> None:
    ask(client, name="queued")

    answer = client.post(f"/v1/experiments//cancel{query}", follow_redirects=True)

    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert _states(client) == {"queued": "queued"}


@pytest.mark.parametrize("query", ["", "?all=false", "?all=true&tag=a", "?limit=5", "?state=runing"])
def test_a_cancel_that_does_not_say_of_what_is_refused(client: FlaskClient, query: str) -> None:
    ask(client, name="a")

    answer = client.post(f"/v1/experiments/cancel{query}")

    assert answer.status_code == 422
    assert "missing" not in answer.text
    assert _states(client) == {"a": "queued"}


def test_many_are_cancelled_a_batch_at_a_time(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.experiments._MOST_CANCELLED", 2)
    for i in range(5):
        ask(client, name=str(i))

    answers = [client.post("/v1/experiments/cancel?state=queued").get_json() for _ in range(3)]

    assert [(answer["cancelled"], answer["more"]) for answer in answers] == [(2, True), (2, True), (1, False)]


def test_two_who_cancel_the_same_at_once_share_it(app: Flask, client: FlaskClient) -> None:
    for i in range(6):
        ask(client, name=str(i))

    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(app.test_client().post, "/v1/experiments/cancel?all=true") for _ in range(3)]
        answers = [each.result() for each in asked]

    assert {answer.status_code for answer in answers} == {202}
    assert set(_states(client).values()) == {"cancelled"}


def test_cancelling_twice_is_cancelling_once(client: FlaskClient) -> None:
    path = ask(client).headers["Location"]

    first, again = client.post(f"{path}/cancel"), client.post(f"{path}/cancel")

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.get_json()["state"] == "cancelled"
    assert again.get_json()["runs"]["cancelled"] == 20


def test_what_has_ended_cannot_be_cancelled(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec())

    answer = client.post(f"/v1/experiments/{experiment_id}/cancel")

    assert answer.status_code == 409
    assert answer.mimetype == "application/problem+json"


def test_what_failed_is_run_again_and_what_succeeded_stays(app: Flask, client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{failed(database, a_spec())}"

    answer = client.post(f"{path}/retry")
    again = client.post(f"{path}/retry")

    assert (answer.status_code, answer.headers["Location"]) == (202, path)
    assert (answer.get_json()["state"], answer.get_json()["runs"]["queued"]) == ("running", 4)
    assert answer.get_json()["failures"] == []
    with app.app_context():
        assert parts().hints.waiting() == 1
    assert (again.status_code, again.mimetype) == (409, "application/problem+json")
    assert "running" in again.get_json()["detail"]


def test_where_all_has_succeeded_there_is_nothing_to_retry(client: FlaskClient, database: Database) -> None:
    answer = client.post(f"/v1/experiments/{trained(database, a_spec())}/retry")

    assert answer.status_code == 409
    assert "nothing to retry" in answer.get_json()["detail"]


def test_what_is_deleted_is_gone_at_once(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec())}"
    run = client.get(f"{path}/runs").get_json()["items"][0]["id"]

    answer = client.delete(path)

    assert (answer.status_code, answer.data) == (204, b"")
    assert client.get("/v1/experiments").get_json()["items"] == []
    for part in ("", "/runs", f"/runs/{run}", "/arms", "/measurements", "/summary", "/history", "/report"):
        assert client.get(f"{path}{part}").status_code == 404, part
    for asked in (client.post(f"{path}/cancel"), client.post(f"{path}/retry"), client.delete(path)):
        assert asked.status_code == 404
