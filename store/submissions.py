"""Experiments as their owner handles them: submitted, found, listed, cancelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from lab.errors import Conflict, NotFound, Unavailable
from lab.plan import Plan
from lab.spec import ExperimentSpec, request_digest
from store import labels, pages, work
from store.database import UTCDateTime, database_now
from store.models import CANCELLED, QUEUED, RUNNING, STATES, TERMINAL, CheckpointChunk, Experiment, Run, Stack
from store.transitions import API, BLIND, Change, lock_stacks, note, settle


@dataclass(frozen=True, slots=True)
class ExperimentFilters:
    """What a list of experiments is narrowed to; None does not narrow. `name` is a part of the name, in any case."""

    state: str | None = None
    tag: str | None = None
    name: str | None = None
    activation: str | None = None
    dataset: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one stack failed."""

    stack: int
    error_class: str
    error: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How far an experiment is. `runs` has every state; a diverged run is one of the succeeded ones; `steps` adds up
    over runs.
    """

    runs: Mapping[str, int]
    diverged: int = 0
    steps: int = 0
    failures: tuple[Failure, ...] = ()


def submit(
    session: Session, spec: ExperimentSpec, plan: Plan, *, owner: str = "local", idempotency_key: str | None = None
) -> Experiment:
    """Writes the experiment and all its work, queued. Where another request has just taken the key, the experiment it
    wrote comes back instead: compare its `request_digest`.
    """
    draft = _columns(spec, plan) | {"owner": owner, "idempotency_key": idempotency_key}
    if idempotency_key is not None:
        draft["request_digest"] = request_digest(spec)
    experiment = _added(session, draft)
    if experiment is None:
        taken = find_by_key(session, owner, idempotency_key or "")
        if taken is None:
            raise Unavailable("The experiment with this key was deleted just now: ask once more.")
        return taken
    labels.label(session, experiment.id, spec)
    arm_ids = work.add_arms(session, experiment.id, plan.arms)
    work.queue(session, experiment, plan.stacks, arm_ids)
    return experiment


def drafted(spec: ExperimentSpec, plan: Plan) -> Experiment:
    """The experiment as it would be on record."""
    return Experiment(**_columns(spec, plan))


def are_kept(session: Session, experiment_ids: Sequence[str]) -> bool:
    """Whether all of the experiments are on record."""
    found = sa.select(sa.func.count()).where(Experiment.id.in_(experiment_ids))
    return session.scalar(found) == len(experiment_ids)


def find_by_key(session: Session, owner: str, key: str) -> Experiment | None:
    return session.scalar(sa.select(Experiment).where(Experiment.owner == owner, Experiment.idempotency_key == key))


def get(session: Session, experiment_id: str) -> Experiment:
    """Raises NotFound."""
    experiment = session.get(Experiment, experiment_id, populate_existing=True)
    if experiment is None or experiment.deleted_at is not None:
        raise _unknown(experiment_id)
    return experiment


def locked(session: Session, experiment_id: str) -> Experiment:
    """The same, and nobody else changes its row before the end of the transaction. Whoever changes its stacks has
    locked these first. Raises NotFound.
    """
    experiment = session.get(Experiment, experiment_id, populate_existing=True, with_for_update={"key_share": True})
    if experiment is None or experiment.deleted_at is not None:
        raise _unknown(experiment_id)
    return experiment


def change(session: Session, experiment_id: str, *, name: str | None, tags: Sequence[str] | None) -> Experiment:
    """Another name, other tags, in the request too; None leaves them. Raises NotFound."""
    experiment = locked(session, experiment_id)
    changed = ({} if name is None else {"name": name}) | ({} if tags is None else {"tags": list(tags)})
    experiment.spec = experiment.spec | changed
    experiment.name, experiment.tags = experiment.spec["name"], experiment.spec["tags"]
    if tags is not None:
        labels.retag(session, experiment_id, tags)
    experiment.version += 1
    session.flush()
    return experiment


def list_experiments(
    session: Session, filters: ExperimentFilters, *, limit: int, after: str | None = None, descending: bool = True
) -> tuple[list[Experiment], str | None]:
    """A page by time of creation, and the cursor of the next one. Raises InvalidRequest where `after` is no cursor."""
    key = sa.tuple_(Experiment.created_at, Experiment.id)
    query = sa.select(Experiment).where(*_conditions(filters)).limit(limit + 1)
    if after is not None:
        at = sa.tuple_(*_created(after))
        query = query.where(key < at if descending else key > at)
    order = (Experiment.created_at, Experiment.id)
    query = query.order_by(*(column.desc() if descending else column for column in order))
    found = list(session.scalars(query))
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], pages.cursor(last.created_at.isoformat(), last.id)


def counts_when_new(experiment: Experiment) -> Counts | None:
    """Of an experiment to which nothing has happened yet; None where something has."""
    return Counts({QUEUED: experiment.n_runs}) if experiment.version == 1 else None


def counts(session: Session, experiment_id: str) -> Counts:
    return counts_of(session, [experiment_id])[experiment_id]


def counts_of(session: Session, experiment_ids: Sequence[str]) -> dict[str, Counts]:
    """Of many experiments, in as many queries as of one. A stack that no run belongs to any more plays no part."""
    runs: dict[str, dict[str, int]] = {each: dict.fromkeys(STATES, 0) for each in experiment_ids}
    diverged = dict.fromkeys(experiment_ids, 0)
    steps = dict.fromkeys(experiment_ids, 0)
    failures: dict[str, list[Failure]] = {each: [] for each in experiment_ids}
    of_runs = sa.select(
        Run.experiment_id, Run.state, sa.func.count(), sa.func.count(Run.diverged_at), sa.func.sum(Stack.step)
    )
    of_runs = of_runs.join(Stack, Stack.id == Run.stack_id).where(Run.experiment_id.in_(experiment_ids))
    for each, state, n, n_diverged, n_steps in session.execute(of_runs.group_by(Run.experiment_id, Run.state)):
        runs[each][state] = n
        diverged[each] += n_diverged
        steps[each] += int(n_steps)
    failed = sa.select(Stack).where(Stack.experiment_id.in_(experiment_ids), Stack.error_class.is_not(None))
    owning = failed.where(sa.exists().where(Run.stack_id == Stack.id))
    for stack in session.scalars(owning.order_by(Stack.position)):
        failures[stack.experiment_id].append(Failure(stack.position, stack.error_class or "", stack.error or ""))
    return {each: Counts(runs[each], diverged[each], steps[each], tuple(failures[each])) for each in experiment_ids}


def still_open(session: Session, filters: ExperimentFilters, *, limit: int) -> list[str]:
    """Ids of experiments that have not ended and were not asked to, of those that the filters leave, oldest first."""
    asked = sa.exists().where(Stack.experiment_id == Experiment.id, Stack.cancel_requested, Stack.state == RUNNING)
    found = sa.select(Experiment.id).where(*_conditions(filters), Experiment.state.in_((QUEUED, RUNNING)))
    return list(session.scalars(found.where(~asked).order_by(Experiment.created_at, Experiment.id).limit(limit)))


def cancel(session: Session, experiment_id: str) -> Experiment:
    """Queued work ends now; running work is asked to end. Idempotent. Raises NotFound, and Conflict where the
    experiment has already ended another way.
    """
    lock_stacks(session, experiment_id)
    experiment = get(session, experiment_id)
    if experiment.state == CANCELLED:
        return experiment
    if experiment.state in TERMINAL:
        raise Conflict(f"The experiment has {experiment.state}: there is nothing to cancel.")
    stop(session, experiment_id)
    settle(session, experiment_id, actor=API)
    return get(session, experiment_id)


def stop(session: Session, experiment_id: str) -> None:
    """Queued stacks end now, running ones are asked to. Whoever calls has locked them, and settles."""
    _cancel_queued(session, experiment_id)
    running = sa.update(Stack).where(Stack.experiment_id == experiment_id, Stack.state == RUNNING)
    session.execute(running.values(cancel_requested=True), execution_options=BLIND)


def _columns(spec: ExperimentSpec, plan: Plan) -> dict[str, Any]:
    return {
        "name": spec.name,
        "tags": list(spec.tags),
        "spec": spec.to_json(),
        "spec_digest": spec.digest,
        "n_arms": len(plan.arms),
        "n_runs": plan.n_runs,
        "n_stacks": len(plan.stacks),
        "cost_flops": plan.cost_flops,
        "steps_total": plan.n_steps,
    }


def _added(session: Session, columns: Mapping[str, Any]) -> Experiment | None:
    """None where the key is taken. Another request that is about to take it is waited for."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    adding = insert(Experiment).values(columns).on_conflict_do_nothing(index_elements=["owner", "idempotency_key"])
    return session.scalar(adding.returning(Experiment))


def _unknown(experiment_id: str) -> NotFound:
    return NotFound(f"There is no experiment {experiment_id!r}.")


def _cancel_queued(session: Session, experiment_id: str) -> None:
    queued = sa.update(Stack).where(Stack.experiment_id == experiment_id, Stack.state == QUEUED)
    ended = queued.values(state=CANCELLED, finished_at=database_now()).returning(
        Stack.id, Stack.generation, Stack.attempt
    )
    changes = [Change(*row) for row in session.execute(ended, execution_options=BLIND)]
    stacks = sa.select(Stack.id).where(Stack.experiment_id == experiment_id, Stack.state == CANCELLED)
    runs = sa.update(Run).where(Run.stack_id.in_(stacks), Run.state == QUEUED).values(state=CANCELLED)
    session.execute(runs, execution_options=BLIND)
    session.execute(sa.delete(CheckpointChunk).where(CheckpointChunk.stack_id.in_(stacks)), execution_options=BLIND)
    note(session, experiment_id, changes, from_state=QUEUED, to_state=CANCELLED, actor=API)


def _conditions(filters: ExperimentFilters) -> Iterator[sa.ColumnElement[bool]]:
    yield Experiment.deleted_at.is_(None)
    if filters.state is not None:
        yield Experiment.state == filters.state
    if filters.owner is not None:
        yield Experiment.owner == filters.owner
    if filters.tag is not None:
        yield labels.labelled("tag", filters.tag)
    if filters.name is not None:
        yield Experiment.name.icontains(filters.name, autoescape=True)
    if filters.activation is not None:
        yield labels.labelled("activation", filters.activation)
    if filters.dataset is not None:
        yield labels.labelled("dataset", filters.dataset)
    if filters.created_after is not None:
        yield Experiment.created_at > filters.created_after
    if filters.created_before is not None:
        yield Experiment.created_at < filters.created_before


def _created(after: str) -> tuple[sa.ColumnElement[datetime], sa.ColumnElement[str]]:
    at, experiment_id = pages.position(after, str, str)
    try:
        created_at = datetime.fromisoformat(str(at))
    except ValueError:
        raise pages.bad(after) from None
    # Cursors are made in UTC; another offset can lead out of the years that there are.
    if created_at.utcoffset() != timedelta(0):
        raise pages.bad(after)
    return sa.literal(created_at, UTCDateTime()), sa.literal(str(experiment_id))
