"""The suite has teeth: where a part of the design is taken out, it finds what is lost or counted twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.rounds import CHAOS

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHAOS, reason="runs other tests again: `make chaos` does")]

ROOT = Path(__file__).parent.parent.parent
SOURCES = ("actlab", "lab", "store", "service", "worker", "migrations", "tests", "pyproject.toml")

# File, what stands there once, what is put in its place, and the test that must then fail.
MUTATIONS = {
    "no fence": (
        "store/leases.py",
        "Stack.id == claim.stack_id, Stack.attempt == claim.attempt, Stack.state == RUNNING)",
        "Stack.id == claim.stack_id, Stack.state == RUNNING)",
        ["tests/faults/test_state_machine.py", "-k", "sqlite"],
    ),
    "no sweeper": (
        "store/sweeper.py",
        "while _has(database, Stack.state == RUNNING, Stack.lease_until < database_now()):",
        "while False:",
        ["tests/faults/test_kills.py", "-k", "test_killed_workers and sqlite"],
    ),
    "202 before the commit": (
        "service/experiments.py",
        "    answer = keep_once(parts().database, write, is_kept=is_kept)",
        "    with _later(parts().database) as session:\n        answer = write(session)",
        ["tests/faults/test_submitting.py", "-k", "sqlite"],
    ),
}
# Commits a second after the answer.
LATER = """

from contextlib import contextmanager
from threading import Timer


@contextmanager
def _later(database):
    transaction = database.writing()
    yield transaction.__enter__()
    Timer(1.0, transaction.__exit__, (None, None, None)).start()
"""


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_suite_goes_red_where_it_was_green(tmp_path: Path, name: str) -> None:
    path, found, instead, arguments = MUTATIONS[name]
    for source in SOURCES:
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / source)
    text = (tmp_path / path).read_text()
    assert text.count(found) == 1, f"{path} no longer says {found!r} once"

    sound = run_in(tmp_path, arguments)
    (tmp_path / path).write_text(text.replace(found, instead) + (LATER if "_later" in instead else ""))
    mutated = run_in(tmp_path, arguments)

    assert sound.returncode == pytest.ExitCode.OK, sound.stdout[-2000:]
    assert mutated.returncode == pytest.ExitCode.TESTS_FAILED, mutated.stdout[-2000:]


def run_in(folder: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name not in ("CHAOS", "CHAOS_REPORT")}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--hypothesis-profile=red", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )
