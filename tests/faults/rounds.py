"""How often a test strikes: once in the checks of a change, again and again in `make chaos`."""

from __future__ import annotations

import os

import pytest

CHAOS = os.environ.get("CHAOS") == "yes"


def rounds(n: int) -> pytest.MarkDecorator:
    """So often `make chaos` runs the test, with other moments each time; the checks of a change run it once."""
    return pytest.mark.rounds(n)
