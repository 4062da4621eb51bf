"""A broker that dies, forgets, freezes or hangs up: the work is on record, so it only comes later."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.faults.laboratory import Laboratory
from tests.faults.requests import a_request
from tests.faults.rounds import rounds
from tests.faults.strikes import (
    cut_broker_connections,
    flush_broker,
    frozen_children,
    hints_waiting,
    kill_broker,
    restart_broker,
    start_broker,
    workers_that_wait,
)
from tests.waiting import until

pytestmark = pytest.mark.slow


@rounds(4)
def test_a_broker_killed_while_idle_loses_nothing(lab: Laboratory) -> None:
    n = 3

    for _ in range(n):
        restart_broker(lab)
        lab.submit(a_request())

    lab.audit("kill -9 of the idle broker", n)


@rounds(4)
def test_a_broker_killed_while_workers_train_loses_nothing(lab: Laboratory) -> None:
    n = 3

    for _ in range(n):
        lab.submit(a_request(steps=4000), n=2)
        lab.a_training()
        time.sleep(random.uniform(0, 1))
        restart_broker(lab)

    lab.audit("kill -9 of the busy broker", n)


@rounds(4)
def test_a_broker_killed_while_full_of_hints_loses_nothing(lab: Laboratory) -> None:
    n = 3

    for _ in range(n):
        lab.submit(a_request(steps=100, stacks=6))
        restart_broker(lab)

    lab.audit("kill -9 of the full broker", n)


@rounds(4)
def test_a_broker_killed_while_hints_are_handed_on_leaves_no_worker_deaf(lab: Laboratory) -> None:
    n = 2
    lab.submit(a_request(), n=4)

    for _ in range(n):
        until(lambda: not lab.open())
        # Workers have taken hints, and their training processes are not there yet. Other hints may wait: the sweeper
        # sends again what nobody has answered for a second.
        with frozen_children(lab):
            lab.submit(a_request(), n=2)
            until(lambda: not workers_that_wait(lab))
            kill_broker(lab)
        time.sleep(random.uniform(0.5, 2))
        start_broker(lab)

    lab.audit("kill -9 of the broker while hints are handed on", n)


@rounds(3)
def test_a_broker_that_forgets_a_hundred_hints_loses_nothing(lab: Laboratory) -> None:
    with lab.paused("worker"):
        lab.submit(a_request(steps=50, stacks=5), n=20)
        # What was sent to a worker that stands still is lost as well.
        assert hints_waiting(lab) >= 60
        flush_broker(lab)

    lab.audit("FLUSHALL with 100 stacks queued", 1, within_s=180)


@rounds(3)
def test_a_frozen_broker_holds_up_no_answer(lab: Laboratory) -> None:
    lab.broker.process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    lab.submit(a_request(), n=3)
    answered_s = time.monotonic() - started
    time.sleep(random.uniform(0, 3))
    lab.broker.process.send_signal(signal.SIGCONT)

    # One publish is given up after 1.5 s; the next ones are not tried.
    assert answered_s < 4.5
    lab.audit("broker frozen while submitting", 1, three_answers_s=answered_s)


@rounds(3)
def test_cut_connections_to_the_broker_lose_nothing(lab: Laboratory) -> None:
    lab.submit(a_request(steps=1000), n=6)
    n = 0

    while lab.open():
        time.sleep(random.uniform(0.5, 2))
        cut_broker_connections(lab)
        n += 1

    lab.audit("connections to the broker cut every few seconds", n)
