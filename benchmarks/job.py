"""A whole job: fresh processes that take a peer's stacks from one queue until none is left, and what each part took.

All processes read one clock, the machine's monotonic one.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from lab.plan import Stack
from lab.spec import ExperimentSpec
from worker import allocation

_SPAWN = multiprocessing.get_context("spawn")

Recorded = dict[str, NDArray[np.float64]]
"""Name of a measurement to (points, M, L), name of a curve to (points, M). Empty where nothing is recorded."""


@dataclass(frozen=True, slots=True)
class Share:
    """How a job uses the machine."""

    processes: int
    threads: int

    def __str__(self) -> str:
        return f"{self.processes}x{self.threads}"


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done: which peer (a module of `benchmarks.peers`), on what, and whether it records."""

    peer: str
    spec: ExperimentSpec
    recording: bool = True
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Trained:
    """A stack that a peer is done with, and the seconds of it that went into compiling."""

    recorded: Recorded
    compile_s: float = 0.0


class Peer(Protocol):
    """What a module of `benchmarks.peers` has."""

    def pieces(self, spec: ExperimentSpec) -> Sequence[Stack]:
        """The job cut as suits the peer, runs in the plan's order. Once: what is loaded here counts as start-up."""

    def train(self, stack: Stack, *, recording: bool, device: str) -> Trained:
        """Train a piece; where `recording` asks for it, record it at its recorded steps."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What one process did: when it was ready to train and when it was done, by the clock."""

    ready: float
    done: float
    compile_s: float
    peak_bytes: int
    recorded: dict[int, Recorded]


@dataclass(frozen=True, slots=True)
class Job:
    """A task that is done. `started` and `ended` are by the same clock as the shifts."""

    started: float
    ended: float
    shifts: tuple[Shift, ...]

    @property
    def whole_s(self) -> float:
        """From nothing to the last number: processes, imports, data, compiling, training."""
        return self.ended - self.started

    @property
    def startup_s(self) -> float:
        """Until the first process could begin."""
        return min(shift.ready for shift in self.shifts) - self.started

    @property
    def compile_s(self) -> float:
        return max(shift.compile_s for shift in self.shifts)

    @property
    def work_s(self) -> float:
        """The longest that a process trained and recorded, without its start-up and without compiling."""
        return max(shift.done - shift.ready - shift.compile_s for shift in self.shifts)

    @property
    def busy_s(self) -> float:
        """The same as a mean over the processes: what the work would take if they all ended at once."""
        return sum(shift.done - shift.ready - shift.compile_s for shift in self.shifts) / len(self.shifts)

    @property
    def idle_share(self) -> float:
        """How long the process that was done first waited for the last, as a share of the time since they began."""
        done = [shift.done for shift in self.shifts]
        return (max(done) - min(done)) / (max(done) - min(shift.ready for shift in self.shifts))

    @property
    def peak_bytes(self) -> int:
        """The most memory that a process held, libraries and all."""
        return max(shift.peak_bytes for shift in self.shifts)

    @property
    def recorded(self) -> Recorded:
        """All networks, in the order of the plan."""
        by_position = {position: part for shift in self.shifts for position, part in shift.recorded.items()}
        parts = [by_position[position] for position in sorted(by_position)]
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


def run(task: Task, share: Share) -> Job:
    """Raises RuntimeError where a process ends without an answer; its own message is on stderr."""
    started = time.perf_counter()
    # For every peer what a worker gives its training processes.
    os.environ.update(allocation.KEEP)
    claims = _SPAWN.Value("i", 0)
    ends = [_start(task, share, claims) for _ in range(share.processes)]
    try:
        shifts = tuple(cast(Shift, end.recv()) for end in ends)
    except EOFError as died:
        raise RuntimeError(f"A process of the peer {task.peer!r} ended before its work was done.") from died
    return Job(started, time.perf_counter(), shifts)


def share_out(threads: int) -> dict[str, str]:
    """The environment that keeps a process to so many threads, whichever library it computes with."""
    xla = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC", "PJRT_NPROC")
    return {name: str(threads) for name in names} | {"XLA_FLAGS": xla, "JAX_PLATFORMS": "cpu"}


def _start(task: Task, share: Share, claims: Any) -> Connection:
    ours, theirs = _SPAWN.Pipe(duplex=False)
    _SPAWN.Process(target=_work, args=(task, share.threads, claims, theirs), daemon=True).start()
    # Only the process holds this end now: should it die, reading from the other raises.
    theirs.close()
    return ours


def _work(task: Task, threads: int, claims: Any, answer: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Before any of them is loaded: the libraries read it once.
    os.environ.update(share_out(threads))
    peer = cast(Peer, import_module(f"benchmarks.peers.{task.peer}"))
    pieces = peer.pieces(task.spec)
    ready, compile_s = time.perf_counter(), 0.0
    recorded: dict[int, Recorded] = {}
    while (position := _claim(claims)) < len(pieces):
        trained = peer.train(pieces[position], recording=task.recording, device=task.device)
        recorded[position] = trained.recorded
        compile_s += trained.compile_s
    done = time.perf_counter()
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answer.send(Shift(ready, done, compile_s, peak_bytes, recorded))


def _end_with_parent() -> None:
    """However the measuring ends, be it by SIGKILL, what it started computes no longer."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _claim(claims: Any) -> int:
    with claims.get_lock():
        position: int = claims.value
        claims.value += 1
    return position
