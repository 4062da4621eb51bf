"""The answer to a COMMIT is lost on the wire, so that nobody knows whether it happened: the rows decide."""

from __future__ import annotations

import time

import pytest

from tests.faults.laboratory import Laboratory, until
from tests.faults.requests import a_request
from tests.faults.rounds import rounds
from tests.faults.wire import Wire

pytestmark = pytest.mark.slow

TRANSACTIONS = {
    "submit": "INSERT INTO experiments",
    "claim": "UPDATE stacks SET state=.* attempt=",
    "heartbeat": "UPDATE stacks SET lease_until=",
    "finish": "UPDATE runs SET .*loss_auc=",
}


@rounds(10)
@pytest.mark.parametrize("at", TRANSACTIONS)
def test_a_lost_answer_to_a_commit_loses_and_repeats_nothing(wired_lab: Laboratory, wire: Wire, at: str) -> None:
    n = 5
    wired_lab.begin()
    wire.lose_answers(TRANSACTIONS[at], n)

    while wire.left:
        wired_lab.submit(a_request(steps=6000 if at == "heartbeat" else 100))
        until(lambda: not (wired_lab.open() and wire.left))
        time.sleep(0.1)

    wired_lab.audit(f"answer to COMMIT lost at {at}", n, most_repeated=1.3)
