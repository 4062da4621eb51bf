"""The page of docs/chaos.md, from the list that `make chaos` keeps: `python -m tests.faults.table docs/chaos.md`. What
stands there under `## By hand` stays.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from tests.faults import chaos
from tests.faults.laboratory import SHORT
from tests.faults.numbers import NAMES

_HEAD = """# What was struck, and what it left behind

`make chaos` strikes labs of real processes (API, sweeper, workers, broker, database: SQLite with Valkey, Postgres with
Redis) again and again, in rounds, each a test of `make test-faults` at other moments, and writes this page from what it
has done so far. This one is of {days}, on {cores} cores ({machine}, Python {python}).

**{n_passed} of {n_planned} parts were run and are green.** {red}{rest}

{by_hand}## The eight numbers

They count experiments and stacks for which the promise was broken, by a client's own book of every 202: without a row;
not ended in time; not asked for; ended other than once; without all numbers; counted though not succeeded; with other
bits than undisturbed; failed though healthy. All must be 0. Repeated work is executed over needed steps. Recovery is
the median and the longest time from a kill until the stack is in training again, with a lease of {lease_s:g} s and a
heartbeat of {heartbeat_s:g} s where nothing else is said.

"""
_PARTS = """
## What was run

"""


_BY_HAND = "## By hand\n"


def page(lines: Sequence[dict[str, Any]], planned: Sequence[str], before: str) -> str:
    """`planned` are all parts, `lines` is the list so far, `before` is the page as it was, or empty."""
    passed, failed = set(chaos.parts(lines, "passed")) & set(planned), chaos.parts(lines, "failed")
    days = [datetime.fromtimestamp(line["at"], UTC).date().isoformat() for line in lines if "at" in line]
    head = _HEAD.format(
        days=" to ".join(dict.fromkeys((min(days), max(days)))) if days else "no day yet",
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
        n_passed=len(passed),
        n_planned=len(planned),
        red=f"{len(failed)} times a part was red: {_named(failed)}." if failed else "None was ever red.",
        rest="" if len(passed) == len(planned) else " The rest was not run; the second table says what.",
        by_hand=_by_hand(before),
        lease_s=SHORT["lease_s"],
        heartbeat_s=SHORT["heartbeat_s"],
    )
    return head + _faults(lines) + _PARTS + _rounds(planned, passed)


def _by_hand(page: str) -> str:
    _, heading, below = page.partition(_BY_HAND)
    return heading and heading + below.partition("\n## ")[0] + "\n"


def _faults(lines: Iterable[dict[str, Any]]) -> str:
    """One row for each fault on each kind of database: its rounds together."""
    struck = defaultdict(list)
    for line in lines:
        if "fault" in line:
            struck[line["fault"], line["database"]].append(line)
    heads = ["fault", "database", "times", *(name.replace("_", " ") for name in NAMES), "repeated work", "recovery, s"]
    return _table(heads, [[*of, *_together(found)] for of, found in sorted(struck.items())])


def _together(rounds: Sequence[dict[str, Any]]) -> list[str]:
    counts = [str(sum(line[name] for line in rounds)) for name in ("n", *NAMES)]
    needed = sum(line.get("needed_steps", 0) for line in rounds)
    repeated = f"{sum(line.get('executed_steps', 0) for line in rounds) / needed:.2f}" if needed else ""
    recoveries = list(chain.from_iterable(line.get("recovery_s", ()) for line in rounds))
    recovery = f"{statistics.median(recoveries):.1f}, {max(recoveries):.1f}" if recoveries else ""
    return [*counts, repeated, recovery]


def _rounds(planned: Iterable[str], passed: set[str]) -> str:
    tests = defaultdict(list)
    for part in planned:
        tests[_test(part)].append(part)
    rows = [[f"`{test}`", f"{len(passed.intersection(parts))} of {len(parts)}"] for test, parts in tests.items()]
    return _table(["test", "parts green"], rows)


def _test(part: str) -> str:
    return part.removeprefix("tests/faults/").split("[")[0]


def _named(parts: Iterable[str]) -> str:
    return ", ".join(f"`{part.removeprefix('tests/faults/')}`" for part in parts)


def _table(heads: list[str], rows: Iterable[list[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, ["---"] * len(heads), *rows))


def _planned() -> list[str]:
    """What would be run if nothing had been run yet."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.faults.chaos", "-p", "no:xdist", "--collect-only", "-q"]
    environ = os.environ | {"CHAOS_REPORT": os.devnull}
    told = subprocess.run([*command, "tests/faults"], env=environ, capture_output=True, text=True, check=False)
    if told.returncode != 0:
        sys.exit(told.stdout)
    return [line for line in told.stdout.splitlines() if "::" in line]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(page(chaos.read(), _planned(), path.read_text() if path.exists() else ""))
