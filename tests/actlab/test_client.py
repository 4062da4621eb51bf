"""The client against a real lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from actlab.client import Json, Lab
from actlab.errors import Conflict, NotFound, Refused, TimedOut
from tests.actlab.labs import A_LONG_QUESTION, A_QUESTION


def test_a_plan_says_what_would_be_done_and_does_nothing(lab: Lab) -> None:
    before = lab.list()

    plan = lab.plan(A_QUESTION)

    assert (plan["plan"]["arms"], plan["plan"]["runs"]) == (2, 4)
    assert lab.list() == before


def test_the_same_key_is_the_same_experiment(lab: Lab) -> None:
    first = lab.submit(A_QUESTION, idempotency_key="twice")
    again = lab.submit(A_QUESTION, idempotency_key="twice")

    assert again["id"] == first["id"]


def test_progress_is_told_while_one_waits(lab: Lab) -> None:
    seen: list[Json] = []

    end = lab.wait(lab.submit(A_QUESTION)["id"], on_progress=seen.append, timeout_s=60)

    assert seen[-1] == end
    assert end["progress"] == 1.0


def test_who_waits_is_told_for_what(lab: Lab, behind: Json, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TimedOut):
        lab.wait(behind["id"], progress=True, timeout_s=1)

    assert capsys.readouterr().out == f"queued 0%: 0 of 4 runs done. {lab.queue()['answer']}\n"
    assert "Waits for a free training process: 1 is busy, with 1 other experiment." in lab.waits_for(behind)


def test_who_does_not_wait_is_told_nothing(lab: Lab, answered: Json, capsys: pytest.CaptureFixture[str]) -> None:
    lab.wait(answered["id"], progress=True)

    assert capsys.readouterr().out == "succeeded 100%: 4 of 4 runs done\n"


def test_what_an_experiment_left_is_all_there(lab: Lab, answered: Json) -> None:
    arms = lab.arms(answered["id"])
    runs = lab.runs(answered["id"])
    curves = lab.curves(answered["id"], fields=["test_loss"])
    measurements = lab.measurements(
        answered["id"], activation="relu", layer=[1, 2], fields=["dead_fraction", "delta_norm"]
    )

    assert [arm["label"] for arm in arms] == ["relu", "tanh"]
    assert len(runs) == 4
    assert all(run["state"] == "succeeded" for run in runs)
    assert len(curves["test_loss"]) == 4 * 5
    assert None not in curves["test_loss"]
    assert set(measurements["activation"]) == {"relu"}
    assert len(measurements["delta_norm"]) == 2 * 5 * 2


def test_columns_of_many_pages_are_as_long_as_the_table(
    lab: Lab, answered: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lab.curves(answered["id"])
    monkeypatch.setattr("actlab.client.PAGE", 3)

    assert lab.curves(answered["id"]) == whole


def test_csv_has_a_line_for_every_row(lab: Lab, answered: Json) -> None:
    lines = "".join(lab.csv(answered["id"], "measurements", fields=["dead_fraction"])).splitlines()

    assert "dead_fraction" in lines[0]
    assert len(lines) == 1 + 4 * 5 * 2


def test_what_follows_is_all_there(lab: Lab, answered: Json, tmp_path: Path) -> None:
    comparison = lab.comparison(answered["id"], "dead_fraction", layer=1, at="first")
    predictions = lab.predictions(answered["id"], arm=[1])
    summary = lab.summary(answered["id"])
    figure = lab.figure(answered["id"], "learning_curves")
    report = lab.report(answered["id"], tmp_path / "report.html")

    assert comparison["layer"] == 1
    assert [(arm["label"], len(arm["predictions"])) for arm in predictions] == [("tanh", 2 * 4 + 1)]
    assert [row["label"] for row in summary["table"]] == ["relu", "tanh"]
    assert summary["answer"]
    assert figure["data"]
    assert report.read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_experiments_are_listed_newest_first_and_by_filter(lab: Lab, answered: Json) -> None:
    newer = lab.submit(A_QUESTION | {"name": "A newer one", "tags": ["other"]})

    ids = [experiment["id"] for experiment in lab.list(limit=500)]

    assert ids.index(newer["id"]) < ids.index(answered["id"])
    assert [experiment["id"] for experiment in lab.list(tag="other")] == [newer["id"]]


def test_cancelling_ends_what_trains(lab: Lab) -> None:
    experiment_id = lab.submit(A_LONG_QUESTION)["id"]

    lab.cancel(experiment_id)

    assert lab.wait(experiment_id, timeout_s=30)["state"] == "cancelled"


def test_what_was_cancelled_can_be_run_again_and_its_history_says_so(lab: Lab) -> None:
    experiment_id = lab.submit(A_LONG_QUESTION)["id"]
    lab.cancel(experiment_id)
    lab.wait(experiment_id, timeout_s=30)

    again = lab.retry(experiment_id)
    lab.cancel(experiment_id)
    lab.wait(experiment_id, timeout_s=30)

    ends = [event for event in lab.history(experiment_id) if event["stack"] is None]
    assert again["state"] == "running"
    assert [event["generation"] for event in ends if event["to_state"] == "cancelled"] == [0, 1]


def test_what_has_succeeded_cannot_be_cancelled(lab: Lab, answered: Json) -> None:
    with pytest.raises(Conflict):
        lab.cancel(answered["id"])


def test_what_is_deleted_is_gone(lab: Lab) -> None:
    experiment_id = lab.submit(A_QUESTION)["id"]

    lab.delete(experiment_id)

    with pytest.raises(NotFound):
        lab.get(experiment_id)


def test_a_refusal_names_the_field(lab: Lab) -> None:
    with pytest.raises(Refused, match=r"network.depth.*65") as refused:
        lab.submit(A_QUESTION | {"network": {"depth": 65}})

    assert [entry["field"] for entry in refused.value.fields] == ["network.depth"]
