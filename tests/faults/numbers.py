"""The promise as eight numbers, each of which must be 0 when the dust has settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from store.database import Database
from store.models import CANCELLED, FAILED, SUCCEEDED, TERMINAL, Experiment, Run, Stack, Transition
from tests.faults.ledger import Entry
from tests.faults.undisturbed import Undisturbed
from tests.worker.workplaces import numbers


@dataclass(frozen=True)
class Eight:
    """Experiments and stacks for which the promise was broken."""

    without_a_row: int = 0
    unfinished: int = 0
    unasked: int = 0
    ended_not_once: int = 0
    incomplete: int = 0
    wrongly_counted: int = 0
    different: int = 0
    wrongly_failed: int = 0


NAMES = tuple(field.name for field in fields(Eight))


def count(database: Database, accepted: Mapping[str, Entry], asked: Collection[str], undisturbed: Undisturbed) -> Eight:
    """`accepted` is every 202 by its id, `asked` every key that a client ever used."""
    with database.reading() as session:
        rows = session.execute(sa.select(Experiment.id, Experiment.state, Experiment.idempotency_key, Experiment.spec))
        found = {row.id: row for row in rows}
        stacks = session.execute(sa.select(Stack.id, Stack.experiment_id, Stack.generation, Stack.state)).all()
        runs = session.execute(sa.select(Run.experiment_id, Run.state, Run.train_loss, Run.probe_loss)).all()
        ends = Counter(
            tuple(row)
            for row in session.execute(
                sa.select(Transition.experiment_id, Transition.stack_id, Transition.generation).where(
                    Transition.to_state.in_(TERMINAL)
                )
            )
        )
    mine = {each: row for each, row in found.items() if each in accepted}
    keys = [row.idempotency_key for row in found.values()]
    open_stacks = [stack for stack in stacks if stack.experiment_id in mine and stack.state not in TERMINAL]
    expected_ends = {
        (stack.experiment_id, stack.id, stack.generation) for stack in stacks if stack.experiment_id in mine
    }
    expected_ends |= {(each, None, 0) for each in mine}
    compared = [_compared(database, each, row, undisturbed) for each, row in mine.items() if row.state == SUCCEEDED]
    return Eight(
        without_a_row=len(accepted.keys() - found.keys()),
        unfinished=sum(row.state not in TERMINAL for row in mine.values()) + len(open_stacks),
        unasked=sum(key not in asked for key in keys)
        + (len(keys) - len(set(keys)))
        + sum(found[each].idempotency_key != entry.key for each, entry in accepted.items() if each in found),
        ended_not_once=sum(ends[each] != 1 for each in expected_ends),
        incomplete=compared.count("incomplete"),
        wrongly_counted=sum(
            (run.train_loss is not None or run.probe_loss is not None) and run.state != SUCCEEDED for run in runs
        ),
        different=compared.count("different"),
        wrongly_failed=sum(row.state == FAILED for row in mine.values())
        + sum(row.state == CANCELLED and not accepted[each].cancelled for each, row in mine.items()),
    )


def _compared(database: Database, experiment_id: str, row: Any, undisturbed: Undisturbed) -> str:
    """How its numbers stand beside those of the same request when nothing disturbs it."""
    told = numbers(database, experiment_id)
    expected = undisturbed.numbers(row.spec)
    if any(len(told[name]) != len(expected[name]) for name in expected):
        return "incomplete"
    return "same" if told == expected else "different"
