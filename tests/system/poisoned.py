"""`python -m tests.system.poisoned`: a worker whose training processes come to grief over some of the data sets `xor`,
by their number of training samples. All other work is sound.
"""

from __future__ import annotations

import os
import runpy
import signal
from typing import Any

from lab.spec import DatasetSpec
from worker import datasets

SEGFAULT, ENDLESS, WORDY = 101, 102, 103
_load = datasets.load


def load(spec: DatasetSpec) -> Any:
    poison = dict(spec.parameters).get("n_train") if spec.name == "xor" else None
    if poison == SEGFAULT:
        os.kill(os.getpid(), signal.SIGSEGV)
    if poison == ENDLESS:
        # Holds the interpreter's lock all the while.
        sum(range(10**15))
    if poison == WORDY:
        raise ValueError("word " * 2**18)
    return _load(spec)


# Training processes import this module again, under another name: they get the poison, and start no worker.
datasets.load = load
if __name__ == "__main__":
    runpy.run_module("worker", run_name="__main__")
