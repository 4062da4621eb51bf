"""What the record promises of stacks, as a plain dictionary: an independent and slow account of every change."""

from __future__ import annotations

from dataclasses import dataclass, field

from store.leases import Claim
from store.models import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, TERMINAL

MAX_LOSSES = 3


@dataclass
class StackModel:
    """One stack. `late` says that its lease has run out; `ends` are its terminal states so far."""

    experiment_id: str
    state: str = QUEUED
    attempt: int = 0
    losses: int = 0
    cancel_requested: bool = False
    yield_requested: bool = False
    owner: str | None = None
    late: bool = False
    ends: list[str] = field(default_factory=list)

    def claim(self, owner: str) -> None:
        self.state, self.owner = RUNNING, owner
        self.attempt += 1
        self.yield_requested = self.late = False

    def leave(self, state: str) -> None:
        self.state, self.owner, self.late = state, None, False
        if state in TERMINAL:
            self.ends.append(state)

    def finish(self) -> None:
        self.losses = 0
        self.leave(SUCCEEDED)

    def give_back(self) -> None:
        self.leave(CANCELLED if self.cancel_requested else QUEUED)

    def lose(self) -> None:
        self.losses += 1
        self.leave(CANCELLED if self.cancel_requested else FAILED if self.losses >= MAX_LOSSES else QUEUED)


class RecordModel:
    """All stacks by id, and the experiment of each idempotency key."""

    def __init__(self) -> None:
        self.stacks: dict[int, StackModel] = {}
        self.keys: dict[str, str] = {}

    def accept(self, experiment_id: str, stack_ids: list[int], key: str | None) -> None:
        self.stacks |= {stack_id: StackModel(experiment_id) for stack_id in stack_ids}
        if key is not None:
            self.keys[key] = experiment_id

    def holds(self, claim: Claim) -> bool:
        """Whether the claim is the one that may write."""
        stack = self.stacks.get(claim.stack_id)
        return stack is not None and stack.state == RUNNING and stack.attempt == claim.attempt

    def of(self, experiment_id: str) -> list[StackModel]:
        return [stack for stack in self.stacks.values() if stack.experiment_id == experiment_id]

    def experiment_ids(self) -> list[str]:
        return list(dict.fromkeys(stack.experiment_id for stack in self.stacks.values()))

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
        self.stacks = {each: stack for each, stack in self.stacks.items() if stack.experiment_id != experiment_id}
        self.keys = {key: each for key, each in self.keys.items() if each != experiment_id}

    def state(self, experiment_id: str) -> str:
        """What an experiment's stacks say of it."""
        states = {stack.state for stack in self.of(experiment_id)}
        started = RUNNING in states or any(stack.attempt for stack in self.of(experiment_id))
        if RUNNING in states or (QUEUED in states and (started or states != {QUEUED})):
            return RUNNING
        return next(state for state in (QUEUED, CANCELLED, FAILED, SUCCEEDED) if state in states)
