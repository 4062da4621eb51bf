"""Everything at once, in any order."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.counts import times
from tests.faults.laboratory import Laboratory
from tests.faults.requests import a_request
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

AT_TRAINING = (kill_child, kill_main, kill_worker, tell_to_end)
AT_SERVERS = (restart_broker, flush_broker, cut_broker_connections, kill_api, cancel_one)
AT_POSTGRES = (restart_postgres, terminate_backend)


def test_a_mix_of_all_faults_loses_nothing(lab: Laboratory) -> None:
    stacks, per_request = times(50, 500), 5
    lab.keep("sweeper", 2)
    at_servers = AT_SERVERS + (AT_POSTGRES if lab.postgres is not None else ())
    waiting, struck, n = stacks // per_request, set[int](), 0

    while waiting or lab.open():
        if waiting:
            lab.submit(a_request(steps=random.randrange(200, 2000), stacks=per_request))
            waiting -= 1
        if random.random() < 0.5 and lab.training(but=struck):
            random.choice(AT_TRAINING)(lab, struck)
        else:
            random.choice(at_servers)(lab)
        n += 1
        time.sleep(random.uniform(0, 2))

    lab.audit(f"a mix of all faults, {stacks} stacks", n)
