"""What the record promises of stacks, as a plain dictionary: an independent and slow account of every change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from store.leases import Claim
from store.models import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, TERMINAL

MAX_LOSSES = 3


@dataclass
class StackModel:
    """One stack. `late` says that its lease has run out, `has_heir` that a retry took its place. `ends` are its
    terminal states so far.
    """

    experiment_id: str
    position: int
    state: str = QUEUED
    attempt: int = 0
    losses: int = 0
    cancel_requested: bool = False
    yield_requested: bool = False
    owner: str | None = None
    late: bool = False
    checkpoint_step: int = 0
    has_heir: bool = False
    ends: list[str] = field(default_factory=list)

    def claim(self, owner: str) -> None:
        self.state, self.owner = RUNNING, owner
        self.attempt += 1
        self.yield_requested = self.late = False

    def leave(self, state: str) -> None:
        self.state, self.owner, self.late = state, None, False
        if state in TERMINAL:
            self.ends.append(state)

    def keep_checkpoint(self, step: int) -> None:
        """Losses count only where there is no progress between them."""
        if step > self.checkpoint_step:
            self.checkpoint_step, self.losses = step, 0

    def finish(self) -> None:
        self.losses = 0
        self.leave(SUCCEEDED)

    def give_back(self) -> None:
        self.leave(CANCELLED if self.cancel_requested else QUEUED)

    def lose(self) -> None:
        self.losses += 1
        self.leave(CANCELLED if self.cancel_requested else FAILED if self.losses >= MAX_LOSSES else QUEUED)


class RecordModel:
    """All stacks by id, the experiment of each idempotency key, how often each was retried, and those deleted."""

    def __init__(self) -> None:
        self.stacks: dict[int, StackModel] = {}
        self.keys: dict[str, str] = {}
        self.retries: Counter[str] = Counter()
        self.deleted: set[str] = set()

    def accept(self, experiment_id: str, stack_ids: list[int], key: str | None) -> None:
        self.stacks |= {each: StackModel(experiment_id, position) for position, each in enumerate(stack_ids)}
        if key is not None:
            self.keys[key] = experiment_id

    def holds(self, claim: Claim) -> bool:
        """Whether the claim is the one that may write."""
        stack = self.stacks.get(claim.stack_id)
        return stack is not None and stack.state == RUNNING and stack.attempt == claim.attempt

    def of(self, experiment_id: str) -> list[StackModel]:
        return [stack for stack in self.stacks.values() if stack.experiment_id == experiment_id]

    def experiment_ids(self) -> list[str]:
        """Also of the deleted ones whose rows are still there."""
        return list(dict.fromkeys(stack.experiment_id for stack in self.stacks.values()))

    def shown(self) -> list[str]:
        return [each for each in self.experiment_ids() if each not in self.deleted]

    def to_retry(self, experiment_id: str) -> list[StackModel]:
        """None where the experiment has not ended."""
        if self.state(experiment_id) not in TERMINAL:
            return []
        return [stack for stack in self.of(experiment_id) if stack.state != SUCCEEDED and not stack.has_heir]

    def retry(self, experiment_id: str, heirs: Mapping[int, int]) -> None:
        """`heirs` are the ids of the new stacks by position."""
        for stack in self.to_retry(experiment_id):
            stack.has_heir = True
        self.stacks |= {each: StackModel(experiment_id, position) for position, each in heirs.items()}
        self.retries[experiment_id] += 1

    def running(self) -> list[StackModel]:
        return [stack for stack in self.stacks.values() if stack.state == RUNNING]

    def open(self) -> list[StackModel]:
        return [stack for stack in self.stacks.values() if stack.state not in TERMINAL]

    def cancel(self, experiment_id: str) -> None:
        """Queued stacks end now, running ones are asked to."""
        for stack in self.of(experiment_id):
            if stack.state == QUEUED:
                stack.leave(CANCELLED)
            elif stack.state == RUNNING:
                stack.cancel_requested = True

    def delete(self, experiment_id: str) -> None:
        self.cancel(experiment_id)
        self.deleted.add(experiment_id)
        self.keys = {key: each for key, each in self.keys.items() if each != experiment_id}

    def purge(self) -> None:
        """The rows of deleted experiments go once their work has stopped."""
        busy = {stack.experiment_id for stack in self.running()}
        gone = self.deleted - busy
        self.stacks = {each: stack for each, stack in self.stacks.items() if stack.experiment_id not in gone}
        self.deleted -= gone

    def state(self, experiment_id: str) -> str:
        """What an experiment's stacks say of it."""
        states = {stack.state for stack in self.of(experiment_id)}
        started = RUNNING in states or any(stack.attempt for stack in self.of(experiment_id))
        if RUNNING in states or (QUEUED in states and (started or states != {QUEUED})):
            return RUNNING
        counted = {stack.state for stack in self.of(experiment_id) if not stack.has_heir}
        return next(state for state in (QUEUED, CANCELLED, FAILED, SUCCEEDED) if state in counted)
