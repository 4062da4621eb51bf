"""Asking for an experiment: what becomes of a request, of one that is sent again, and while nothing can be kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from lab.spec import DatasetSpec
from service.schemas import ExperimentSchema
from store.database import Database
from tests.builders import a_spec, an_activation
from tests.commits import answers_lost, first
from tests.outages import Outage, outage, read_only
from tests.service.conftest import ask, database_of
from tests.service.recorded import train_all, trained


def test_a_request_becomes_an_experiment_with_every_default(client: FlaskClient) -> None:
    answer = ask(client, name="Depth?", tags=["a"], sweep={"network.depth": [2, 4]}, replicates=3)

    assert answer.status_code == 202
    experiment = answer.get_json()
    assert answer.headers["Location"] == f"/v1/experiments/{experiment['id']}"
    assert (experiment["name"], experiment["tags"], experiment["state"]) == ("Depth?", ["a"], "queued")
    assert experiment["plan"]["arms"] == 4
    assert experiment["plan"]["runs"] == experiment["runs"]["queued"] == 12
    assert experiment["progress"] == 0
    assert experiment["eta_s"] is None
    assert experiment["spec"]["training"]["epochs"] == 20
    assert experiment["spec"]["baseline"] == "relu"


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"training": {"steps": 7}},
        {"sweep": {"training.steps": [5, 9]}},
        {"sweep": {"training.epochs": [2, 1]}, "training": {"learning_rate": 1}},
        {"sweep": {"training.learning_rate": [1, 0.5], "network.depth": [3, 1]}, "network": {"gain": 2}},
        {"dataset": "xor", "sweep": {"dataset.noise": [0, 0.5]}},
        {"training": {"optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine", "clip_norm": 1}},
        {"training": {"clip_norm": None, "weight_decay": -0.0}},
        {
            "sweep": {
                "training.clip_norm": [None, 1],
                "training.weight_decay": [0, 0.1],
                "training.schedule": ["warmup"],
            }
        },
        {"dataset": {"name": "function_1d", "function": "abs"}},
        {
            "dataset": {"name": "parity", "n_irrelevant": 3},
            "sweep": {"dataset.n_bits": [2, 5], "network.depth": [1, 2]},
        },
        {"dataset": "teacher_student", "sweep": {"dataset.teacher_activation": ["relu", "tanh"]}},
        {
            "activations": [
                {"name": "leaky_relu", "negative_slope": 0.123456789},
                {"name": "leaky_relu", "negative_slope": 0.12345678},
            ],
            "baseline": {"name": "leaky_relu", "negative_slope": 0.12345678},
        },
        {"activations": ["relu", {"name": "leaky_relu", "negative_slope": 0.2}], "baseline": "leaky_relu"},
    ],
)
def test_what_an_answer_shows_can_be_asked_again(request_: dict[str, Any], sqlite_client: FlaskClient) -> None:
    first = ask(sqlite_client, **request_).get_json()

    again = sqlite_client.post("/v1/experiments", json=first["spec"]).get_json()

    assert again["spec"] == first["spec"]
    assert again["spec_digest"] == first["spec_digest"]


def test_a_dry_run_shows_the_plan_and_keeps_nothing(client: FlaskClient) -> None:
    request: dict[str, Any] = {"sweep": {"network.depth": [2, 4]}, "baseline": "tanh"}

    answer = client.post("/v1/experiments?dry_run=true", json={"activations": ["relu", "tanh"]} | request)

    assert answer.status_code == 200
    assert [arm["label"] for arm in answer.get_json()["arms"]] == [
        "relu, depth=2",
        "relu, depth=4",
        "tanh, depth=2",
        "tanh, depth=4",
    ]
    assert [arm["baseline"] for arm in answer.get_json()["arms"]] == [2, 3, 2, 3]
    planned = answer.get_json()["plan"]
    assert planned == ask(client, **request).get_json()["plan"]
    assert len(client.get("/v1/experiments").get_json()["items"]) == 1


def test_the_same_key_and_request_give_the_same_experiment(client: FlaskClient) -> None:
    first = ask(client, "key-1", name="a")

    again = ask(client, "key-1", name="a")

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.get_json()["id"] == first.get_json()["id"]
    assert len(client.get("/v1/experiments").get_json()["items"]) == 1


@pytest.mark.parametrize("other", [{"seed": 1}, {"name": "b"}, {"tags": ["b"]}])
def test_the_same_key_with_another_request_is_refused(other: dict[str, Any], client: FlaskClient) -> None:
    ask(client, "key-1")

    answer = ask(client, "key-1", **other)

    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "Idempotency-Key"
    assert len(client.get("/v1/experiments").get_json()["items"]) == 1


@pytest.mark.parametrize("key", [None, "key-1"])
def test_a_202_is_given_where_the_commit_was_done_though_its_answer_was_lost(
    app: Flask, client: FlaskClient, key: str | None
) -> None:
    with answers_lost(database_of(app), first) as broken:
        answer = ask(client, key)

    found = client.get("/v1/experiments").get_json()["items"]
    assert (broken, answer.status_code) == ([0], 202)
    assert [experiment["id"] for experiment in found] == [answer.get_json()["id"]]
    assert client.get(answer.headers["Location"]).status_code == 200


def test_no_202_is_given_where_the_commit_was_not_done(app: Flask, client: FlaskClient) -> None:
    with answers_lost(database_of(app), first, kept=False):
        answer = ask(client, "key-1")

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "whether this was kept" in answer.get_json()["detail"]
    assert client.get("/v1/experiments").get_json()["items"] == []
    assert ask(client, "key-1").status_code == 202


@pytest.mark.parametrize("outage", [outage, read_only])
def test_while_nothing_can_be_written_the_answer_is_503_and_nothing_is_kept(
    app: Flask, client: FlaskClient, outage: Outage
) -> None:
    ask(client, name="before")

    with outage(database_of(app)):
        answers = [ask(client, "key-1", name=f"during, {i}", replicates=1000) for i in range(2)]
    after = ask(client, "key-1", name="after")

    assert [answer.status_code for answer in answers] == [503, 503]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert after.status_code == 202
    found = client.get("/v1/experiments").get_json()["items"]
    assert [experiment["name"] for experiment in found] == ["after", "before"]


def test_one_key_sent_many_times_at_once_is_one_experiment(app: Flask) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(app.test_client(), "key-1"), range(16)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.get_json()["id"] for answer in answers}) == 1


def test_a_key_knows_its_request_whatever_has_changed_since(client: FlaskClient, database: Database) -> None:
    request = {"name": "a", "network": {"depth": 1, "width": 8}, "training": {"steps": 6}, "replicates": 2}
    first = ask(client, "key-1", **request)
    train_all(database)
    path = first.headers["Location"]
    client.patch(path, json={"name": "b", "tags": ["c"]})
    client.post(f"{path}/replicates", json={"replicates": 3})

    again = ask(client, "key-1", **request)
    other = ask(client, "key-1", **request | {"name": "b", "tags": ["c"], "replicates": 3})

    assert (again.status_code, again.get_json()["id"]) == (202, first.get_json()["id"])
    assert (again.get_json()["name"], again.get_json()["spec"]["replicates"]) == ("b", 3)
    assert (other.status_code, other.get_json()["errors"][0]["field"]) == (422, "Idempotency-Key")


def test_one_key_with_two_requests_at_once_is_one_experiment_and_a_refusal(app: Flask) -> None:
    def send(i: int) -> Any:
        return ask(app.test_client(), "key-1", seed=i % 2)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(16)))

    accepted = {answer.get_json()["id"] for answer in answers if answer.status_code == 202}
    assert [answer.status_code for answer in answers].count(202) == 8
    assert {answer.status_code for answer in answers} == {202, 422}
    assert len(accepted) == 1


def test_a_request_on_record_has_the_form_that_its_schema_gives_it() -> None:
    spec = a_spec(
        "relu",
        an_activation("leaky_relu", negative_slope=0.2),
        name="why",
        tags=("a", "b"),
        dataset=DatasetSpec("xor", (("noise", 0.5),)),
        sweep=(("training.clip_norm", (None, 0.5)), ("network.normalization", ("none", "batch"))),
    )

    assert ExperimentSchema().dump(spec.to_json()) == spec.to_json()


def test_a_dry_run_says_how_long_by_what_was_measured(client: FlaskClient, database: Database) -> None:
    request = a_spec().to_json()
    before = client.post("/v1/experiments?dry_run=true", json=request).get_json()["forecast"]
    for _ in range(5):
        trained(database, a_spec())

    after = client.post("/v1/experiments?dry_run=true", json=request).get_json()["forecast"]

    assert (before["seconds"], before["measured"]) == (None, 0)
    assert "This lab has measured 0 finished stacks" in before["note"]
    assert (after["processes"], after["measured"], after["note"]) == (1, 5, "")
    assert 0 < after["low"] <= after["high"]
    assert after["seconds"] == pytest.approx(after["busy_s"])
