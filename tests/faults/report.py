"""What each fault left behind, as lines of JSON that `make chaos` makes a table of."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tests.faults import chaos
from tests.faults.numbers import Eight
from tests.faults.rounds import CHAOS


def report(fault: str, database: str, n: int, eight: Eight, **seen: Any) -> None:
    """Does nothing where nobody asked for a report."""
    if CHAOS:
        chaos.write({"fault": fault, "database": database, "n": n, **asdict(eight), **seen})
