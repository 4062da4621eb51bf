"""Peers in turn, round after round: a ratio is taken within a round, so that a slow minute of the machine hits both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import job
from benchmarks.job import Job, Share, Task
from lab.spec import ExperimentSpec

# Of this machine's cores: a process each, or one process with all of them.
TWO_PROCESSES, TWO_THREADS, ONE = Share(2, 1), Share(1, 2), Share(1, 1)
# On narrower layers oneDNN, called for a network at a time, takes several times as long as a batched product.
_WIDE = 256


@dataclass(frozen=True, slots=True)
class Entry:
    """A peer as it takes part. `shares` are tried in the first round, and the quickest is kept."""

    name: str
    peer: str
    recording: bool
    shares: tuple[Share, ...] = (TWO_PROCESSES, TWO_THREADS)
    least_width: int = 0
    """Of the networks, for the peer to have a chance at all."""


# A worker runs the engine in a process a core.
ENTRIES: tuple[Entry, ...] = (
    Entry("engine", "engine", True, (TWO_PROCESSES,)),
    Entry("engine, not recording", "engine", False, (TWO_PROCESSES,)),
    Entry("nn.Module", "alone", True),
    Entry("nn.Module, not recording", "alone", False),
    Entry("JAX", "vmapped", True),
    Entry("products, bmm", "products", True),
    Entry("products, bmm, training's", "products", False),
    Entry("products, oneDNN", "linear", True, least_width=_WIDE),
    Entry("products, oneDNN, training's", "linear", False, least_width=_WIDE),
)

ON_A_GPU: tuple[Entry, ...] = tuple(
    Entry(entry.name, entry.peer, entry.recording, (ONE,)) for entry in ENTRIES if entry.peer in ("engine", "alone")
)


class Rounds:
    """The jobs that were done for one workload: for each entry, one a round."""

    def __init__(self, spec: ExperimentSpec, entries: Sequence[Entry], device: str) -> None:
        self._spec, self._device = spec, device
        self._entries = [entry for entry in entries if spec.network.width >= entry.least_width]
        self.share: dict[str, Share] = {}
        self.jobs: dict[str, list[Job]] = {entry.name: [] for entry in self._entries}

    def __contains__(self, name: str) -> bool:
        return name in self.jobs

    def play(self, told: Callable[[str, Share, Job], None]) -> None:
        """One round; `told` hears of every job as it ends."""
        for entry in self._entries:
            shares = [self.share[entry.name]] if entry.name in self.share else entry.shares
            tried: dict[Share, Job] = {}
            for share in shares:
                tried[share] = job.run(Task(entry.peer, self._spec, entry.recording, self._device), share)
                told(entry.name, share, tried[share])
            best = min(tried, key=lambda share: tried[share].whole_s)
            self.share[entry.name] = best
            self.jobs[entry.name].append(tried[best])

    def each(self, name: str, seconds: Callable[[Job], float]) -> list[float]:
        """A round's number each."""
        return [seconds(done) for done in self.jobs[name]]
