"""The rows of work: arms, and queued stacks with their runs and their rows in the trail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.plan import Arm as PlannedArm
from lab.plan import Stack as PlannedStack
from store.models import QUEUED, Arm, Run, Stack
from store.transitions import API, Change, note


def drafted_arm(arm: PlannedArm) -> Arm:
    """The arm as it would be on record."""
    return Arm(
        position=arm.position,
        label=arm.label,
        activation=arm.activation.name,
        parameters=dict(arm.activation.parameters),
        swept=dict(arm.swept),
        probe_size=arm.probe_size,
        baseline_position=arm.baseline,
    )


def add_arms(session: Session, experiment_id: str, planned: Sequence[PlannedArm]) -> dict[int, int]:
    """Position to id."""
    arms = [drafted_arm(arm) for arm in planned]
    for arm in arms:
        arm.experiment_id = experiment_id
    session.add_all(arms)
    session.flush()
    return {arm.position: arm.id for arm in arms}


def arm_ids(session: Session, experiment_id: str) -> dict[int, int]:
    """Position to id, of those on record."""
    return dict(session.execute(sa.select(Arm.position, Arm.id).where(Arm.experiment_id == experiment_id)).all())


def queue(
    session: Session,
    experiment_id: str,
    planned: Sequence[PlannedStack],
    arm_ids: Mapping[int, int],
    *,
    generation: int = 0,
    reason: str | None = None,
) -> None:
    """Stacks, their runs, and what the trail says of them. Whoever adds to an experiment on record settles it."""
    stacks = [
        {
            "experiment_id": experiment_id,
            "generation": generation,
            "position": stack.position,
            "n_runs": len(stack.runs),
            "steps": stack.shape.steps,
            "cost_flops": stack.cost_flops,
        }
        for stack in planned
    ]
    stack_ids = {
        position: each
        for each, position in session.execute(sa.insert(Stack).returning(Stack.id, Stack.position), stacks)
    }
    runs = [
        {
            "experiment_id": experiment_id,
            "arm_id": arm_ids[run.arm.position],
            "stack_id": stack_ids[stack.position],
            "stack_position": place,
            "replicate": run.replicate,
        }
        for stack in planned
        for place, run in enumerate(stack.runs)
    ]
    session.execute(sa.insert(Run), runs)
    changes = [Change(stack_id, generation) for stack_id in stack_ids.values()]
    note(session, experiment_id, changes, from_state=None, to_state=QUEUED, actor=API, reason=reason)
