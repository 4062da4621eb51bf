"""The client against a server that stumbles: what is safe is tried again, and every refusal is a sentence."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from actlab.client import Lab
from actlab.errors import Conflict, LabError, NotFound, Refused, TimedOut, Unreachable
from tests.actlab.stumbling import Answer, stumbling

EXPERIMENT = {"id": "1", "state": "queued", "progress": 0.0}
BUSY = Answer(503, {"title": "Service Unavailable", "detail": "The database cannot be used now."})
HANG_UP = Answer(0)
NO_PORT = "http://127.0.0.1:1"


@pytest.mark.parametrize("trouble", [BUSY, HANG_UP], ids=["busy", "hang up"])
def test_a_submit_that_stumbles_is_sent_again_with_the_same_key(trouble: Answer) -> None:
    with stumbling(trouble, trouble, Answer(202, EXPERIMENT)) as server, Lab(server.url) as lab:
        experiment = lab.submit({"activations": ["relu"]})

    assert experiment == EXPERIMENT
    assert [request.body for request in server.requests] == [{"activations": ["relu"]}] * 3
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1


def test_a_delete_whose_first_answer_was_lost_has_still_deleted() -> None:
    gone = Answer(404, {"title": "Not Found"})
    with stumbling(HANG_UP, gone) as server, Lab(server.url) as lab:
        lab.delete("1")

    with stumbling(gone) as server, Lab(server.url) as lab, pytest.raises(NotFound):
        lab.delete("1")


def test_a_refused_report_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    earlier = tmp_path / "report.html"
    earlier.write_text("earlier")

    with stumbling(BUSY) as server, Lab(server.url) as lab, pytest.raises(Refused):
        lab.report("1", earlier)

    assert earlier.read_text() == "earlier"


def test_two_submits_have_two_keys() -> None:
    with stumbling(Answer(202, EXPERIMENT)) as server, Lab(server.url) as lab:
        lab.submit({})
        lab.submit({})

    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 2


def test_a_lab_that_stays_busy_is_refused_with_its_own_words() -> None:
    with stumbling(BUSY) as server, Lab(server.url) as lab, pytest.raises(Refused, match="database cannot be used"):
        lab.get("1")

    assert 3 <= len(server.requests) <= 10


def test_what_is_refused_is_not_tried_again() -> None:
    with stumbling(Answer(404, {"title": "Not Found"})) as server, Lab(server.url) as lab, pytest.raises(NotFound):
        lab.get("1")

    assert len(server.requests) == 1


def test_a_problem_names_every_field() -> None:
    errors = [
        {
            "field": "network.depth",
            "given": 0,
            "allowed": "1 to 64",
            "message": "network.depth: given 0; allowed: 1 to 64.",
        },
        {"field": "seed", "given": "x", "allowed": "a whole number"},
    ]
    problem = {"title": "Unprocessable Content", "detail": "Not allowed: network.depth, seed.", "errors": errors}

    with stumbling(Answer(422, problem)) as server, Lab(server.url) as lab, pytest.raises(Refused) as refused:
        lab.submit({})

    assert str(refused.value).splitlines() == [
        "Unprocessable Content: Not allowed: network.depth, seed.",
        "  network.depth: given 0; allowed: 1 to 64.",
        "  seed: given 'x'; allowed: a whole number.",
    ]
    assert refused.value.fields == errors


def test_a_conflict_has_a_class_of_its_own() -> None:
    answer = Answer(409, {"title": "Conflict", "detail": "It has succeeded."})

    with stumbling(answer) as server, Lab(server.url) as lab, pytest.raises(Conflict, match="It has succeeded"):
        lab.cancel("1")


def test_an_error_page_that_is_no_problem_is_still_a_sentence() -> None:
    with (
        stumbling(Answer(500, ["what"])) as server,
        Lab(server.url) as lab,
        pytest.raises(Refused, match="HTTP status 500"),
    ):
        lab.get("1")


def test_where_no_lab_answers_the_sentence_says_how_to_start_one() -> None:
    with (
        Lab(NO_PORT) as lab,
        pytest.raises(
            Unreachable,
            match=r"No lab answers at http://127.0.0.1:1; start one with `.*actlab up`, or say with --url",
        ),
    ):
        lab.get("1")


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(LabError, match="'localhost:8000' is not one: it reads like http://"):
        Lab("localhost:8000")


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTLAB_URL", "http://127.0.0.1:1234/")

    with Lab() as lab:
        assert lab.url == "http://127.0.0.1:1234"


def test_waiting_asks_only_for_what_has_changed() -> None:
    tagged = Answer(200, EXPERIMENT, {"ETag": 'W/"1"'})
    done = Answer(200, EXPERIMENT | {"state": "failed"}, {"ETag": 'W/"2"'})
    seen: list[str] = []

    with stumbling(tagged, BUSY, Answer(304), done) as server, Lab(server.url) as lab:
        end = lab.wait("1", on_progress=lambda experiment: seen.append(experiment["state"]))

    assert end["state"] == "failed"
    assert seen == ["queued", "queued", "failed"]
    looks = [request for request in server.requests if "/events" not in request.path]
    assert [look.headers.get("If-None-Match") for look in looks] == [None, 'W/"1"', 'W/"1"']


def test_waiting_looks_again_when_something_has_happened() -> None:
    done = Answer(200, EXPERIMENT | {"state": "succeeded"})
    polls = [Answer(200, {"events": [], "since": since, "ended": False}) for since in ("a", "b")]

    with stumbling(Answer(200, EXPERIMENT), polls[0], Answer(304), polls[1], done) as server, Lab(server.url) as lab:
        lab.wait("1")

    asked = [request.path.partition("?")[2] for request in server.requests if "/events" in request.path]
    assert asked == ["since=start&wait_s=15", "since=a&wait_s=15"]


def test_a_lab_without_a_place_to_wait_is_polled() -> None:
    done = Answer(200, EXPERIMENT | {"state": "succeeded"})

    with stumbling(Answer(200, EXPERIMENT), BUSY, Answer(200, EXPERIMENT), done) as server, Lab(server.url) as lab:
        assert lab.wait("1")["state"] == "succeeded"

    assert sum("/events" in request.path for request in server.requests) == 1


def test_waiting_rides_out_a_lab_that_restarts() -> None:
    done = Answer(200, EXPERIMENT | {"state": "succeeded"})

    with stumbling(Answer(200, EXPERIMENT), HANG_UP, BUSY, done) as server, Lab(server.url) as lab:
        assert lab.wait("1")["state"] == "succeeded"


def test_waiting_can_be_bounded() -> None:
    began = time.monotonic()

    with (
        stumbling(Answer(200, EXPERIMENT)) as server,
        Lab(server.url) as lab,
        pytest.raises(TimedOut, match="it goes on"),
    ):
        lab.wait("1", timeout_s=0.5)

    assert time.monotonic() - began < 2


def test_columns_of_all_pages_are_one_table() -> None:
    pages = [
        Answer(200, {"columns": {"step": [0, 1], "test_loss": [2.0, None]}, "next": "more"}),
        Answer(200, {"columns": {"step": [2], "test_loss": [0.5]}, "next": None}),
    ]

    with stumbling(*pages) as server, Lab(server.url) as lab:
        table = lab.curves("1", arm=[0, 2], fields=["test_loss"])

    assert table == {"step": [0, 1, 2], "test_loss": [2.0, None, 0.5]}
    assert "cursor=more" in server.requests[1].path
    assert all("arm=0&arm=2&fields=test_loss" in request.path for request in server.requests)


def test_an_id_cannot_lead_to_another_resource() -> None:
    with stumbling(Answer(404)) as server, Lab(server.url) as lab, pytest.raises(NotFound):
        lab.get("../limits?x=1")

    assert server.requests[0].path == "/v1/experiments/..%2Flimits%3Fx%3D1"
