"""Labs that `actlab up` runs for tests, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.actlab.processes import command_of, descendants

UP = "The lab is up at "

# Four tiny networks: trained in a blink.
A_QUESTION: dict[str, Any] = {
    "name": "Is it there?",
    "tags": ["test"],
    "dataset": {"name": "xor"},
    "network": {"depth": 2, "width": 8},
    "training": {"steps": 20, "batch_size": 16},
    "activations": ["relu", "tanh"],
    "replicates": 2,
    "recording": {"points": 5, "probe_size": 32},
}

# Hours of training, in networks that are quick to make.
A_LONG_QUESTION: dict[str, Any] = A_QUESTION | {
    "name": "For ever?",
    "training": {"steps": 1_000_000, "batch_size": 256},
}


@dataclass(frozen=True, slots=True)
class Up:
    """A running `actlab up`, with the lines it had said when it was ready."""

    process: subprocess.Popen[str]
    url: str
    said: list[str]

    def processes(self) -> dict[int, str]:
        """Everything it started, directly or not: ids and commands."""
        return {pid: command_of(pid) for pid in descendants(self.process.pid)}

    def process_of(self, command: str) -> int:
        """The first of them with this in its command."""
        return next(pid for pid, line in self.processes().items() if command in line)


def start(data: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "actlab", "up", "--port", "0", "--workers", "1", "--data", str(data), *options]
    return subprocess.Popen(command, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def environ() -> dict[str, str]:
    """Threads that wait for one another on a busy machine make tiny networks slow."""
    return {**os.environ, "ACTLAB_THREADS": "1"}


@contextmanager
def started(data: Path, *options: str) -> Iterator[Up]:
    """A lab that is ready; it is stopped at the end, where the test has not done so."""
    with start(data, *options) as process:
        try:
            yield _ready(process)
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=60)


def _ready(process: subprocess.Popen[str]) -> Up:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.strip())
        if line.startswith(UP):
            return Up(process, line.removeprefix(UP).strip(), said)
    raise AssertionError("\n".join(said))
