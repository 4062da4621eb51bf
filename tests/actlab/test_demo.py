"""`actlab demo` for real, with its quick question."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.actlab.labs import environ
from tests.actlab.processes import alive, descendants, eventually


def start(data: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "actlab", "demo", "--quick", "--workers", "1", "--data", str(data)]
    return subprocess.Popen(command, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_demo_answers_and_can_be_asked_again(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    data.mkdir()
    (data / "made-by-actlab-demo").touch()
    (data / "report.html").write_text("of yesterday")
    (data / "actlab.sqlite").write_text("no database")

    process = start(data)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 0, err
    assert "12 of 12 runs done" in err
    assert "initialization pytorch" in out
    for column in ("test accuracy", "dead at", "step 0", "the end", "gradient", "ratio", "mean", "activation"):
        assert column in out
    assert "mean test accuracy" in out
    assert f"The report is in {data / 'report.html'}" in out
    assert f"actlab up --data {os.path.relpath(data)}" in out
    assert "--depth 3 --width 16 --initialization he_normal --epochs 2 --replicates 2" in out
    assert "relu" in (data / "report.html").read_text(encoding="utf-8")


def test_an_interrupted_demo_leaves_no_process(tmp_path: Path) -> None:
    process = start(tmp_path / "demo")
    assert process.stderr is not None
    assert eventually(lambda: len(descendants(process.pid)) >= 4, timeout_s=60)
    started = descendants(process.pid)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert err.index("Stopping: ") < err.index("interrupted")
    assert not any(alive(pid) for pid in started)


def test_the_demo_does_not_touch_a_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "actlab.sqlite").write_text("months of work")

    process = start(tmp_path)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "holds something that is not a demo's" in err
    assert (tmp_path / "actlab.sqlite").read_text() == "months of work"
