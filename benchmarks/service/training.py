"""Two hundred dashboards that poll while two workers train on the same two cores."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from statistics import mean
from threading import Event, Thread
from typing import Any

from actlab.operate import processes
from benchmarks.service.figure import Bound, Figure, p99
from benchmarks.service.load import Address, Measured, Operation, Operations, paced
from benchmarks.service.place import Place, until

POLLERS = 200
REQUEST = {
    "activations": ["relu", "tanh", "sigmoid", "gelu"],
    "network": {"depth": 4, "width": 64},
    "training": {"steps": 1200},
    "replicates": 20,
    "recording": {"points": 20},
}


def figures(place: Place, address: Address) -> list[Figure]:
    """The same experiment without pollers and with them, in turn, twice."""
    alone, polled, polls = [], [], []
    with ExitStack() as stack:
        stack.enter_context(place.running(processes.SWEEPER))
        stack.enter_context(place.running(processes.WORKER))
        # The first one pays for what is loaded once.
        _wait(address, _submitted(address))
        for _ in range(2):
            _wait(address, unpolled := _submitted(address))
            alone.append(_seconds(address, unpolled))
            polls.append(_polled(address, watched := _submitted(address)))
            polled.append(_seconds(address, watched))
    slower = (mean(polled) / mean(alone) - 1) * 100
    n = f"{', '.join(f'{s:.1f}' for s in polled)} s beside {', '.join(f'{s:.1f}' for s in alone)} s"
    return [
        p99(f"{POLLERS} pollers at 1/s while 2 workers train", polls[0] + polls[1], 150),
        Figure("the same, how much slower training is", slower, Bound(10, " %"), n),
    ]


def _submitted(address: Address) -> str:
    return str(address.ask(address.post("/v1/experiments", REQUEST)).expect(202).json()["id"])


def _wait(address: Address, experiment_id: str) -> None:
    """Looks rarely, for that costs the workers time."""
    until(lambda: bool(_shown(address, experiment_id)["finished_at"]), what="Training", within_s=180, nap_s=1.0)


def _polled(address: Address, experiment_id: str) -> Measured:
    """All polls until the experiment has ended."""
    ended = Event()

    def watch() -> None:
        try:
            _wait(address, experiment_id)
        finally:
            ended.set()

    watching = Thread(target=watch)
    watching.start()
    pollers = [_poller(address, experiment_id) for _ in range(POLLERS)]
    try:
        return paced(address, pollers, every_s=1.0, until=ended)
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
