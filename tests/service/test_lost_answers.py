"""The answer to a commit is lost, and with it the connection: what was asked for is made sure of before it is said."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.builders import a_spec
from tests.commits import answers_lost, first
from tests.service.conftest import database_of
from tests.service.recorded import failed, submitted, trained

BEGUN = {"open": submitted, "failed": failed, "ended": trained}
# What is asked, of what, the answer, and what is then so.
REQUESTS: dict[str, tuple[str, str, str, Any, int, tuple[str, str]]] = {
    "cancel": ("open", "POST", "/cancel", None, 202, ("state", "cancelled")),
    "retry": ("failed", "POST", "/retry", None, 202, ("state", "running")),
    "replicates": ("ended", "POST", "/replicates", {"replicates": 3}, 202, ("state", "running")),
    "change": ("ended", "PATCH", "", {"name": "Depth"}, 200, ("name", "Depth")),
}


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_asked_is_done_once_though_the_answer_to_its_commit_was_lost(
    app: Flask, client: FlaskClient, name: str, kept: bool
) -> None:
    begun, method, resource, body, status, then = REQUESTS[name]
    path = f"/v1/experiments/{BEGUN[begun](database_of(app), a_spec(replicates=2))}"

    with answers_lost(database_of(app), first, kept=kept) as broken:
        answer = client.open(path + resource, method=method, json=body)

    assert (broken, answer.status_code) == ([0], status)
    assert [answer.get_json()[then[0]], client.get(path).get_json()[then[0]]] == [then[1], then[1]]
    changes = client.get(f"{path}/history").get_json()["items"]
    of_stacks = [(each["stack"], each["generation"], each["to_state"]) for each in changes if each["stack"] is not None]
    assert len(of_stacks) == len(set(of_stacks))


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_deleted_is_gone_though_the_answer_to_its_commit_was_lost(
    app: Flask, client: FlaskClient, kept: bool
) -> None:
    path = f"/v1/experiments/{submitted(database_of(app), a_spec())}"

    with answers_lost(database_of(app), first, kept=kept) as broken:
        answer = client.delete(path)

    assert (broken, answer.status_code) == ([0], 204)
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(("kept", "status"), [(True, 202), (False, 503)])
def test_a_claim_is_asked_for_once_though_the_answer_to_its_commit_was_lost(
    app: Flask, client: FlaskClient, kept: bool, status: int
) -> None:
    path, body = "/v1/claims/C4/experiments", {"effort": "quick"}

    with answers_lost(database_of(app), first, kept=kept) as broken:
        answer = client.post(path, json=body)
    again = client.post(path, json=body).get_json()

    submitted = (answer.get_json() if kept else again)["submitted"]
    found = {each["id"] for each in client.get("/v1/experiments").get_json()["items"]}
    assert (broken, answer.status_code, len(submitted)) == ([0], status, 4)
    assert found == set(submitted) == {each["id"] for each in again["experiments"]}
    assert (again["submitted"] == []) is kept
