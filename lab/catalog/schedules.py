"""How the learning rate changes over a run: each schedule a factor for every update."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """The update after s updates has the learning rate times `factor(s, n)`, where n updates make the whole run."""

    name: str
    description: str
    factor: Callable[[int, int], float]


SCHEDULES: dict[str, Schedule] = {
    entry.name: entry
    for entry in (
        Schedule("constant", "The learning rate, all the time.", lambda step, steps: 1.0),
        Schedule(
            "cosine",
            "Falls from the learning rate towards 0 along half a cosine (Loshchilov and Hutter 2017): after s of n "
            "updates it is (1 + cos(pi s / n)) / 2 of it.",
            lambda step, steps: (1 + math.cos(math.pi * step / steps)) / 2,
        ),
        Schedule(
            "warmup",
            "Rises in equal steps over the first tenth of the updates (rounded up), then stays: after s updates it is "
            "min(1, (s + 1) / ceil(n / 10)) of the learning rate.",
            lambda step, steps: min(1.0, (step + 1) / math.ceil(steps / 10)),
        ),
    )
}
