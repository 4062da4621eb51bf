"""The runs of a stack that train at once: all of them, or halves of halves where memory is short. To rounding, a
network's numbers do not depend on who trains beside it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass

import structlog
import torch

from lab.errors import LabError, shown
from lab.records import RunResult

_log = structlog.get_logger()
# What the allocator of a CPU says, in an error that has no class of its own.
_NO_ROOM_ON_CPU = "can't allocate memory"


@dataclass(frozen=True, slots=True)
class Slice:
    """Runs of a stack that train at once, and how each run before them has ended."""

    runs: range
    done: tuple[RunResult, ...] = ()


Train = Callable[[Slice], tuple[RunResult, ...]]


class OutOfMemory(LabError):
    """A single network is more than this worker can hold."""


def in_slices(n_runs: int, train: Train, *, first: Slice) -> tuple[RunResult, ...]:
    """How all runs end, in order: what `train` gives for `first`, and for the rest after it, called on as many at once
    as fit. Raises OutOfMemory.
    """
    waiting, done = [first.runs, range(first.runs.stop, n_runs)], first.done
    while waiting:
        runs = waiting.pop(0)
        ended = _unless_out_of_memory(train, Slice(runs, done)) if runs else ()
        if ended is not None:
            done += ended
            continue
        middle = (runs.start + runs.stop) // 2
        waiting = [range(runs.start, middle), range(middle, runs.stop), *waiting]
    return done


def _unless_out_of_memory(train: Train, part: Slice) -> tuple[RunResult, ...] | None:
    try:
        return train(part)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        if len(part.runs) == 1:
            raise OutOfMemory(f"A single network does not fit here: {shown(str(error), 300)}") from error
        _log.warning("stack_is_sliced", n_runs=len(part.runs), error=shown(str(error), 200))
    # Until here the error has held on to all that was in memory.
    gc.collect()
    torch.cuda.empty_cache()
    return None


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or _NO_ROOM_ON_CPU in str(error)
