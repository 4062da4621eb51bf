"""The API's process: how soon it answers, and what it holds."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.service.figure import Bound, Figure
from benchmarks.service.place import Place, resident_bytes, workers_of

_TIMES = 3
_MIB = 2**20
_ASKED = ("/v1/activations", "/v1/datasets", "/v1/limits", "/v1/experiments", "/openapi.json", "/docs")


def figures(place: Place) -> list[Figure]:
    """From the command to the first answer; memory after one answer of each kind."""
    seconds, held, master = [], [], []
    for _ in range(_TIMES):
        began = time.perf_counter()
        with place.api() as (address, child):
            seconds.append(time.perf_counter() - began)
            for path in _ASKED:
                address.ask(address.get(path)).expect(200)
            held.append(max(resident_bytes(pid) for pid in workers_of(child.pid)) / _MIB)
            master.append(resident_bytes(child.pid) / _MIB)
    n = f"median of {_TIMES}"
    return [
        Figure("API: from its command to its first answer", median(seconds), Bound(2.0, " s"), n),
        Figure("API: memory of a process that answers", median(held), Bound(150, " MiB"), n),
        Figure("API: memory of gunicorn's own process, which only starts the others", median(master), None, n, " MiB"),
    ]
