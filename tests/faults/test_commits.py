"""The answer to a COMMIT is lost on the wire, so that nobody knows whether it happened: the rows decide."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from store.settings import Settings
from tests.faults.laboratory import Laboratory
from tests.faults.requests import a_request
from tests.faults.rounds import rounds
from tests.faults.wire import Wire
from tests.system.programs import client_of
from tests.waiting import until

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


def test_a_claim_is_asked_for_once_though_the_answer_to_its_commit_was_lost(
    postgres_url: str, wire: Wire, valkey_url: str
) -> None:
    through = sa.make_url(postgres_url).update_query_dict({"host": str(wire.folder)}).render_as_string()
    wire.lose_answers(TRANSACTIONS["submit"], 1)

    with client_of(Settings(database_url=through, broker_url=valkey_url)) as client:
        first, again = (client.post("/v1/claims/C4/experiments", json={"effort": "quick"}) for _ in range(2))
        found = {each["id"] for each in client.get("/v1/experiments").get_json()["items"]}

    assert (wire.left, first.status_code, again.status_code) == (0, 202, 202)
    assert found == set(first.get_json()["submitted"])
    assert len(found) == 4
    assert again.get_json()["submitted"] == []
