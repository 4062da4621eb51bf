"""How an experiment stands, in a line of text, for whoever waits for its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

# A line at a change of state, at every tenth, and at least this often.
LINE_EVERY_S = 30.0


class Lines:
    """Says how an experiment stands at a look at it, when there is something to say: it remembers what was said last.
    `waits_for` gives a sentence on what an experiment waits for, or an empty one.
    """

    def __init__(self, say: Callable[[str], object], waits_for: Callable[[Json], str]) -> None:
        self._say, self._waits_for = say, waits_for
        self._said: tuple[str, int] = ("", -1)
        self._said_at = 0.0

    def look(self, experiment: Json) -> None:
        now = (experiment["state"], int(experiment["progress"] * 10))
        if now == self._said and time.monotonic() - self._said_at < LINE_EVERY_S:
            return
        self._said, self._said_at = now, time.monotonic()
        stands = f"{now[0]} {experiment['progress']:.0%}: {counts(experiment)}{remaining(experiment)}"
        waits = self._waits_for(experiment)
        self._say(f"{stands}. {waits}" if waits else stands)


def counts(experiment: Json) -> str:
    """`12 of 30 runs done, 1 failed`: what happened to the runs."""
    runs = experiment["runs"]
    total = experiment["plan"]["runs"]
    said = [f"{runs['succeeded']} of {total} runs done"]
    said += [f"{runs[key]} {key}" for key in ("running", "failed", "cancelled", "diverged") if runs.get(key)]
    return ", ".join(said)


def remaining(experiment: Json) -> str:
    eta_s = experiment.get("eta_s")
    if not eta_s or experiment["state"] != "running":
        return ""
    return f", about {eta_s:.0f} s to go" if eta_s < 90 else f", about {eta_s / 60:.0f} min to go"
