"""How long a stack waits after its process or its worker was killed, with the leases that a deployment has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from store.settings import Settings
from tests.conftest import started
from tests.faults.laboratory import SHORT, Laboratory, Training
from tests.faults.requests import a_request
from tests.faults.rounds import CHAOS
from tests.faults.strikes import kill_child, kill_worker, recovery_s
from tests.faults.undisturbed import Undisturbed
from tests.servers import start_valkey

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHAOS, reason="waits for leases of a minute: `make chaos` does")]


@pytest.mark.parametrize(
    ("strike", "fault"),
    [
        (kill_child, "kill -9 of a training process, lease 60 s"),
        (kill_worker, "kill -9 of a worker with its training process, lease 60 s"),
    ],
)
def test_a_lost_stack_is_soon_in_training_again(
    sqlite_url: str,
    tmp_path: Path,
    undisturbed: Undisturbed,
    strike: Callable[[Laboratory, set[int]], Training],
    fault: str,
) -> None:
    with started(start_valkey) as broker:
        as_deployed = Settings(database_url=sqlite_url, broker_url=broker.url)
        settings = replace(as_deployed, processes=SHORT["processes"], threads=SHORT["threads"], checkpoint_s=1.0)
        lab = Laboratory(settings, tmp_path, broker, undisturbed)
        try:
            recoveries, struck = [], set[int]()
            for _ in range(3):
                lab.submit(a_request(steps=20_000))
                recoveries.append(recovery_s(lab, strike(lab, struck), within_s=180))
            lab.audit(fault, 3, within_s=300, recovery_s=recoveries)
        finally:
            lab.close()

    # A lease, two sweeps and the start of a process.
    longest_s = settings.lease_s + 2 * settings.sweep_s + 30
    assert max(recoveries) < (longest_s if strike is kill_worker else 30)
