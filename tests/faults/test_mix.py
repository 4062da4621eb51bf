"""Everything at once, in any order."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.laboratory import Laboratory
from tests.faults.requests import a_request
from tests.faults.rounds import rounds
from tests.faults.strikes import (
    cancel_one,
    cut_broker_connections,
    flush_broker,
    kill_api,
    kill_child,
    kill_main,
    kill_worker,
    restart_broker,
    restart_postgres,
    tell_to_end,
    terminate_backend,
)

pytestmark = pytest.mark.slow

# Few, so that what is undisturbed is known soon.
STEPS = (200, 500, 1000)
AT_TRAINING = (kill_child, kill_main, kill_worker, tell_to_end)
AT_SERVERS = (restart_broker, flush_broker, cut_broker_connections, kill_api, cancel_one)
AT_POSTGRES = (restart_postgres, terminate_backend)


@rounds(10)
def test_a_mix_of_all_faults_loses_nothing(lab: Laboratory) -> None:
    stacks, per_request, strikes = 50, 5, 2
    lab.keep("sweeper", 2)
    at_servers = AT_SERVERS + (AT_POSTGRES if lab.postgres is not None else ())
    struck, n = set[int](), 0

    for _ in range(stacks // per_request):
        lab.submit(a_request(steps=random.choice(STEPS), stacks=per_request))
        for _ in range(strikes):
            victim = lab.a_training_now(but=struck)
            if victim is not None and random.random() < 0.5:
                random.choice(AT_TRAINING)(lab, struck, victim)
            else:
                random.choice(at_servers)(lab)
            n += 1
            time.sleep(random.uniform(0, 2))

    lab.audit(f"a mix of all faults, {stacks} stacks", n, within_s=180)
