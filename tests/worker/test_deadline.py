"""A process that hangs ends at its deadline, whatever it holds; one that waits for the database does not."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HOLDING_THE_LOCK = "sum(range(10**12))"
IN_PYTHON = "while True: pass"
ASLEEP = "time.sleep(60)"


def ended(program: str) -> tuple[int, str, float]:
    """(exit code, stderr, seconds from the program's `started`)."""
    lines = ["import sys, threading, time", "from worker.deadline import Deadline", "deadline = Deadline()"]
    lines += ["print('started', flush=True)", program]
    command = [sys.executable, "-c", "\n".join(lines)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        started = time.monotonic()
        _, said = process.communicate(timeout=30)
    return process.returncode, said, time.monotonic() - started


@pytest.mark.parametrize("hang", [HOLDING_THE_LOCK, IN_PYTHON, ASLEEP])
def test_a_process_that_hangs_ends_and_says_where_it_was(hang: str) -> None:
    code, said, took_s = ended(f"deadline.set(0.3)\n{hang}")

    assert code == 1
    assert "Timeout" in said
    assert "<string>" in said
    assert 0.2 < took_s < 10


def test_a_deadline_that_was_lifted_does_nothing() -> None:
    code, said, _ = ended("deadline.set(0.2)\ndeadline.lift()\ntime.sleep(0.6)")

    assert (code, said) == (0, "")


def test_waiting_does_not_count_but_the_time_after_it_does() -> None:
    waiting = "deadline.set(1.0)\nwith deadline.standing_still(): time.sleep(1.5)"

    code, said, _ = ended(waiting)
    late, _, took_s = ended(f"{waiting}\n{ASLEEP}")

    assert (code, said) == (0, "")
    assert (late, took_s > 2.0) == (1, True)


def test_without_a_deadline_waiting_sets_none() -> None:
    code, said, _ = ended("with deadline.standing_still(): pass\ntime.sleep(0.2)")

    assert (code, said) == (0, "")
