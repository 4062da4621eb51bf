"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(true: Callable[[], Found | None], *, within_s: float = 60.0) -> Found:
    """What `true` returns once it is truthy. Raises AssertionError where it takes longer than that."""
    deadline = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < deadline, f"not so within {within_s:g} s"
        time.sleep(0.05)
    return found
