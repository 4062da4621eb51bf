"""Whoever waits is told for what."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from service.queue import _answer
from store.database import database_now
from store.gauges import Line
from store.models import Experiment
from tests.service.conftest import ask, database_of
from tests.store.builders import claimed

UNHEARD = "No training process has taken anything for {}, though this waits: is one running?"


def test_a_question_behind_another_is_told_so(app: Flask, client: FlaskClient) -> None:
    ask(client)
    claimed(database_of(app))
    before = client.get("/v1/queue").get_json()
    ask(client)

    told = client.get("/v1/queue").get_json()

    assert before["answer"] is None
    assert (told["waiting"], told["running"], told["processes"]) == (1, 1, 1)
    assert told["answer"] == "Waits for a free training process: 1 is busy, with 1 other experiment."


def test_a_question_that_no_worker_hears_is_told_so(app: Flask, client: FlaskClient) -> None:
    ask(client)
    at_first = client.get("/v1/queue").get_json()["answer"]
    with database_of(app).writing() as session:
        session.execute(sa.update(Experiment).values(waits_since=database_now(-100.5)))

    later = client.get("/v1/queue").get_json()["answer"]

    assert at_first == "Waits for a training process to take it."
    assert later.startswith("No training process has taken anything for 10")
    assert later.endswith(" s, though this waits: is one running?")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (Line(0, 3, 3, 0.0), None),
        (Line(2, 1, 2, 9.0), "Waits for a free training process: 2 are busy, with 1 other experiment; 1 more waits."),
        (Line(4, 2, 2, 9.0), "Waits for a free training process: 2 are busy, with 2 other experiments; 3 more wait."),
        (
            Line(1, 0, 0, 1200.0),
            "No training process has taken anything for 20 min, though this waits: is one running?",
        ),
        (Line(1, 0, 0, 9e4), "No training process has taken anything for 25 h, though this waits: is one running?"),
    ],
)
def test_the_sentence_counts(line: Line, sentence: str | None) -> None:
    assert _answer(line) == sentence
