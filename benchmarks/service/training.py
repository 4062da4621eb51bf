"""Two hundred dashboards that poll while two workers train on the same two cores. In turn with it, the same dashboards
poll a server that does nothing: what they take by themselves.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from threading import Event, Thread
from typing import Any

import numpy as np

from actlab.operate import address as addresses
from actlab.operate import processes
from actlab.operate.child import Program
from benchmarks.service.cpu import Clock
from benchmarks.service.figure import MS, Bound, Figure, p99
from benchmarks.service.load import Address, Measured, Operation, Operations, paced
from benchmarks.service.place import Place, until

POLLERS = 200
ROUNDS = 4
REQUEST = {
    "activations": ["relu", "tanh", "sigmoid", "gelu"],
    "network": {"depth": 4, "width": 64},
    "training": {"steps": 600},
    "replicates": 20,
    "recording": {"points": 20},
}
_NOBODY = Measured(np.array([]), 0.0)


@dataclass(frozen=True, slots=True)
class Trained:
    """An experiment that took `seconds` from its first stack's start to its last one's end; `wall_s` with all around
    it, and what each process took in that time. `polls` are those that there were beside it.
    """

    seconds: float
    wall_s: float
    cpu_s: Mapping[str, float]
    polls: Measured


def figures(place: Place, address: Address, gunicorn: int) -> Iterator[Figure]:
    """The same experiment without pollers, with pollers of nothing, and with pollers of the lab, in turn."""
    clock = Clock({"the API": gunicorn, "Postgres": place.postgres.process.pid, "the clients": os.getpid()})
    alone, beside, polled = [], [], []
    with ExitStack() as stack:
        stack.enter_context(place.running(processes.SWEEPER))
        stack.enter_context(place.running(processes.WORKER))
        nothing = stack.enter_context(_nothing(place))
        # The first one pays for what is loaded once.
        _trained(address, clock, polled=None)
        for _ in range(ROUNDS):
            alone.append(_trained(address, clock, polled=None))
            beside.append(_trained(address, clock, polled=nothing))
            polled.append(_trained(address, clock, polled=address))
    polls = sum((each.polls for each in polled), _NOBODY)
    yield p99(f"{POLLERS} pollers at 1/s while 2 workers train", polls, 150)
    yield _slower("the same, how much slower training is", polled, alone, Bound(10, " %"))
    yield _slower("the same where they poll a server that does nothing", beside, alone, None)
    for name in clock.roots:
        taken_s = _share(name, polled) - _share(name, alone)
        cost_s = taken_s * sum(each.wall_s for each in polled) / polls.n
        yield Figure(f"CPU of {name} for such a poll", cost_s * 1e3, None, f"{polls.n:,} polls", MS)


def _slower(what: str, these: Sequence[Trained], those: Sequence[Trained], bound: Bound | None) -> Figure:
    n = " beside ".join(", ".join(f"{each.seconds:.1f}" for each in trained) for trained in (these, those))
    slower = median(each.seconds for each in these) / median(each.seconds for each in those) - 1
    return Figure(what, slower * 100, bound, f"{n} s", " %")


def _share(name: str, trained: Sequence[Trained]) -> float:
    """Seconds of CPU a second."""
    return sum(each.cpu_s[name] for each in trained) / sum(each.wall_s for each in trained)


def _trained(address: Address, clock: Clock, *, polled: Address | None) -> Trained:
    before, began = clock.read(), time.perf_counter()
    experiment_id = str(address.ask(address.post("/v1/experiments", REQUEST)).expect(202).json()["id"])
    polls = _NOBODY
    if polled is None:
        _wait(address, experiment_id)
    else:
        polls = _polled(address, experiment_id, polled)
    wall_s = time.perf_counter() - began
    cpu_s = {name: after - before[name] for name, after in clock.read().items()}
    return Trained(_seconds(address, experiment_id), wall_s, cpu_s, polls)


@contextmanager
def _nothing(place: Place) -> Iterator[Address]:
    """Where a server does nothing."""
    with addresses.listening("127.0.0.1", 0) as listener:
        command = (sys.executable, "-m", "benchmarks.service.bare", str(listener.fileno()))
        with place.running(Program("bare", command, sockets=(listener.fileno(),))):
            yield Address.of(addresses.url_of(listener))


def _wait(address: Address, experiment_id: str) -> None:
    """Looks rarely, for that costs the workers time."""
    until(lambda: bool(_shown(address, experiment_id)["finished_at"]), what="Training", within_s=180, nap_s=1.0)


def _polled(address: Address, experiment_id: str, polled: Address) -> Measured:
    """All polls until the experiment has ended."""
    ended = Event()

    def watch() -> None:
        try:
            _wait(address, experiment_id)
        finally:
            ended.set()

    watching = Thread(target=watch)
    watching.start()
    pollers = [_poller(polled, experiment_id) for _ in range(POLLERS)]
    try:
        return paced(polled, pollers, every_s=1.0, until=ended)
    finally:
        watching.join()


def _poller(address: Address, experiment_id: str) -> Operations:
    """Asks for what is newer than the last whole answer."""
    tag = ""

    def operation() -> Operation:
        nonlocal tag
        headers = {"If_None_Match": tag} if tag else {}
        answer = yield address.get(f"/v1/experiments/{experiment_id}", **headers)
        if answer.status != 304:
            tag = answer.expect(200).etag.decode()

    return operation


def _seconds(address: Address, experiment_id: str) -> float:
    """From its first stack's start to its last one's end."""
    shown = _shown(address, experiment_id)
    started, finished = (datetime.fromisoformat(shown[name]) for name in ("started_at", "finished_at"))
    return (finished - started).total_seconds()


def _shown(address: Address, experiment_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = address.ask(address.get(f"/v1/experiments/{experiment_id}")).expect(200).json()
    return shown
