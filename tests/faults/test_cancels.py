"""A cancel, a retry or a deletion at any moment, alone and with a kill: what is counted is what was asked for last."""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial

import pytest
import sqlalchemy as sa

from store.models import SUCCEEDED, Experiment, Stack
from tests.faults.laboratory import Laboratory, Training
from tests.faults.ledger import Entry
from tests.faults.requests import a_request
from tests.faults.rounds import rounds
from tests.waiting import until

pytestmark = pytest.mark.slow


@rounds(25)
def test_cancels_at_random_moments_end_each_experiment_once(lab: Laboratory) -> None:
    n = 10

    for number in range(n):
        entry = lab.ledger.submit(a_request(steps=4000, stacks=2))
        # A third before it is trained, a third amid training, a third with a kill.
        training = lab.a_training() if number % 3 else None
        time.sleep(random.uniform(0, 0.5))
        if training is not None and number % 3 == 2:
            os.kill(training.child, signal.SIGKILL)
        lab.ledger.cancel(entry)

    lab.audit("cancel at a random moment, a third with a kill", n)


@rounds(5)
def test_what_was_cancelled_is_run_again_to_the_numbers_of_an_undisturbed_one(lab: Laboratory) -> None:
    n = 3
    entries = lab.submit(a_request(steps=4000, stacks=2), n)

    for entry in entries:
        lab.a_training()
        time.sleep(random.uniform(0, 0.5))
        lab.ledger.cancel(entry)
    until(lambda: not lab.open())
    for entry in entries:
        lab.ledger.retry(entry)
    os.kill(lab.a_training().child, signal.SIGKILL)

    lab.audit("cancelled, retried, a kill amid the retry", n)
    with lab.database.reading() as session:
        states = sa.select(Experiment.state).where(Experiment.id.in_(lab.ledger.accepted()))
        assert set(session.scalars(states)) == {SUCCEEDED}


@rounds(5)
def test_what_is_deleted_amid_training_is_gone_and_harms_no_other_work(lab: Laboratory) -> None:
    n = 3

    for number in range(n):
        lab.submit(a_request(steps=500))
        entry = lab.ledger.submit(a_request(steps=6000, stacks=2))
        training = until(partial(training_of, lab, entry))
        time.sleep(random.uniform(0, 0.5))
        if number == n - 1:
            os.kill(training.child, signal.SIGKILL)
        lab.ledger.delete(entry)

    until(lambda: not deleted_rows(lab))
    lab.audit("deleted amid training, a third with a kill", n)


def training_of(lab: Laboratory, entry: Entry) -> Training | None:
    with lab.database.reading() as session:
        stacks = set(session.scalars(sa.select(Stack.id).where(Stack.experiment_id == entry.experiment_id)))
    return next((each for each in lab.training() if each.stack_id in stacks), None)


def deleted_rows(lab: Laboratory) -> int:
    with lab.database.reading() as session:
        return session.scalar(sa.select(sa.func.count()).where(Experiment.deleted_at.is_not(None))) or 0
