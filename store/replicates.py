"""More replicates of an experiment that has ended: the added ones are queued as stacks of the next generation, and
nothing that is on record changes. Their numbers are those of an experiment that had asked for all of them at once.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.errors import Conflict, FieldError, InvalidRequest
from lab.limits import Limits
from lab.plan import plan_more
from lab.spec import ExperimentSpec, digest_of
from store import submissions, work
from store.models import QUEUED, RUNNING, TERMINAL, Experiment, Run
from store.transitions import API, ended_as, generation, lock_stacks, settle


def extend(session: Session, experiment_id: str, *, replicates: int, limits: Limits) -> tuple[Experiment, int]:
    """The experiment with `replicates` of every arm in all, and how many stacks were queued: none where it has as many
    already, so that asking twice is asking once. Raises NotFound, Conflict where it has not ended, and InvalidRequest
    where it has more, or where so many are too much.
    """
    lock_stacks(session, experiment_id)
    experiment = submissions.locked(session, experiment_id)
    before: int = experiment.spec["replicates"]
    if replicates == before:
        return experiment, 0
    if replicates < before:
        raise InvalidRequest([FieldError("replicates", replicates, f"{before}, which there are, or more")])
    if experiment.state not in TERMINAL:
        raise Conflict(f"The experiment has not ended: it is {experiment.state}. Wait for its end, or cancel it.")
    asked = experiment.spec | {"replicates": replicates}
    added = plan_more(ExperimentSpec.from_json(asked), limits, replicates=before, n_stacks=experiment.n_stacks)
    experiment.spec, experiment.spec_digest = asked, digest_of(asked)
    experiment.n_runs += added.n_runs
    experiment.n_stacks += len(added.stacks)
    experiment.cost_flops += added.cost_flops
    experiment.steps_total += added.n_steps
    session.flush()
    ids = work.arm_ids(session, experiment_id)
    following = generation(session, experiment_id) + 1
    work.queue(session, experiment, added.stacks, ids, generation=following, reason="replicates")
    settle(session, experiment_id, actor=API)
    return submissions.get(session, experiment_id), len(added.stacks)


def state_of_first(session: Session, experiment: Experiment, replicates: int) -> str:
    """How the first `replicates` of every arm have ended, or that they still run, whatever became of later ones."""
    if experiment.spec["replicates"] <= replicates:
        return experiment.state
    of_runs = sa.select(Run.state).where(Run.experiment_id == experiment.id, Run.replicate < replicates).distinct()
    states = set(session.scalars(of_runs))
    return RUNNING if states & {QUEUED, RUNNING} else ended_as(states)
