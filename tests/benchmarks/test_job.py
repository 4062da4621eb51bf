from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until

BENCHMARKS = [sys.executable, "-m", "benchmarks", "--workload", "wide", "--peer", "products", "--share", "2x1"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="NOT TESTED: no /proc to see other processes by")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_the_measuring_started_ends_with_it(how: signal.Signals) -> None:
    with subprocess.Popen(BENCHMARKS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as measuring:
        # Two that train, and multiprocessing's own.
        until(lambda: len(children(measuring.pid)) == 3)
        started = children(measuring.pid)

        measuring.send_signal(how)

    until(lambda: not any(is_running(pid) for pid in started))


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
