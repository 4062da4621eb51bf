"""An attempt's checkpoints: found and judged at its start, kept while it trains."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import torch
from safetensors.torch import load, save
from sqlalchemy.exc import DBAPIError
from torch import Tensor

from lab.errors import Unavailable
from lab.records import RunResult
from store import checkpoints
from store.checkpoints import Checkpoint, DamagedCheckpoint
from store.leases import RanOn
from worker.attempt import Attempt, is_out_of_reach
from worker.engine import StackTraining
from worker.engine.processor import processor
from worker.slices import Slice

_log = structlog.get_logger()


class Checkpoints:
    """Of one attempt, all made under the same conditions."""

    def __init__(self, attempt: Attempt, made_under: Mapping[str, Any]) -> None:
        self._attempt = attempt
        self._made_under = made_under
        self.found_slice: Slice | None = None
        """What the one that was found is of; of the whole stack in all likelihood."""
        self._found: Checkpoint | None = None
        self._state: dict[str, Tensor] = {}
        self._part = Slice(range(0))
        self._reached: Callable[[int], int] = int
        self._kept_step = 0
        self._runs_on_record = range(0)
        """What the last one that may be on record is of: the answer to its commit may have been lost."""
        self._due = time.monotonic() + attempt.workplace.settings.checkpoint_s

    def find(self) -> Checkpoint | None:
        """The one to go on from. None, with a line in the log where there is one that must be ignored."""
        stack_id = self._attempt.claim.stack_id
        try:
            found = self._attempt.fetch(partial(checkpoints.latest, stack_id=stack_id))
        except DamagedCheckpoint as error:
            self._say("checkpoint_ignored", reason=str(error))
            return None
        if found is None:
            return None
        if found.made_under != self._made_under:
            reason = _differences(found.made_under, self._made_under)
            self._say("checkpoint_ignored", reason=reason, step=found.step)
            return None
        self._found, self._kept_step, self._state = found, found.step, load(found.state)
        self.found_slice = _unpacked(self._state.pop("slice"))
        self._runs_on_record = self.found_slice.runs
        return found

    def turn_to(self, part: Slice, training: StackTraining, reached: Callable[[int], int]) -> int:
        """From now on they are of `part`, and `reached` says how far the stack is when it is at a step. Brings the
        training to where `find` found one of it, if it did; returns the last step that is recorded. Raises LeaseLost.
        """
        self._part, self._reached = part, reached
        found, self._found = self._found, None
        state, self._state = self._state, {}
        if found is not None and self.found_slice == part:
            training.restore(state)
            self._say("stack_resumed", step=found.step)
            return found.recorded_step
        if self._runs_on_record.stop > part.runs.start:
            # Memory ran out on the way, and what was to train at once does so no more.
            self._kept_step, self._runs_on_record = 0, range(0)
            self._attempt.persist(partial(checkpoints.forget, claim=self._attempt.claim))
        return -1

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() >= self._due

    def keep(self, training: StackTraining, recorded_step: int) -> None:
        """Keeps the training as it is now, recorded up to `recorded_step`. Where the database does not take it, the
        next one will do. Raises LeaseLost.
        """
        step = self._reached(training.step)
        if step <= self._kept_step:
            return
        started = time.monotonic()
        checkpoint = Checkpoint(step, recorded_step, self._made_under, _packed(training, self._part))
        self._put_off(len(checkpoint.state))
        self._runs_on_record = self._part.runs
        try:
            for chunk in range(checkpoint.n_chunks):
                self._attempt.once(
                    partial(checkpoints.keep, claim=self._attempt.claim, checkpoint=checkpoint, chunk=chunk)
                )
        except (DBAPIError, Unavailable) as error:
            if not is_out_of_reach(error):
                raise
            self._say("checkpoint_not_kept", step=checkpoint.step, error=str(error).splitlines()[0])
            return
        self._kept_step = checkpoint.step
        took_s = round(time.monotonic() - started, 3)
        self._say("checkpoint_kept", step=checkpoint.step, bytes=len(checkpoint.state), took_s=took_s)

    def _put_off(self, n_bytes: int) -> None:
        """The next one is due after the usual interval, or after as many as this one was larger than it may be."""
        settings = self._attempt.workplace.settings
        intervals = max(1.0, n_bytes / settings.checkpoint_bytes)
        self._due = time.monotonic() + settings.checkpoint_s * intervals
        if intervals > 1:
            interval_s = round(settings.checkpoint_s * intervals, 3)
            self._say("checkpoints_made_rarer", bytes=n_bytes, allowed=settings.checkpoint_bytes, interval_s=interval_s)

    def _say(self, event: str, **what: Any) -> None:
        _log.info(event, stack_id=self._attempt.claim.stack_id, attempt=self._attempt.claim.attempt, **what)


def conditions(spec_digest: str, ran_on: RanOn) -> dict[str, Any]:
    """What must be equal for a resumed training to give the bits of an undisturbed one."""
    return {
        "spec_digest": spec_digest,
        "engine": engine_digest(),
        "torch_version": ran_on.torch_version,
        "numpy_version": np.__version__,
        "device": _name(torch.device(ran_on.device)),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": ran_on.threads,
    }


def _name(device: torch.device) -> str:
    """Its maker's name for it: libraries choose their instructions by that."""
    return str(processor().get("cpu_name", "cpu")) if device.type == "cpu" else torch.cuda.get_device_name(device)


@cache
def engine_digest(root: Path = Path(__file__).parent.parent) -> str:
    """Of the programs that make the numbers, engine, data sets and the lab's own, and of this one, which lays out what
    is kept.
    """
    named = {
        path.relative_to(root).as_posix(): path for part in ("lab", "worker") for path in (root / part).rglob("*.py")
    }
    decisive = ("lab/", "worker/engine/", "worker/datasets/", "worker/checkpoints.py")
    digest = hashlib.sha256()
    for name in sorted(name for name in named if name.startswith(decisive)):
        digest.update(name.encode() + b"\0" + named[name].read_bytes())
    return digest.hexdigest()


def _packed(training: StackTraining, part: Slice) -> bytes:
    told = {"start": part.runs.start, "stop": part.runs.stop, "done": [asdict(result) for result in part.done]}
    state = training.state() | {"slice": torch.frombuffer(bytearray(json.dumps(told).encode()), dtype=torch.uint8)}
    return save({name: tensor.contiguous() for name, tensor in state.items()})


def _unpacked(told: Tensor) -> Slice:
    part = json.loads(bytes(told.tolist()))
    return Slice(range(part["start"], part["stop"]), tuple(map(_result, part["done"])))


def _result(told: Mapping[str, Any]) -> RunResult:
    fields: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in told.items()}
    return RunResult(**fields)


def _differences(made_under: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    names = [name for name in sorted({*made_under, *here}) if made_under.get(name) != here.get(name)]
    return "; ".join(f"{name} was {made_under.get(name)!r} and is {here.get(name)!r}" for name in names)
