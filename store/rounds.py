"""Rounds of a claim: the experiments of one going-through, found again by their tags.

Tags only find them. Whether an experiment is what the claim asks for is decided by the digest of its request, so that
nobody's own tags, and no older version of a claim, pass for evidence.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.claims.claim import EFFORTS, Effort
from store.labels import labelled
from store.models import Experiment

# A round has up to some thirty experiments: this many hold at least the last fifteen rounds.
_MOST_EXPERIMENTS = 500


@dataclass(frozen=True, slots=True)
class Round:
    """`id` is unique among the claim's rounds. A round that has just begun has no experiments."""

    id: str
    effort: Effort
    experiments: tuple[Experiment, ...] = ()


def begun(effort: Effort) -> Round:
    """A new round."""
    return Round(uuid.uuid4().hex[:12], effort)


def wait_for_turn(session: Session, claim: str) -> None:
    """Until the end of the transaction nobody else goes on with the claim. On SQLite nobody else writes anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"claim:{claim}"))))


def tags(claim: str, of: Round) -> tuple[str, ...]:
    """What every experiment of the round carries."""
    return (f"claim:{claim}", f"effort:{of.effort}", f"round:{of.id}")


def rounds(session: Session, claim: str) -> list[Round]:
    """Of the claim with that name, newest first."""
    tagged = sa.select(Experiment).where(Experiment.deleted_at.is_(None), labelled("tag", f"claim:{claim}"))
    newest = tagged.order_by(Experiment.created_at.desc(), Experiment.id.desc()).limit(_MOST_EXPERIMENTS)
    found: dict[tuple[str, str], list[Experiment]] = {}
    for experiment in session.scalars(newest):
        said = dict(tag.partition(":")[::2] for tag in experiment.tags)
        found.setdefault((said.get("round", ""), said.get("effort", "")), []).append(experiment)
    return [
        Round(name, effort, tuple(found[name, effort])) for name, said in found for effort in EFFORTS if said == effort
    ]
