"""Experiments as they are read: in lists, polled, and with how they went."""

from __future__ import annotations

import sqlalchemy as sa
from flask.testing import FlaskClient

from lab.spec import DatasetSpec
from store.database import Database
from tests.builders import a_spec
from tests.service.conftest import ask, database_of
from tests.service.recorded import failed, submitted, trained
from tests.store.builders import claimed, finished, in_stacks

XOR = DatasetSpec("xor", (("n_test", 50), ("n_train", 100), ("noise", 0.0)))


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


def test_the_time_to_go_is_said_while_something_of_it_runs(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{submitted(database, in_stacks(2))}"

    finished(database, claimed(database))
    between = client.get(path).get_json()
    claimed(database)
    training = client.get(path).get_json()

    assert (between["state"], between["progress"], between["eta_s"]) == ("running", 0.5, None)
    assert training["eta_s"] > 0


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
