"""Workers are woken once their work is on record."""

from __future__ import annotations

from service.counts import LOST, TOOK
from service.parts import parts


def wake(n_stacks: int) -> None:
    """Sends hints, best effort, that so many stacks wait. Call it after the commit."""
    sent = parts().hints.send(n_stacks)
    parts().counts.wakes.labels(TOOK if sent else LOST).inc()
