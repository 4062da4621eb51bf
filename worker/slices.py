"""The runs of a stack that train at once: all of them, or halves of halves where memory is short. To rounding, a
network's numbers do not depend on who trains beside it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

import structlog
import torch

from lab.errors import LabError, shown
from lab.records import RunResult

_log = structlog.get_logger()
# What the allocator of a CPU says, in an error that has no class of its own.
_NO_ROOM_ON_CPU = "can't allocate memory"

Train = Callable[[range], tuple[RunResult, ...]]


class OutOfMemory(LabError):
    """A single network is more than this worker can hold."""


def in_slices(n_runs: int, train: Train) -> list[RunResult]:
    """What `train` gives for all runs, in order, called on as many at once as fit. Raises OutOfMemory."""
    waiting, results = [range(n_runs)], list[RunResult]()
    while waiting:
        runs = waiting.pop(0)
        done = _unless_out_of_memory(train, runs)
        if done is not None:
            results += done
            continue
        middle = (runs.start + runs.stop) // 2
        waiting = [range(runs.start, middle), range(middle, runs.stop), *waiting]
    return results


def _unless_out_of_memory(train: Train, runs: range) -> tuple[RunResult, ...] | None:
    try:
        return train(runs)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        if len(runs) == 1:
            raise OutOfMemory(f"A single network does not fit here: {shown(str(error), 300)}") from error
        _log.warning("stack_is_sliced", n_runs=len(runs), error=shown(str(error), 200))
    # Until here the error has held on to all that was in memory.
    gc.collect()
    torch.cuda.empty_cache()
    return None


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or _NO_ROOM_ON_CPU in str(error)
