"""A hint may come any number of times, to any number of workers: a stack is trained once."""

from __future__ import annotations

import pytest

from store.queue import Hints
from tests.faults.laboratory import Laboratory
from tests.faults.requests import a_request
from tests.faults.rounds import rounds

pytestmark = pytest.mark.slow


@rounds(10)
def test_each_hint_five_times_to_four_workers_trains_each_stack_once(lab: Laboratory) -> None:
    n = 10
    lab.keep("worker", 4)
    hints = Hints(lab.settings)

    for _ in range(n // 5):
        lab.submit(a_request(steps=200, stacks=5))
        assert hints.send(4 * 5)

    lab.audit("each hint five times to four workers", n, most_repeated=1.0)
    hints.close()
