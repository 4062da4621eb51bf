"""The table of docs/chaos.md, from what the faults left behind: `python -m tests.faults.table REPORT`."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.numbers import NAMES

_HEAD = """# What was struck, and what it left behind

Measured on {day}, on {cores} cores ({machine}, Python {python}); `make chaos` writes this page anew, and
strikes ten times as often as `make test-faults`. Each line is a lab of real processes (API, sweeper, workers,
broker, database: SQLite with Valkey, Postgres with Redis) that was disturbed so many times. The eight numbers
count experiments and stacks for which the promise was broken, by a client's own book of every 202; all must be
0. Repeated work is executed over needed steps. Recovery is the median time from a kill until the stack is in
training again, with a lease of {lease_s:g} s where nothing else is said.

"""
_SHORT = {
    "without_a_row": "no row",
    "unfinished": "not ended",
    "unasked": "not asked for",
    "ended_not_once": "ended not once",
    "incomplete": "incomplete",
    "wrongly_counted": "wrongly counted",
    "different": "other bits",
    "wrongly_failed": "failed",
}


def table(lines: list[dict[str, Any]], *, lease_s: float) -> str:
    """`lines` are those of `report`, in any order."""
    heads = ["fault", "database", "times", *(_SHORT[name] for name in NAMES), "repeated work", "recovery, s"]
    rows = [
        [
            line["fault"],
            line["database"],
            str(line["n"]),
            *(str(line[name]) for name in NAMES),
            _number(line.get("repeated_work"), 2),
            _number(line.get("recovery_s"), 1),
        ]
        for line in sorted(lines, key=lambda line: (line["fault"], line["database"]))
    ]
    head = _HEAD.format(
        day=datetime.now(UTC).date().isoformat(),
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
        lease_s=lease_s,
    )
    cells = [heads, ["---"] * len(heads), *rows]
    return head + "\n".join(f"| {' | '.join(row)} |" for row in cells) + "\n"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    from tests.faults.laboratory import SHORT

    told = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    sys.stdout.write(table(told, lease_s=SHORT["lease_s"]))
