"""One program of the lab as a process: on the leash, in a group of its own, with its output in a log."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from actlab.operate import leash


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `grace_s` is how long it may take to end when asked to; `sockets` are handed on to it, open."""

    name: str
    command: tuple[str, ...]
    grace_s: float = 5.0
    sockets: tuple[int, ...] = ()


class Child:
    """A started program. Its process id is also the id of its group."""

    def __init__(self, program: Program, *, folder: Path, environ: Mapping[str, str], log: Path) -> None:
        self.program = program
        self.log = log
        self.started_at = time.monotonic()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-IS", leash.__file__, str(os.getpid()), *program.command],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=program.sockets,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def ended(self) -> bool:
        """Whether the program has ended. Its id stays taken until `reap`, so that the group can still be named."""
        # WNOWAIT leaves the process to be reaped: until then nobody else can get its id.
        return self._process.returncode is not None or bool(
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT),
        )

    def ask_to_end(self) -> None:
        """SIGTERM to the program itself; what it started is its own business."""
        if not self.ended():
            os.kill(self.pid, signal.SIGTERM)

    def end_group(self) -> None:
        """SIGKILL to all that is left of the group. Call it before `reap`."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> str:
        """Waits for the end, and says how it came."""
        status = self._process.wait()
        return f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
