"""A broker that dies, forgets, freezes or hangs up: the work is on record, so it only comes later."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.faults.counts import times
from tests.faults.laboratory import Laboratory, until
from tests.faults.requests import a_request
from tests.faults.strikes import cut_broker_connections, flush_broker, hints_waiting, restart_broker

pytestmark = pytest.mark.slow


def test_a_broker_killed_while_idle_loses_nothing(lab: Laboratory) -> None:
    n = times(3, 10)

    for _ in range(n):
        restart_broker(lab)
        lab.submit(a_request())

    lab.audit("kill -9 of the idle broker", n)


def test_a_broker_killed_while_workers_train_loses_nothing(lab: Laboratory) -> None:
    n = times(3, 10)

    for _ in range(n):
        lab.submit(a_request(steps=2000), n=2)
        lab.a_training()
        time.sleep(random.uniform(0, 1))
        restart_broker(lab)

    lab.audit("kill -9 of the busy broker", n)


def test_a_broker_killed_while_full_of_hints_loses_nothing(lab: Laboratory) -> None:
    n = times(3, 10)

    for _ in range(n):
        lab.submit(a_request(steps=100, stacks=6))
        restart_broker(lab)

    lab.audit("kill -9 of the full broker", n)


def test_a_broker_that_forgets_a_hundred_hints_loses_nothing(lab: Laboratory) -> None:
    n = times(1, 3)

    for _ in range(n):
        lab.keep("worker", 0)
        lab.submit(a_request(steps=50, stacks=20), n=5)
        assert hints_waiting(lab) >= 60
        flush_broker(lab)
        lab.keep("worker", 2)

    lab.audit("FLUSHALL with 100 stacks queued", n)


def test_a_frozen_broker_holds_up_no_answer(lab: Laboratory) -> None:
    n = times(1, 3)
    answered_s = []

    for _ in range(n):
        lab.broker.process.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        lab.submit(a_request(), n=3)
        answered_s.append(time.monotonic() - started)
        time.sleep(random.uniform(0, 3))
        lab.broker.process.send_signal(signal.SIGCONT)
        until(lambda: not lab.open())

    # One publish is given up after 1.5 s; the next ones are not tried.
    assert max(answered_s) < 4.5
    lab.audit("broker frozen while submitting", n, slowest_three_answers_s=max(answered_s))


def test_cut_connections_to_the_broker_lose_nothing(lab: Laboratory) -> None:
    lab.submit(a_request(steps=1000), n=times(6, 30))
    n = 0

    while lab.open():
        time.sleep(random.uniform(0.5, 2))
        cut_broker_connections(lab)
        n += 1

    lab.audit("connections to the broker cut every few seconds", n)
