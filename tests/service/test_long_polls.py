"""Over a real gunicorn: what long polls of an experiment tell, and when."""

from __future__ import annotations

import threading

from actlab import Lab
from store.database import Database
from tests.service.listening import Api, poll
from tests.store.builders import claimed, finished, in_stacks, submitted


def test_a_long_poll_answers_at_once_where_there_is_something(database: Database, api: Api) -> None:
    experiment_id = submitted(database).id

    answer = poll(api, experiment_id, "start", 15)

    assert answer.elapsed.total_seconds() < 5
    assert [event["event"] for event in answer.json()["events"]].count("progress") == 1
    assert answer.json()["ended"] is False


def test_a_long_poll_from_now_tells_how_it_stands_and_where_to_go_on(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(1)).id

    now = poll(api, experiment_id, "now", 15).json()
    claimed(database)
    later = poll(api, experiment_id, now["since"], 15).json()

    assert [(event["event"], event["data"]["state"]) for event in now["events"]] == [("progress", "queued")]
    changes = [event["data"]["to_state"] for event in later["events"] if event["event"] == "state"]
    assert changes == ["running", "running"]


def test_a_long_poll_waits_for_news_and_no_longer_than_it_was_told(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(1)).id
    last = poll(api, experiment_id, "start", 0).json()["since"]

    nothing = poll(api, experiment_id, last, 1)
    claiming = threading.Timer(0.5, lambda: claimed(database))
    claiming.start()
    something = poll(api, experiment_id, last, 15)
    claiming.join()

    assert (nothing.json()["events"], nothing.json()["since"]) == ([], last)
    assert nothing.elapsed.total_seconds() >= 1
    assert 0.4 < something.elapsed.total_seconds() < 10
    assert (0, "running") in [
        (event["data"]["stack"], event["data"]["to_state"])
        for event in something.json()["events"]
        if event["event"] == "state"
    ]


def test_the_client_waits_without_asking_again_and_again(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(1)).id
    claim = claimed(database)
    looks: list[str] = []
    finishing = threading.Timer(3, lambda: finished(database, claim))

    with Lab(api.url) as lab:
        lab.get(experiment_id)
        finishing.start()
        end = lab.wait(experiment_id, on_progress=lambda experiment: looks.append(experiment["state"]))
        finishing.join()

    assert end["state"] == "succeeded"
    # At first, once the past was told, and when it had ended.
    assert len(looks) <= 4


def test_polls_from_the_start_to_the_end_tell_each_change_once(database: Database, api: Api) -> None:
    experiment_id = submitted(database, in_stacks(2)).id
    since, told, ended = "start", [], False

    for _ in range(2):
        finished(database, claimed(database))
    while not ended:
        answer = poll(api, experiment_id, since, 15).json()
        since, ended = answer["since"], answer["ended"]
        states = [event["data"] for event in answer["events"] if event["event"] == "state"]
        told += [(state["stack"], state["to_state"]) for state in states]

    assert len(told) == len(set(told))
    assert (None, "succeeded") in told
