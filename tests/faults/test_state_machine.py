"""Submits, claims, writes, cancels, retries, deletes, lost workers and late writes, in any order, leave the record as
the model says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.orm import Session

from lab.errors import Conflict, LeaseLost, NotFound
from lab.limits import Limits
from lab.plan import plan
from store import checkpoints, deletions, leases, results, retries, submissions
from store.checkpoints import Checkpoint
from store.database import Database, database_now
from store.leases import Claim, Flags
from store.models import FAILED, QUEUED, RUNNING, SUCCEEDED, Experiment, Stack
from tests.builders import a_spec
from tests.faults.comparison import compare, signed
from tests.faults.model import MAX_LOSSES, RecordModel
from tests.faults.rounds import CHAOS, rounds
from tests.store.builders import HERE, a_result

WORKERS = ("here/1/", "here/2/", "there/1/")
# Each stack is one run of one layer, recorded at its first and last step.
SPECS = {
    n: a_spec("relu", replicates=1, steps=1, points=2, sweep=(("network.depth", tuple(range(1, n + 1))),))
    for n in (1, 2, 3)
}
PLANS = {n: plan(spec, Limits()) for n, spec in SPECS.items()}


class RecordMachine(RuleBasedStateMachine):
    """Drives the functions of the store, each in a transaction of its own, and the model beside them."""

    claims = Bundle("claims")

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.model = RecordModel()
        with database.writing() as session:
            session.execute(sa.delete(Experiment))

    @initialize(n=st.sampled_from((2, 3)))
    def submit_something(self, n: int) -> None:
        self.submit(n, key=None)

    @rule(n=st.sampled_from((1, 2, 3)), key=st.sampled_from((None, "a", "b")))
    def submit(self, n: int, key: str | None) -> None:
        with self.database.writing() as session:
            experiment_id = submissions.submit(session, SPECS[n], PLANS[n], idempotency_key=key).id
            stack_ids = session.scalars(sa.select(Stack.id).where(Stack.experiment_id == experiment_id)).all()
        if key is not None and key in self.model.keys:
            assert experiment_id == self.model.keys[key]
            return
        assert len(stack_ids) == n
        self.model.accept(experiment_id, list(stack_ids), key)

    @precondition(lambda self: self.model.stacks)
    @rule(target=claims, worker=st.sampled_from(WORKERS))
    def claim(self, worker: str) -> Any:
        with self.database.writing() as session:
            claim = leases.claim(session, worker=worker, lease_s=3600)
        waiting = [stack_id for stack_id, stack in self.model.stacks.items() if stack.state == QUEUED]
        if claim is None:
            assert not waiting
            return multiple()
        assert claim.stack_id in waiting
        self.model.stacks[claim.stack_id].claim(worker)
        assert claim.attempt == self.model.stacks[claim.stack_id].attempt
        return claim

    @rule(claim=claims)
    def heartbeat(self, claim: Claim) -> None:
        heard: list[Flags] = []
        if self.write(claim, lambda session: heard.append(leases.heartbeat(session, claim, lease_s=3600))):
            stack = self.model.stacks[claim.stack_id]
            assert heard == [Flags(stack.cancel_requested, stack.yield_requested)]
            stack.late = False

    @rule(claim=claims)
    def record_the_first_step(self, claim: Claim) -> None:
        def record(session: Session) -> None:
            results.record(session, claim, signed(claim, 0), results.begin(session, claim))

        self.write(claim, record)

    @rule(claim=claims, step=st.integers(1, 3))
    def keep_a_checkpoint(self, claim: Claim, step: int) -> None:
        kept = Checkpoint(step, -1, {}, bytes([step]))
        if self.write(claim, lambda session: checkpoints.keep(session, claim, kept, 0)):
            self.model.stacks[claim.stack_id].keep_checkpoint(step)

    @rule(claim=claims, repeated=st.booleans())
    def finish(self, claim: Claim, repeated: bool) -> None:
        def finish(session: Session) -> None:
            run_ids = results.begin(session, claim)
            for step in (0, 1):
                results.record(session, claim, signed(claim, step), run_ids)
            leases.finish(session, claim, [a_result(train_loss=float(claim.attempt))] * len(run_ids), HERE)

        if self.write(claim, finish):
            self.model.stacks[claim.stack_id].finish()
            if repeated:
                self.finish(claim, repeated=False)

    @rule(claim=claims)
    def fail(self, claim: Claim) -> None:
        if self.write(claim, lambda session: leases.fail(session, claim, error_class="Broken", error="It broke.")):
            self.model.stacks[claim.stack_id].leave(FAILED)

    @rule(claim=claims)
    def give_back(self, claim: Claim) -> None:
        if self.write(claim, lambda session: leases.give_back(session, claim)):
            self.model.stacks[claim.stack_id].give_back()

    @rule(claim=claims)
    def stop_where_asked_to(self, claim: Claim) -> None:
        asked = self.model.holds(claim) and self.model.stacks[claim.stack_id].cancel_requested
        if asked and self.write(claim, lambda session: leases.cancelled(session, claim)):
            self.model.stacks[claim.stack_id].give_back()

    @rule(claim=claims)
    def die_before_the_parent_s_eyes(self, claim: Claim) -> None:
        told = {"max_losses": MAX_LOSSES, "actor": "here/1/", "reason": "killed"}
        if self.write(claim, lambda session: leases.lose(session, claim, **told)):  # type: ignore[arg-type]  # told is text and one number
            self.model.stacks[claim.stack_id].lose()

    @rule(claim=consumes(claims))
    def crash(self, claim: Claim) -> None:
        """Nobody hears of it again."""

    @precondition(lambda self: self.model.running())
    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        """Leases run out; a worker that still lives may be back before the sweeper comes."""
        running = sorted(each for each, stack in self.model.stacks.items() if stack.state == RUNNING)
        late = data.draw(st.lists(st.sampled_from(running), min_size=1, unique=True))
        with self.database.writing() as session:
            session.execute(sa.update(Stack).where(Stack.id.in_(late)).values(lease_until=database_now(-1)))
        for each in late:
            self.model.stacks[each].late = True

    @precondition(lambda self: self.model.running())
    @rule()
    def sweep(self) -> None:
        late = [stack for stack in self.model.running() if stack.late]
        for stack in late:
            stack.lose()
        swept = []
        while True:
            with self.database.writing() as session:
                state = leases.expire(session, max_losses=MAX_LOSSES)
            if state is None:
                break
            swept.append(state)
        assert sorted(swept) == sorted(stack.state for stack in late)

    @precondition(lambda self: self.model.running())
    @rule(target=claims, worker=st.sampled_from(WORKERS))
    def be_replaced(self, worker: str) -> Any:
        """All leases run out, and another worker comes: so that late writes are many."""
        self._all_late()
        self.sweep()
        return self.claim(worker)

    @precondition(lambda self: self.model.running())
    @rule(worker=st.sampled_from(WORKERS))
    def ask_to_yield(self, worker: str) -> None:
        with self.database.writing() as session:
            leases.ask_to_yield(session, worker=worker)
        for stack in self.model.running():
            stack.yield_requested |= stack.owner == worker

    @precondition(lambda self: self.model.open())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        experiment_id = data.draw(st.sampled_from(self.model.experiment_ids()))
        over = self.model.state(experiment_id) in (SUCCEEDED, FAILED)
        try:
            with self.database.writing() as session:
                submissions.cancel(session, experiment_id)
        except NotFound:
            assert experiment_id in self.model.deleted
        except Conflict:
            assert over
        else:
            assert not over
            self.model.cancel(experiment_id)

    @precondition(lambda self: any(self.model.to_retry(each) for each in self.model.shown()))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        experiment_id = data.draw(st.sampled_from(self.model.shown()))
        before = set(self.model.stacks)
        try:
            with self.database.writing() as session:
                _, n = retries.retry(session, experiment_id)
                rows = session.execute(sa.select(Stack.position, Stack.id).where(Stack.experiment_id == experiment_id))
                heirs = {position: stack_id for position, stack_id in rows if stack_id not in before}
        except Conflict:
            assert not self.model.to_retry(experiment_id)
        else:
            assert n == len(heirs)
            assert sorted(heirs) == sorted(stack.position for stack in self.model.to_retry(experiment_id))
            self.model.retry(experiment_id, heirs)

    @precondition(lambda self: self.model.shown())
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        experiment_id = data.draw(st.sampled_from(self.model.shown()))
        with self.database.writing() as session:
            deletions.delete(session, experiment_id)
        self.model.delete(experiment_id)

    @precondition(lambda self: self.model.deleted)
    @rule()
    def purge(self) -> None:
        more = True
        while more:
            with self.database.writing() as session:
                more = deletions.purge(session, within_s=1)
        self.model.purge()

    @invariant()
    def the_record_is_as_the_model_says(self) -> None:
        with self.database.reading() as session:
            compare(self.model, session)

    def teardown(self) -> None:
        """The faults over, workers end everything that was accepted."""
        try:
            self._all_late()
            self.sweep()
            while isinstance(claim := self.claim("here/9/"), Claim):
                self.finish(claim, repeated=False)
            assert all(len(stack.ends) == 1 for stack in self.model.stacks.values())
            self.the_record_is_as_the_model_says()
            self.purge()
            self.the_record_is_as_the_model_says()
        finally:
            super().teardown()

    def _all_late(self) -> None:
        with self.database.writing() as session:
            session.execute(sa.update(Stack).where(Stack.state == RUNNING).values(lease_until=database_now(-1)))
        for stack in self.model.running():
            stack.late = True

    def write(self, claim: Claim, act: Callable[[Session], object]) -> bool:
        """Whether a worker's write was made: it is made if the claim is the one that may write."""
        try:
            with self.database.writing() as session:
                act(session)
        except LeaseLost:
            assert not self.model.holds(claim)
            return False
        assert self.model.holds(claim)
        return True


@rounds(25)
@pytest.mark.slow
def test_any_order_of_events_leaves_the_record_as_promised(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        # The examples take seconds instead of minutes; what a power cut leaves is not asked here.
        sa.event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))

    run_state_machine_as_test(
        lambda: RecordMachine(database),  # type: ignore[arg-type]  # documented as any factory
        settings=settings(
            max_examples=200,
            stateful_step_count=40 if CHAOS else 15,
            deadline=None,
            # The checks of a change try the same examples every time; `make chaos` looks for new ones.
            derandomize=not CHAOS,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
