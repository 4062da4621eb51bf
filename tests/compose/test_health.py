"""Whoever looks at a lab's health is told when its worker or its sweeper hangs, and not that a busy worker does."""

from __future__ import annotations

import time
from pathlib import Path

from actlab import Lab
from tests.actlab.labs import A_LONG_QUESTION
from tests.compose.conftest import Composed
from tests.waiting import until

# A pulse is too old after a minute, and looked at every 10 s.
_SEEN_S = 80


def test_worker_and_sweeper_are_healthy_until_they_hang_or_the_database_is_away(
    lab: Composed, token_file: Path
) -> None:
    with Lab(lab.url, token_file=token_file) as client:
        experiment = client.submit(A_LONG_QUESTION)
        until(lambda: client.get(experiment["id"])["state"] == "running")
        trained_until = time.monotonic() + _SEEN_S
        while time.monotonic() < trained_until:
            assert both(lab) == {"healthy"}
        assert client.get(experiment["id"])["state"] == "running"

        hung = ("kill", "sweeper", "worker", "--signal")
        for strike, mend in (
            ((*hung, "SIGSTOP"), (*hung, "SIGCONT")),
            (("pause", "postgres"), ("unpause", "postgres")),
        ):
            assert lab.run(*strike).returncode == 0
            until(lambda: both(lab) == {"unhealthy"}, within_s=_SEEN_S + 20)
            assert lab.run(*mend).returncode == 0
            until(lambda: both(lab) == {"healthy"})
        client.cancel(experiment["id"])


def both(lab: Composed) -> set[str]:
    # A look starts two programs.
    time.sleep(2)
    health = lab.health()
    return {health["sweeper"], health["worker"]}
