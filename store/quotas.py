"""What one token may have under way, and how often it may ask: counted from the record, whoever counts."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.errors import QuotaReached
from store.database import database_now
from store.models import QUEUED, RUNNING, Experiment, Stack, Token

_A_MINUTE_S = 60
_WORK_ENDS_S = 30


@dataclass(frozen=True, slots=True)
class Quotas:
    """Of one token: runs and operations queued or running, and experiments asked for within a minute."""

    runs: int
    cost: int
    experiments_per_minute: int


def check(session: Session, owner: str, quotas: Quotas) -> None:
    """Raises QuotaReached where `owner`'s work on record, with what this transaction has added, is more than may be.

    Of requests that come at the same moment each is counted after the one before has ended, so that no two are the
    last one that fits. Whoever calls has all other locks already, and little left to do.
    """
    _wait_for_turn(session, owner)
    recent = sa.select(sa.func.count()).where(
        Experiment.owner == owner, Experiment.created_at > database_now(-_A_MINUTE_S)
    )
    asked = session.scalars(recent).one()
    if asked > quotas.experiments_per_minute:
        allowed = f"{quotas.experiments_per_minute} experiments a minute (experiments_per_minute)"
        raise QuotaReached(f"Token {owner!r} may ask for {allowed}; this would be {asked}.", _A_MINUTE_S)
    open_work = sa.select(sa.func.sum(Stack.n_runs), sa.func.sum(Stack.cost_flops)).join(
        Experiment, Experiment.id == Stack.experiment_id
    )
    runs, cost = session.execute(open_work.where(Experiment.owner == owner, Stack.state.in_((QUEUED, RUNNING)))).one()
    for name, value, limit in (("runs", runs, quotas.runs), ("cost", cost, quotas.cost)):
        if int(value or 0) > limit:
            sentence = f"Token {owner!r} may have {limit} of {name} queued and running; this would be {int(value)}."
            raise QuotaReached(sentence, _WORK_ENDS_S)


def _wait_for_turn(session: Session, owner: str) -> None:
    """Until the end of the transaction nobody else counts for `owner`. On SQLite nobody else writes anyway."""
    session.flush()
    session.execute(sa.select(Token.id).where(Token.name == owner).with_for_update(key_share=True))
