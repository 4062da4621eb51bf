"""What follows from an experiment that has ended is made once; what changes is made again."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from store.database import Database
from store.models import Experiment, Run
from tests.builders import a_spec
from tests.service.recorded import submitted, trained

PATHS = ["summary", "comparison?metric=delta_norm&at=auc", "figures/learning_curves"]


def counted(run: Any) -> int:
    """How often the database is asked while `run` does its work."""
    asked: list[str] = []

    def note(*arguments: Any) -> None:
        if not arguments[2].startswith("BEGIN"):
            asked.append(arguments[2])

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        run()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    return len(asked)


@pytest.mark.parametrize("path", PATHS)
def test_an_experiment_that_has_ended_is_judged_once(path: str, client: FlaskClient, database: Database) -> None:
    url = f"/v1/experiments/{trained(database, a_spec())}/{path}"

    first = client.get(url)
    n = counted(lambda: client.get(url))
    again = client.get(url)

    assert first.status_code == 200
    assert n == 1
    assert (again.data, again.headers["ETag"]) == (first.data, first.headers["ETag"])


@pytest.mark.parametrize("path", PATHS)
def test_whoever_has_the_answer_is_told_so(path: str, client: FlaskClient, database: Database) -> None:
    url = f"/v1/experiments/{trained(database, a_spec())}/{path}"
    tag = client.get(url).headers["ETag"]

    answer = client.get(url, headers={"If-None-Match": tag})

    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)


def test_another_question_has_another_answer(client: FlaskClient, database: Database) -> None:
    url = f"/v1/experiments/{trained(database, a_spec())}/comparison?metric=test_accuracy"

    levels = [client.get(f"{url}&level={level}").get_json()["level"] for level in (0.5, 0.9, 0.5)]

    assert levels == [0.5, 0.9, 0.5]


@pytest.mark.parametrize("path", PATHS)
def test_a_new_version_is_judged_again(path: str, client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec())
    url = f"/v1/experiments/{experiment_id}/{path}"
    before = client.get(url)

    with database.writing() as session:
        session.execute(sa.update(Experiment).values(version=Experiment.version + 1))
        session.execute(sa.update(Run).values(test_accuracy=0.125, diverged_at=3))

    assert counted(lambda: client.get(url)) > 1
    if path.startswith("comparison"):
        assert client.get(url).data != before.data


def test_what_still_trains_is_not_kept(client: FlaskClient, database: Database) -> None:
    url = f"/v1/experiments/{submitted(database, a_spec())}/summary"
    client.get(url)

    assert counted(lambda: client.get(url)) > 1


def test_an_experiment_that_was_deleted_has_no_answer(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec())
    url = f"/v1/experiments/{experiment_id}/summary"
    client.get(url)

    client.delete(f"/v1/experiments/{experiment_id}")

    assert client.get(url).status_code == 404
