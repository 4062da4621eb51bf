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
    """What one token may have: runs and operations queued and running, and experiments asked for within a minute."""

    runs: int
    cost: int
    experiments_per_minute: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What one token has: runs and operations queued and running, and experiments of the last minute."""

    runs: int
    cost: int
    experiments: int


def check_before(session: Session, owner: str, quotas: Quotas, *, runs: int, cost: int) -> None:
    """Raises QuotaReached where one more experiment, of so many runs and operations, would be more than `owner` may
    have: before it is written, and without waiting for anybody. Whether it may be kept `check` decides.
    """
    there = _usage(session, owner)
    _refuse_beyond(quotas, owner=owner, usage=Usage(there.runs + runs, there.cost + cost, there.experiments + 1))


def check(session: Session, owner: str, quotas: Quotas) -> None:
    """Raises QuotaReached where `owner`'s work on record, with what this transaction has added, is more than may be.

    Of requests that come at the same moment each is counted after the one before has ended, so that no two are the
    last one that fits. Whoever calls has all other locks already, and little left to do.
    """
    _wait_for_turn(session, owner)
    _refuse_beyond(quotas, owner=owner, usage=_usage(session, owner))


def _usage(session: Session, owner: str) -> Usage:
    lately = (Experiment.owner == owner, Experiment.created_at > database_now(-_A_MINUTE_S))
    asked = sa.select(sa.func.count()).select_from(Experiment).where(*lately).scalar_subquery()
    open_work = (Stack.owner == owner, Stack.state.in_((QUEUED, RUNNING)))
    found = sa.select(sa.func.sum(Stack.n_runs), sa.func.sum(Stack.cost_flops), asked).where(*open_work)
    return Usage(*(int(n or 0) for n in session.execute(found).one()))


def _refuse_beyond(quotas: Quotas, *, owner: str, usage: Usage) -> None:
    if usage.experiments > quotas.experiments_per_minute:
        allowed = f"{quotas.experiments_per_minute} experiments a minute (experiments_per_minute)"
        raise QuotaReached(f"Token {owner!r} may ask for {allowed}; this would be {usage.experiments}.", _A_MINUTE_S)
    for name, value, limit in (("runs", usage.runs, quotas.runs), ("cost", usage.cost, quotas.cost)):
        if value > limit:
            sentence = f"Token {owner!r} may have {limit} of {name} queued and running; this would be {value}."
            raise QuotaReached(sentence, _WORK_ENDS_S)


def _wait_for_turn(session: Session, owner: str) -> None:
    """Until the end of the transaction nobody else counts for `owner`. On SQLite nobody else writes anyway."""
    session.flush()
    session.execute(sa.select(Token.id).where(Token.name == owner).with_for_update(key_share=True))
