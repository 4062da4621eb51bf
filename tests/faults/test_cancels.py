"""A cancel at any moment, alone and with a kill: the experiment ends once, and is not counted."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.faults.laboratory import Laboratory
from tests.faults.requests import a_request
from tests.faults.rounds import rounds

pytestmark = pytest.mark.slow


@rounds(25)
def test_cancels_at_random_moments_end_each_experiment_once(lab: Laboratory) -> None:
    n = 10

    for number in range(n):
        entry = lab.ledger.submit(a_request(steps=2000, stacks=2))
        # A third before it is trained, a third amid training, a third with a kill.
        training = lab.a_training() if number % 3 else None
        time.sleep(random.uniform(0, 0.5))
        if training is not None and number % 3 == 2:
            os.kill(training.child, signal.SIGKILL)
        lab.ledger.cancel(entry)

    lab.audit("cancel at a random moment, a third with a kill", n)
