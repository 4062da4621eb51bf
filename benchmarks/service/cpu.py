"""Seconds of CPU that processes have taken, told apart by what they are for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.service.place import children

# In /proc/PID/stat, counted after the program's name: user and system, and both of children that have been waited for.
_FIELDS = slice(11, 15)


@dataclass(frozen=True, slots=True)
class Clock:
    """Each of `roots` is a process by what it is for; those that it has started count with it."""

    roots: Mapping[str, int]

    def read(self) -> dict[str, float]:
        """What each has taken since its start."""
        return {name: sum(map(_taken_s, _family(pid))) for name, pid in self.roots.items()}


def _family(pid: int) -> list[int]:
    return [pid, *(each for child in children(pid) for each in _family(child))]


def _taken_s(pid: int) -> float:
    """Nothing of one that has just ended: whoever waits for it has its part."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return 0.0
    fields = told.rpartition(")")[2].split()[_FIELDS]
    return sum(map(int, fields)) / os.sysconf("SC_CLK_TCK")
