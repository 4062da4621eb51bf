"""`python -m tests.system.poisoned`: a worker whose training processes come to grief over some of the data sets `xor`,
by their number of training samples. All other work is sound.
"""

from __future__ import annotations

import os
import resource
import runpy
import signal
from pathlib import Path
from typing import Any

from lab.spec import DatasetSpec
from worker import datasets

SEGFAULT, ENDLESS, WORDY, HUNGRY = 101, 102, 103, 104
_load = datasets.load
_BITE, _MOST = 2**24, 2**28


def load(spec: DatasetSpec) -> Any:
    poison = dict(spec.parameters).get("n_train") if spec.name == "xor" else None
    if poison == SEGFAULT:
        os.kill(os.getpid(), signal.SIGSEGV)
    if poison == ENDLESS:
        # Holds the interpreter's lock all the while.
        sum(range(10**15))
    if poison == WORDY:
        raise ValueError("word " * 2**18)
    if poison == HUNGRY:
        _eat()
    return _load(spec)


def _eat() -> None:
    """Takes memory until there is no more: the process may have 256 MiB beyond what it has."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + _MOST, hard))
    eaten: list[bytes] = []
    try:
        while True:
            eaten.append(b"\1" * _BITE)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


# Training processes import this module again, under another name: they get the poison, and start no worker.
datasets.load = load
if __name__ == "__main__":
    runpy.run_module("worker", run_name="__main__")
