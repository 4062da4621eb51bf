"""The rows of work: arms, and queued stacks with their runs and their rows in the trail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.plan import Arm as PlannedArm
from lab.plan import Stack as PlannedStack
from store import bulk
from store.database import database_now
from store.models import QUEUED, Arm, BigId, Experiment, Run, Stack, Transition
from store.transitions import API


def drafted_arm(arm: PlannedArm) -> Arm:
    """The arm as it would be on record."""
    return Arm(**_columns(arm))


def add_arms(session: Session, experiment_id: str, planned: Sequence[PlannedArm]) -> dict[int, int]:
    """Position to id."""
    rows = [{"experiment_id": experiment_id, **_columns(arm)} for arm in planned]
    return _positions(session, Arm.metadata.tables["arms"], rows)


def arm_ids(session: Session, experiment_id: str) -> dict[int, int]:
    """Position to id, of those on record."""
    return dict(session.execute(sa.select(Arm.position, Arm.id).where(Arm.experiment_id == experiment_id)).all())


def queue(
    session: Session,
    experiment: Experiment,
    planned: Sequence[PlannedStack],
    arm_ids: Mapping[int, int],
    *,
    generation: int = 0,
    reason: str | None = None,
) -> None:
    """Stacks, their runs, and what the trail says of them. Whoever adds to an experiment on record settles it."""
    stacks = [
        {
            "experiment_id": experiment.id,
            "owner": experiment.owner,
            "generation": generation,
            "position": stack.position,
            "n_runs": len(stack.runs),
            "steps": stack.shape.steps,
            "cost_flops": stack.cost_flops,
        }
        for stack in planned
    ]
    stack_ids = _positions(session, Stack.metadata.tables["stacks"], stacks)
    _add_runs(session, experiment.id, planned, arm_ids, stack_ids)
    _note_queued(session, experiment.id, generation, reason)


def _columns(arm: PlannedArm) -> dict[str, Any]:
    return {
        "position": arm.position,
        "label": arm.label,
        "activation": arm.activation.name,
        "parameters": dict(arm.activation.parameters),
        "swept": dict(arm.swept),
        "probe_size": arm.probe_size,
        "baseline_position": arm.baseline,
    }


def _positions(session: Session, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Adds the rows. Position to id."""
    adding = sa.insert(table).returning(table.c.position, table.c.id)
    added = session.connection().execute(adding, rows)
    return {row.position: row.id for row in added}


def _add_runs(
    session: Session,
    experiment_id: str,
    planned: Sequence[PlannedStack],
    arm_ids: Mapping[int, int],
    stack_ids: Mapping[int, int],
) -> None:
    runs = [
        (arm_ids[run.arm.position], stack_ids[stack.position], place, run.replicate)
        for stack in planned
        for place, run in enumerate(stack.runs)
    ]
    names = ("arm_id", "stack_id", "stack_position", "replicate")
    numbers = dict(zip(names, np.array(runs, dtype=np.int64).T, strict=True))
    columns: dict[str, bulk.Column] = {
        "experiment_id": [experiment_id] * len(runs),
        **numbers,
        "state": [QUEUED] * len(runs),
        "removals": np.zeros(len(runs), dtype=np.int64),
    }
    bulk.insert(session, Run.metadata.tables["runs"], columns)


def _note_queued(session: Session, experiment_id: str, generation: int, reason: str | None) -> None:
    """A row of the trail for each stack of the generation; before them one for the experiment, where that is new."""
    said = (sa.literal(generation), sa.literal(QUEUED), sa.literal(API), sa.literal(reason, sa.Text), database_now())
    stacks = sa.select(Stack.experiment_id, Stack.id.label("stack"), *said)
    of = [stacks.where(Stack.experiment_id == experiment_id, Stack.generation == generation)]
    if generation == 0:
        of.append(sa.select(sa.literal(experiment_id), sa.cast(None, BigId), *said))
    names = ("experiment_id", "stack_id", "generation", "to_state", "actor", "reason", "at")
    trail = Transition.metadata.tables["transitions"]
    in_order = sa.union_all(*of).order_by(sa.nulls_first(sa.column("stack")))
    session.execute(sa.insert(trail).from_select(names, in_order, include_defaults=False))
