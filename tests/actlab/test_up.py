"""`actlab up` for real: what it starts stays up, survives what it should, and leaves nothing behind."""

from __future__ import annotations

import os
import shlex
import signal
import time
from pathlib import Path

import httpx
import pytest

from actlab.client import Lab
from tests.actlab.labs import A_LONG_QUESTION, A_QUESTION, Up, start, started
from tests.actlab.processes import alive, eventually


def still_alive(processes: dict[int, str]) -> list[str]:
    return [command for pid, command in processes.items() if alive(pid)]


def train_for_ever(up: Up) -> str:
    """Submits what takes hours, and returns its id once it trains."""
    with Lab(up.url) as lab:
        experiment_id: str = lab.submit(A_LONG_QUESTION)["id"]
        assert eventually(lambda: lab.get(experiment_id)["runs"]["running"], timeout_s=30)
    return experiment_id


def test_data_survive_a_stop_and_work_goes_on_after_a_restart(data: Path) -> None:
    with started(data) as up:
        with Lab(up.url) as lab:
            done = lab.wait(lab.submit(A_QUESTION)["id"], timeout_s=60)
        endless = train_for_ever(up)
        processes = up.processes()

        asked_at = time.monotonic()
        up.process.send_signal(signal.SIGTERM)
        said = up.process.communicate(timeout=30)[0]

    assert up.process.returncode == 0
    assert time.monotonic() - asked_at < 15
    assert "The lab has stopped." in said
    assert "does not end by itself" not in said
    assert not still_alive(processes)

    with started(data) as up, Lab(up.url) as lab:
        assert lab.get(done["id"])["state"] == "succeeded"
        assert eventually(lambda: lab.get(endless)["runs"]["running"], timeout_s=30)


def test_nothing_survives_a_lab_that_was_killed_while_it_trained(data: Path) -> None:
    with started(data) as up:
        train_for_ever(up)
        processes = up.processes()
        assert len(processes) >= 6

        up.process.kill()
        up.process.communicate()

        assert eventually(lambda: not still_alive(processes), timeout_s=5), still_alive(processes)


def test_programs_that_were_killed_are_started_again_and_experiments_still_succeed(lab_up: Up) -> None:
    programs = ("valkey-server", "-m worker", "service.wsgi", "store.sweeper")
    killed = [lab_up.process_of(program) for program in programs]

    for pid in killed:
        os.kill(pid, signal.SIGKILL)

    def all_again() -> bool:
        commands = [command for pid, command in lab_up.processes().items() if pid not in killed]
        return all(any(program in command for command in commands) for program in programs)

    assert eventually(all_again)
    with Lab(lab_up.url) as lab:
        assert lab.wait(lab.submit(A_QUESTION)["id"], timeout_s=60)["state"] == "succeeded"


def test_a_second_lab_in_the_same_folder_is_told_of_the_first(lab_up: Up, lab_data: Path) -> None:
    second = start(lab_data)
    said = second.communicate(timeout=30)[0]

    assert second.returncode == 1
    assert f"A lab already runs in {lab_data} (process {lab_up.process.pid}, {lab_up.url})" in said


def test_a_lab_that_asks_for_tokens_serves_a_network(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTLAB_AUTH", "tokens")
    monkeypatch.setenv("ACTLAB_ALLOWED_HOSTS", "lab.example")

    with started(data, "--host", "0.0.0.0") as up:  # noqa: S104 - that it is served there is the claim
        port = up.url.rpartition(":")[2]
        assert up.process.stdout is not None
        said = [up.process.stdout.readline() for _ in range(3)]
        statuses = [
            httpx.get(f"http://127.0.0.1:{port}{path}", headers={"Host": "lab.example"}).status_code
            for path in ("/readyz", "/v1/experiments")
        ]

    assert statuses == [200, 401]
    assert f"actlab token create me --data {shlex.quote(str(data))}" in said[2]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--host", "0.0.0.0"], "this lab asks nobody who they are"),  # noqa: S104 - that it is refused is the claim
        (["--data", "/dev/null"], "The data folder /dev/null cannot be used"),
    ],
)
def test_what_cannot_be_started_is_said_in_a_sentence(data: Path, options: list[str], sentence: str) -> None:
    process = start(data, *options)
    said = process.communicate(timeout=30)[0]

    assert process.returncode == 1
    assert sentence in said
    assert "Traceback" not in said


def test_a_lab_at_another_port_says_how_other_terminals_find_it(lab_up: Up) -> None:
    assert lab_up.process.stdout is not None
    lines = [lab_up.process.stdout.readline().strip() for _ in range(2)]

    assert lines[1] == f"For other terminals: export ACTLAB_URL={lab_up.url}"


def test_a_setting_that_cannot_be_read_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTLAB_SWEEP_S", "often")

    process = start(data)
    said = process.communicate(timeout=30)[0]

    assert process.returncode == 1
    assert "ACTLAB_SWEEP_S: given 'often'" in said


def test_ctrl_c_before_the_lab_is_up_stops_it_too(data: Path) -> None:
    process = start(data)
    assert process.stdout is not None
    assert "Starting" in process.stdout.readline()
    assert eventually(lambda: (data / "logs" / "valkey.log").exists())

    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[0]

    assert process.returncode == 130
    assert "Stopping: " in said
    assert "Stopped before the lab was up." in said
