"""Keeps the programs of a lab running: starts them, restarts what dies, and stops them in order."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from actlab.operate import guard
from actlab.operate.child import Child, Program
from actlab.operate.errors import ProgramFailed
from actlab.operate.stopping import NAP_S, StopWish

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
# A program that ran this long had started well: its next death is the first again.
STEADY_S = 30.0
# Deaths in a row before the lab is up: the fault is in the installation, and trying on would hide it.
DEATHS_AT_START = 3


class Supervisor:
    """Owns the programs' processes while it is entered; leaving stops all, the last started first.

    Everything happens in the caller's thread, in `run`, `start`, `tend` and at the exit: the leash ties a program to
    the very thread that started it.
    """

    def __init__(self, *, folder: Path, logs: Path, private: Path, environ: Mapping[str, str], wish: StopWish) -> None:
        self._folder = folder
        self._logs = logs
        self._private = private
        self._environ = dict(environ)
        self._wish = wish
        self._kept: dict[str, _Kept] = {}
        self.steady = False
        """Set by the owner once the lab is up: from then on every death is answered with a restart."""
        self.say: Callable[[str], None] = lambda line: None

    def __enter__(self) -> Supervisor:
        self._guard = subprocess.Popen(
            [sys.executable, "-IS", guard.__file__, str(self._private)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for kept in reversed(self._kept.values()):
            self._stop(kept)
        # Its pipe closed, the guard removes the private folder and ends.
        self._guard.communicate()

    def run(self, program: Program) -> None:
        """Runs a program to its end. Raises ProgramFailed unless that is a success."""
        kept = self._kept[program.name] = _Kept(program)
        child = self._begin(kept)
        while not child.ended():
            self._wish.wait(NAP_S)
        ending = self._bury(kept, child)
        del self._kept[program.name]
        if ending != "exit status 0":
            raise ProgramFailed(f"The program {program.name} ended with {ending}.", child.log)

    def start(self, program: Program) -> None:
        kept = self._kept[program.name] = _Kept(program)
        self._begin(kept)

    def tend(self) -> None:
        """Restarts what has died, later the more often. Raises ProgramFailed for repeated deaths at the start."""
        for kept in self._kept.values():
            if kept.child is not None and kept.child.ended():
                self._mourn(kept, kept.child)
            elif kept.child is None and time.monotonic() >= kept.begin_at:
                self._begin(kept)

    def _mourn(self, kept: _Kept, child: Child) -> None:
        lived_s = time.monotonic() - child.started_at
        ending = self._bury(kept, child)
        kept.deaths = 1 if lived_s > STEADY_S else kept.deaths + 1
        if kept.deaths >= DEATHS_AT_START and not self.steady:
            raise ProgramFailed(f"The program {kept.program.name} keeps ending with {ending}.", child.log)
        delay_s = min(FIRST_DELAY_S * 2 ** (kept.deaths - 1), LONGEST_DELAY_S)
        kept.begin_at = time.monotonic() + delay_s
        self.say(
            f"The program {kept.program.name} ended with {ending}; it starts again in {delay_s:g} s. Log: {child.log}"
        )

    def _begin(self, kept: _Kept) -> Child:
        log = self._logs / f"{kept.program.name}.log"
        child = kept.child = Child(kept.program, folder=self._folder, environ=self._environ, log=log)
        self._tell_guard(f"+{child.pid}")
        return child

    def _bury(self, kept: _Kept, child: Child) -> str:
        child.end_group()
        self._tell_guard(f"-{child.pid}")
        kept.child = None
        return child.reap()

    def _stop(self, kept: _Kept) -> None:
        child = kept.child
        if child is None:
            return
        child.ask_to_end()
        until = time.monotonic() + kept.program.grace_s
        while not child.ended() and time.monotonic() < until and self._wish.times < 2:
            time.sleep(NAP_S / 2)
        if not child.ended():
            self.say(f"The program {kept.program.name} does not end by itself; it is ended by force.")
        self._bury(kept, child)

    def _tell_guard(self, line: str) -> None:
        if self._guard.stdin is None or self._guard.poll() is not None:
            return
        self._guard.stdin.write(line + "\n")
        self._guard.stdin.flush()


class _Kept:
    """A program that is to run, with its process while there is one."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.child: Child | None = None
        self.deaths = 0
        self.begin_at = 0.0
