"""Quotas hold also where requests come at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from lab.errors import QuotaReached
from lab.limits import Limits
from lab.plan import plan
from store import quotas, submissions, tokens
from store.database import Database
from store.models import Experiment
from store.quotas import Quotas
from tests.builders import a_spec

AT_ONCE = 6
FIT = 2
# Each has four runs, of one cost.
COST = plan(a_spec(), Limits()).cost_flops
PLENTY = 10**18


@pytest.mark.parametrize(
    "limits",
    [
        Quotas(runs=4 * FIT + 3, cost=PLENTY, experiments_per_minute=PLENTY),
        Quotas(runs=PLENTY, cost=COST * (FIT + 1) - 1, experiments_per_minute=PLENTY),
        Quotas(runs=PLENTY, cost=PLENTY, experiments_per_minute=FIT),
    ],
    ids=["runs", "cost", "experiments a minute"],
)
def test_of_requests_at_the_same_moment_as_many_pass_as_fit(limits: Quotas, postgres_database: Database) -> None:
    spec = a_spec()
    everybody_has_asked = threading.Barrier(AT_ONCE)
    with postgres_database.writing() as session:
        tokens.create(session, "ada", ["submit"])

    def ask(_: int) -> bool:
        try:
            with postgres_database.writing() as session:
                submissions.submit(session, spec, plan(spec, Limits()), owner="ada")
                session.flush()
                everybody_has_asked.wait(timeout=20)
                quotas.check(session, "ada", limits)
        except QuotaReached:
            return False
        return True

    with ThreadPoolExecutor(AT_ONCE) as threads:
        passed = sum(threads.map(ask, range(AT_ONCE)))

    with postgres_database.reading() as session:
        kept = session.scalar(sa.select(sa.func.count()).select_from(Experiment))
    assert passed == kept == FIT


def test_one_token_does_not_wait_for_another(postgres_database: Database) -> None:
    limits = Quotas(PLENTY, PLENTY, PLENTY)
    with postgres_database.writing() as session:
        for name in ("ada", "bob"):
            tokens.create(session, name, ["submit"])

    with postgres_database.writing() as hers, postgres_database.writing() as his:
        for session in (hers, his):
            session.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
        quotas.check(hers, "ada", limits)
        quotas.check(his, "bob", limits)
