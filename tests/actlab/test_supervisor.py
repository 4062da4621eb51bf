"""Real processes, small ones: what is started stays up, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actlab.operate.child import Program
from actlab.operate.errors import ProgramFailed
from actlab.operate.stopping import StopWish
from actlab.operate.supervisor import Supervisor
from tests.actlab.processes import alive, eventually

# Starts a child of its own, writes both ids, and sleeps through SIGTERM if it is told to.
FAMILY = """
import os, signal, subprocess, sys, time
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
endless = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", endless])
open(sys.argv[1], "a").write(f"{os.getpid()} {child.pid}\\n")
time.sleep(600)
"""

# Says in the file `order` that it was asked to end, and in a file of its name that it has started.
ORDERLY = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(open("order", "a").write("{name} ") and None))
open("{name}", "w")
time.sleep(600)
"""


def a_family(ids: Path, *, temper: str = "mild", grace_s: float = 5.0) -> Program:
    return Program("family", (sys.executable, "-c", FAMILY, str(ids), temper), grace_s=grace_s)


def a_program(name: str, code: str) -> Program:
    return Program(name, (sys.executable, "-c", code))


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with a_supervisor(tmp_path) as supervisor:
        yield supervisor


def a_supervisor(folder: Path) -> Supervisor:
    (folder / "private").mkdir()
    return Supervisor(folder=folder, logs=folder, private=folder / "private", environ=os.environ, wish=StopWish())


def ids_in(file: Path, lines: int = 1) -> list[list[int]]:
    """The process ids that families wrote, once there are so many lines."""
    assert eventually(lambda: file.exists() and file.read_text().count("\n") >= lines)
    return [[int(pid) for pid in line.split()] for line in file.read_text().splitlines()]


def test_a_program_that_dies_is_started_again_and_what_it_left_is_ended(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.steady = True
    supervisor.start(a_family(tmp_path / "ids"))
    [[first, its_child]] = ids_in(tmp_path / "ids")

    os.kill(first, signal.SIGKILL)

    def again() -> bool:
        supervisor.tend()
        return (tmp_path / "ids").read_text().count("\n") == 2

    assert eventually(again)
    assert eventually(lambda: not alive(its_child))
    assert alive(ids_in(tmp_path / "ids", lines=2)[1][0])


def test_leaving_ends_programs_and_their_children(tmp_path: Path) -> None:
    with a_supervisor(tmp_path) as supervisor:
        supervisor.start(a_family(tmp_path / "ids"))
        [pids] = ids_in(tmp_path / "ids")

    assert eventually(lambda: not any(alive(pid) for pid in pids))
    assert not (tmp_path / "private").exists()


def test_the_last_started_is_stopped_first(tmp_path: Path) -> None:
    names = ("broker", "sweeper", "worker")
    with a_supervisor(tmp_path) as supervisor:
        for name in names:
            supervisor.start(a_program(name, ORDERLY.format(name=name)))
        assert eventually(lambda: all((tmp_path / name).exists() for name in names))

    assert (tmp_path / "order").read_text().split() == ["worker", "sweeper", "broker"]


def test_a_program_that_does_not_end_by_itself_is_ended_by_force(tmp_path: Path) -> None:
    with a_supervisor(tmp_path) as supervisor:
        supervisor.start(a_family(tmp_path / "ids", temper="stubborn", grace_s=0.2))
        [pids] = ids_in(tmp_path / "ids")
        left_at = time.monotonic()

    assert eventually(lambda: not any(alive(pid) for pid in pids))
    assert time.monotonic() - left_at < 3


def test_repeated_deaths_at_the_start_are_told_with_the_end_of_the_log(supervisor: Supervisor) -> None:
    supervisor.start(a_program("broken", "raise SystemExit('no such thing as a table')"))

    with pytest.raises(ProgramFailed, match=r"(?s)broken keeps ending with exit status 1.*no such thing as a table"):
        eventually(supervisor.tend)


def test_once_the_lab_is_up_a_program_may_die_often(supervisor: Supervisor) -> None:
    said: list[str] = []
    supervisor.say = said.append
    supervisor.steady = True
    supervisor.start(a_program("fragile", "raise SystemExit(3)"))

    def three_deaths() -> bool:
        supervisor.tend()
        return len(said) == 3

    assert eventually(three_deaths)
    assert [line.partition(" in ")[2].partition(" s.")[0] for line in said] == ["0.5", "1", "2"]


def test_a_program_that_runs_once_must_succeed(supervisor: Supervisor) -> None:
    supervisor.run(a_program("good", "pass"))

    with pytest.raises(ProgramFailed, match="exit status 1"):
        supervisor.run(a_program("bad", "raise SystemExit(1)"))


def test_a_program_that_is_not_there_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(ProgramFailed, match="/no/such/program cannot be started: No such file"):
        supervisor.run(Program("ghost", ("/no/such/program",)))


KILLED = """
import os, sys, time
from pathlib import Path
from tests.actlab.test_supervisor import a_family, a_supervisor
with a_supervisor(Path(sys.argv[1])) as supervisor:
    supervisor.start(a_family(Path(sys.argv[1]) / "ids", temper="stubborn"))
    time.sleep(600)
"""


def test_nothing_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)])
    [pids] = ids_in(tmp_path / "ids")

    killed.kill()
    killed.wait()

    assert eventually(lambda: not any(alive(pid) for pid in pids))
    assert eventually(lambda: not (tmp_path / "private").exists())
