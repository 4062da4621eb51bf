"""What each fault left behind, as lines of JSON that `make chaos` makes a table of."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from tests.faults.numbers import Eight


def report(fault: str, database: str, n: int, eight: Eight, **seen: float) -> None:
    """Does nothing where nobody asked for a report."""
    path = os.environ.get("CHAOS_REPORT")
    if path is not None:
        line = {"fault": fault, "database": database, "n": n, **asdict(eight), **seen}
        with Path(path).open("a") as lines:
            lines.write(json.dumps(line) + "\n")
