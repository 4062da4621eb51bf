"""The command line against a real lab: what people see, what programs read, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from actlab.cli import main
from actlab.client import Json, Lab
from actlab.errors import LabError
from tests.actlab.labs import A_LONG_QUESTION, A_QUESTION, Up

TINY = (
    "--dataset",
    "xor",
    "--depth",
    "1",
    "--width",
    "4",
    "--steps",
    "5",
    "--replicates",
    "2",
    "--set",
    "recording.points=3",
)


def actlab(up: Up, *arguments: str, given: str | None = None) -> Result:
    return CliRunner(env={"ACTLAB_URL": up.url}).invoke(main, arguments, input=given)


def test_every_command_explains_itself_with_an_example() -> None:
    for name, command in main.commands.items():
        help_text = CliRunner().invoke(main, [name, "--help"]).output

        assert f"actlab {name}" in help_text.partition("Options:")[0].partition("\n")[2], name
        assert command.get_short_help_str(), name


def test_run_follows_an_experiment_to_its_answer(lab_up: Up, tmp_path: Path) -> None:
    report = tmp_path / "report.html"

    result = actlab(lab_up, "run", "--activations", "relu,tanh", *TINY, "--report", str(report))

    assert result.exit_code == 0, result.output
    assert "succeeded 100%: 4 of 4 runs done" in result.stderr
    assert "relu" in result.stdout
    assert "test accuracy" in result.stdout
    assert report.stat().st_size > 10_000


def test_run_takes_a_request_from_standard_input(lab_up: Up) -> None:
    result = actlab(lab_up, "run", "-", "--name", "from a pipe", "--json", given=json.dumps(A_QUESTION))

    end = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (end["name"], end["state"], end["plan"]["runs"]) == ("from a pipe", "succeeded", 4)
    assert result.stderr == ""


def test_a_dry_run_shows_the_plan(lab_up: Up) -> None:
    result = actlab(lab_up, "run", "--activations", "relu,tanh", "--sweep", "network.depth=2,4", "--dry-run")

    assert "4 arms, 40 runs" in result.stdout
    assert "tanh, depth=4" in result.stdout


def test_no_follow_says_only_the_id(lab_up: Up, lab: Lab) -> None:
    result = actlab(lab_up, "run", "--activations", "relu", *TINY, "--no-follow")

    assert lab.get(result.stdout.strip())["spec"]["network"]["width"] == 4


def test_wait_and_run_fail_when_the_experiment_does(lab_up: Up, lab: Lab) -> None:
    experiment_id = lab.submit(A_LONG_QUESTION)["id"]
    lab.cancel(experiment_id)

    result = actlab(lab_up, "wait", experiment_id)

    assert result.exit_code == 1
    assert "is cancelled" in result.stderr


def test_a_refused_request_is_a_sentence_for_every_field(lab_up: Up) -> None:
    result = actlab(lab_up, "run", "--activations", "rleu", "--depth", "0")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "rleu" in result.stderr
    assert "network.depth: given 0" in result.stderr
    assert "Traceback" not in result.stderr


def test_list_and_show_name_the_experiment(lab_up: Up, answered: Json) -> None:
    listed = actlab(lab_up, "list", "--limit", "200").stdout
    shown = actlab(lab_up, "show", answered["id"][:8]).stdout

    assert answered["id"][:8] in listed
    assert re.search(r"Is it there\? +relu, tanh +xor +test", listed)
    assert "Is it there?" in shown
    assert "relu, tanh" in shown
    assert "Before training" in shown
    assert "residual no" in shown
    assert "clip_norm none" in shown
    assert "None" not in shown


def test_json_is_all_that_goes_to_standard_output(lab_up: Up, answered: Json) -> None:
    assert json.loads(actlab(lab_up, "show", answered["id"], "--json").stdout)["id"] == answered["id"]
    assert answered["id"] in [
        item["id"] for item in json.loads(actlab(lab_up, "list", "--limit", "200", "--json").stdout)
    ]
    assert json.loads(actlab(lab_up, "compare", answered["id"], "--json").stdout)["metric"] == "test_accuracy"


def test_predictions_stand_beside_what_was_measured_or_say_why_not(lab_up: Up, answered: Json) -> None:
    result = actlab(lab_up, "predictions", answered["id"], "--arm", "0")
    as_json = actlab(lab_up, "predictions", answered["id"], "--json")

    assert result.exit_code == 0, result.output
    assert "8 units are too few" in result.stdout
    assert "tanh" not in result.stdout
    assert [arm["label"] for arm in json.loads(as_json.stdout)] == ["relu", "tanh"]


def test_compare_shows_intervals_and_differences(lab_up: Up, answered: Json) -> None:
    result = actlab(lab_up, "compare", answered["id"], "--metric", "activation_mean", "--layer", "1", "--at", "first")

    assert result.exit_code == 0, result.output
    assert "difference" in result.stdout
    assert "tanh" in result.stdout


@pytest.mark.parametrize(("table", "rows"), [("measurements", 40), ("curves", 20), ("runs", 4)])
def test_export_writes_every_row(lab_up: Up, answered: Json, tmp_path: Path, table: str, rows: int) -> None:
    file = tmp_path / "table.csv"

    to_file = actlab(lab_up, "export", answered["id"], table, "-o", str(file))
    to_pipe = actlab(lab_up, "export", answered["id"], table, "--format", "json")

    assert to_file.stdout == ""
    assert len(list(csv.DictReader(io.StringIO(file.read_text())))) == rows
    data = json.loads(to_pipe.stdout)
    assert len(data if isinstance(data, list) else data["step"]) == rows


def test_export_keeps_the_columns_and_rows_asked_for(lab_up: Up, answered: Json) -> None:
    options = ("--fields", "dead_fraction,delta_norm", "--activation", "relu", "--layer", "2")

    text = actlab(lab_up, "export", answered["id"], "measurements", *options).stdout

    table = list(csv.DictReader(io.StringIO(text)))
    assert len(table) == 10
    assert set(table[0]) >= {"dead_fraction", "delta_norm"}
    assert "weight_norm" not in table[0]


def test_exported_runs_have_a_column_for_what_is_swept(lab_up: Up) -> None:
    sweep = ("--sweep", "training.learning_rate=0.1,0.2", "--sweep", "network.residual=true,false")
    actlab(lab_up, "run", "--activations", "relu", *TINY, *sweep, "--json")

    table, lines = (actlab(lab_up, "export", "last", "runs", "--format", form).stdout for form in ("csv", "ndjson"))

    rows = list(csv.DictReader(io.StringIO(table)))
    assert list(rows[0])[:5] == ["id", "arm", "label", "training.learning_rate", "network.residual"]
    assert {(row["training.learning_rate"], row["network.residual"]) for row in rows} == {
        ("0.1", "true"),
        ("0.1", "false"),
        ("0.2", "true"),
        ("0.2", "false"),
    }
    assert {json.loads(line)["network.residual"] for line in lines.splitlines()} == {True, False}


def test_export_sums_up_over_networks(lab_up: Up, answered: Json) -> None:
    options = ("--fields", "delta_norm", "--aggregate", "mean", "--over", "layers", "--thin", "4", "--format", "ndjson")

    lines = actlab(lab_up, "export", answered["id"], "measurements", *options).stdout.splitlines()

    rows = [json.loads(line) for line in lines]
    assert {row["activation"] for row in rows} == {"relu", "tanh"}
    assert {row["delta_norm_n"] for row in rows} == {2}
    assert len(rows) <= 2 * 4


def test_an_experiment_that_is_not_there_is_named(lab_up: Up) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"

    assert actlab(lab_up, "show", "zzz").stderr == "No recent experiment's id begins with 'zzz'.\n"
    assert unknown in actlab(lab_up, "show", unknown).stderr
    assert actlab(lab_up, "show", unknown).exit_code == 1


def test_cancel_retry_and_delete_say_what_they_did(lab_up: Up) -> None:
    submitted = actlab(lab_up, "run", "-", "--no-follow", given=json.dumps(A_LONG_QUESTION)).stdout.strip()

    early = actlab(lab_up, "retry", submitted)
    cancelled = actlab(lab_up, "cancel", submitted)
    actlab(lab_up, "wait", submitted)
    once_more = actlab(lab_up, "cancel", submitted)
    again = actlab(lab_up, "retry", submitted)
    told = actlab(lab_up, "history", submitted)
    kept = actlab(lab_up, "delete", submitted, given="n\n")
    deleted = actlab(lab_up, "delete", submitted, "--yes")

    assert (early.exit_code, "has not ended" in early.stderr) == (1, True)
    # What only waited is cancelled at once.
    assert re.search("is (being )?cancelled", cancelled.stdout)
    assert (once_more.exit_code, once_more.stdout) == (0, f"Experiment {submitted} was cancelled already.\n")
    assert "runs again: 4 runs" in again.stdout
    assert re.search(r"stack 0 +- +\S+ +cancelled", told.stdout)
    assert re.search(r"stack 0 +1 +- +queued", told.stdout)
    assert kept.exit_code == 1
    assert "('For ever?', relu, tanh on xor, 4 runs)" in kept.stderr
    assert "is deleted" in deleted.stdout
    assert actlab(lab_up, "show", submitted).exit_code == 1


def test_more_replicates_are_trained_on_demand(lab_up: Up, lab: Lab) -> None:
    submitted = lab.submit(A_QUESTION)["id"]
    actlab(lab_up, "wait", submitted)
    n = lab.get(submitted)["spec"]["replicates"]

    told = actlab(lab_up, "replicates", submitted, "--add", "2")
    lab.wait(submitted, timeout_s=30)

    assert told.stdout == f"Experiment {submitted} goes on to {n + 2} replicates: 4 more runs.\n"
    assert {arm["n"] for arm in lab.comparison(submitted)["arms"]} == {n + 2}
    changed = lab.change(submitted, name="Now larger", tags=["grown"])
    assert (changed["name"], changed["tags"]) == ("Now larger", ["grown"])
    assert lab.cancel_found(tag="grown") == 0


def test_what_waits_says_for_what(lab_up: Up, behind: Json) -> None:
    shown = actlab(lab_up, "show", behind["id"])
    waited = actlab(lab_up, "wait", behind["id"], "--timeout", "1")

    sentence = "Waits for a free training process: 1 is busy, with 1 other experiment."
    assert re.search(rf"waits +{sentence}", shown.stdout)
    assert f"queued 0%: 0 of 4 runs done. {sentence}\n" in waited.stderr


def test_ctrl_c_says_that_the_experiment_goes_on(lab_up: Up, lab: Lab) -> None:
    command = [sys.executable, "-m", "actlab", "run", "-", "--url", lab_up.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps(A_LONG_QUESTION))
        process.stdin.close()
        experiment_id = process.stderr.readline().split()[1].rstrip(":")
        assert process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()

    assert process.returncode == 130
    assert "goes on. Follow it: " in said
    assert f"actlab wait {experiment_id[:8]}; stop it: " in said
    assert f"actlab cancel {experiment_id[:8]}" in said
    assert lab.cancel(experiment_id)["id"] == experiment_id


def test_progress_is_a_live_bar_at_a_terminal(lab_up: Up) -> None:
    seen = at_a_terminal(lab_up, "run", "--activations", "relu", *TINY)

    assert b"\x1b[" in seen
    assert b"2 of 2 runs done" in seen


def test_what_is_waited_for_stands_once_above_the_bar(lab_up: Up, behind: Json) -> None:
    seen = at_a_terminal(lab_up, "wait", behind["id"], "--timeout", "3")

    assert seen.count(b"Waits for a free training process: 1 is busy, with 1 other experiment.\r\n") == 1


def at_a_terminal(up: Up, *arguments: str) -> bytes:
    """Everything that the command writes there."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "actlab", *arguments, "--url", up.url]
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm"}
    ):
        os.close(terminal)
        seen = b""
        while piece := _read(controller):
            seen += piece
    os.close(controller)
    return seen


def _read(controller: int) -> bytes:
    try:
        return os.read(controller, 4096)
    except OSError:
        # A terminal whose program has ended gives an error, not an end of file.
        return b""


def test_a_reader_that_has_enough_is_no_failure_to_shout_about(lab_up: Up, answered: Json) -> None:
    command = f"{sys.executable} -m actlab export {answered['id']} measurements --url {lab_up.url} | head -n 1"

    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("run_id")
    assert done.stderr == ""


def test_the_answer_is_shown_even_where_the_report_is_lost(lab_up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> Path:
        raise LabError("The disk is full.")

    monkeypatch.setattr(Lab, "report", lost)

    result = actlab(lab_up, "run", "--activations", "relu", *TINY, "--report", "report.html")

    assert result.exit_code == 1
    assert "test accuracy" in result.stdout
    assert "The disk is full." in result.stderr


def test_regression_is_judged_by_its_loss(lab_up: Up, lab: Lab) -> None:
    end = lab.wait(lab.submit(A_QUESTION | {"dataset": "function_1d"})["id"], timeout_s=60)

    assert json.loads(actlab(lab_up, "compare", end["id"], "--json").stdout)["metric"] == "test_loss"
    assert "test loss" in actlab(lab_up, "show", end["id"]).stdout
