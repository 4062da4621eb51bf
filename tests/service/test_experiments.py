from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from lab.spec import DatasetSpec
from service.parts import parts
from store.database import Database
from tests.builders import a_spec
from tests.commits import answers_lost, first
from tests.outages import Outage, outage, read_only
from tests.service.conftest import ask, database_of
from tests.service.recorded import failed, submitted, trained

XOR = DatasetSpec("xor", (("n_test", 50), ("n_train", 100), ("noise", 0.0)))


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


def test_a_list_is_read_page_by_page_in_either_order(client: FlaskClient) -> None:
    asked = [ask(client, name=str(i)).get_json()["id"] for i in range(5)]

    def walk(sort: str) -> list[str]:
        found, following = [], ""
        while True:
            page = client.get(f"/v1/experiments?limit=2&sort={sort}{following}").get_json()
            found += [item["id"] for item in page["items"]]
            if page["next"] is None:
                return found
            following = f"&cursor={page['next']}"

    assert sorted(walk("created_at")) == sorted(asked)
    assert walk("created_at") == list(reversed(walk("-created_at")))


def test_a_list_is_narrowed(client: FlaskClient, database: Database) -> None:
    done = trained(database, a_spec("relu", "gelu", name="Deep 100% ReLU", tags=("deep",), dataset=XOR))
    ask(client, name="Wide", tags=["wide"])

    def ids(query: str) -> list[str]:
        return [item["id"] for item in client.get(f"/v1/experiments?{query}").get_json()["items"]]

    for query in ("state=succeeded", "tag=deep", "name=relu", "name=100%25", "activation=gelu", "dataset=xor"):
        assert ids(query) == [done]
    assert ids("name=%25&tag=wide") == []
    assert len(ids("created_after=2020-01-01T00:00:00Z&created_before=2120-01-01T00:00:00%2B02:00")) == 2
    assert ids("created_after=2120-01-01T00:00:00Z") == []


def test_polling_an_unchanged_experiment_costs_no_body(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec())}"
    first = client.get(path)

    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert first.headers["ETag"].startswith('W/"')


def test_a_change_changes_the_etag(client: FlaskClient) -> None:
    path = ask(client).headers["Location"]
    before = client.get(path).headers["ETag"]

    client.post(f"{path}/cancel")

    after = client.get(path, headers={"If-None-Match": before})
    assert after.status_code == 200
    assert after.get_json()["state"] == "cancelled"


def test_many_who_poll_cost_one_look_at_the_runs(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec())}"
    said: list[str] = []
    engine = database_of(client.application).engine
    sa.event.listen(engine, "before_cursor_execute", lambda *told: said.append(told[2]))

    answers = [client.get(path) for _ in range(3)]
    client.patch(path, json={"name": "Another"})
    renamed = client.get(path)

    assert len({answer.data for answer in answers}) == 1
    assert answers[0].content_type == renamed.content_type == "application/json"
    assert renamed.get_json()["name"] == "Another"
    looks = [
        statement for statement in said if statement.startswith("SELECT") and "count(runs.diverged_at)" in statement
    ]
    # For the three, for the change, and after it.
    assert len(looks) == 3


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


def test_the_history_is_read_page_by_page(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{failed(database, a_spec())}"

    first = client.get(f"{path}/history?limit=4").get_json()
    rest = client.get(f"{path}/history?cursor={first['next']}").get_json()

    events = first["items"] + rest["items"]
    assert [(event["stack"], event["to_state"]) for event in events] == [
        (None, "queued"),
        (0, "queued"),
        (0, "running"),
        (None, "running"),
        (0, "failed"),
        (None, "failed"),
    ]
    assert (events[-2]["actor"], events[-2]["reason"], events[-2]["attempt"]) == ("test", "out_of_memory", 1)
    assert rest["next"] is None
    assert client.get(f"/v1/experiments/{'0' * 8}-0000-0000-0000-{'0' * 12}/history").status_code == 404


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


def test_a_finished_experiment_says_how_it_went(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec(), diverged={(0, 1): 3})

    experiment = client.get(f"/v1/experiments/{experiment_id}").get_json()

    assert experiment["state"] == "succeeded"
    assert experiment["progress"] == 1
    assert experiment["eta_s"] is None
    assert experiment["finished_at"] >= experiment["started_at"] >= experiment["created_at"]
    assert experiment["runs"] == {
        "queued": 0,
        "running": 0,
        "succeeded": 4,
        "failed": 0,
        "cancelled": 0,
        "diverged": 1,
    }


def test_a_failure_is_told_with_its_reason(client: FlaskClient, database: Database) -> None:
    experiment_id = failed(database, a_spec())

    experiment = client.get(f"/v1/experiments/{experiment_id}").get_json()

    assert experiment["state"] == "failed"
    assert experiment["failures"] == [
        {"stack": 0, "error_class": "out_of_memory", "error": "The stack does not fit into the memory."}
    ]


def test_the_order_of_a_sweep_survives(client: FlaskClient, database: Database) -> None:
    spec = a_spec(sweep=(("training.learning_rate", (0.3, 0.1)), ("network.depth", (4, 2))))

    experiment = client.get(f"/v1/experiments/{submitted(database, spec)}").get_json()

    assert list(experiment["spec"]["sweep"]) == ["training.learning_rate", "network.depth"]
