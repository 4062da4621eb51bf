"""How often each fault is struck: a few times in every change's checks, many times in `make chaos`."""

from __future__ import annotations

import os

CHAOS = os.environ.get("CHAOS") == "yes"


def times(few: int, many: int) -> int:
    """`few` in the checks of a change, `many` in `make chaos`."""
    return many if CHAOS else few
