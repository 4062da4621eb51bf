"""Reading what was recorded, out of a table of ten million rows."""

from __future__ import annotations

import itertools
import random
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection

from benchmarks.service.figure import Bound, Figure, p99
from benchmarks.service.filling import Stored, comparing, copied, stored
from benchmarks.service.load import Address, Operation, Operations, counted
from benchmarks.service.peer import N_POINTS, MLflow
from benchmarks.service.place import resident_bytes
from store import submissions
from store.database import Database

N_RUNS = 200
COMPARED = comparing("relu", "tanh", "gelu", "sigmoid", "elu", depths=(8,), replicates=N_RUNS // 5, name="Compared")
_METRICS = (
    "metric=dead_fraction",
    "metric=delta_norm&layer=1",
    "metric=activation_mean&at=auc",
    "metric=test_accuracy",
    "metric=gradient_ratio",
)
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Filled:
    """Experiments of 200 runs that are copies of the first, and one of many rows; how many rows there are in all."""

    first: Stored
    compared: list[str]
    long: Stored
    n_rows: int


def filled(database: Database, *, n_rows: int, n_long: int) -> Filled:
    """`n_rows` of measurements, `n_long` of them in one experiment."""
    runs = n_long // (40 * 50)
    long = stored(database, comparing("relu", "tanh", depths=(50,), replicates=runs // 2, name="Long"))
    first = stored(database, COMPARED)
    n = (n_rows - long.n_rows) // first.n_rows
    copied(database, first.id, n, rows=True)
    with database.reading() as session:
        found = submissions.list_experiments(session, submissions.ExperimentFilters(name=COMPARED.name), limit=n + 1)
        return Filled(first, [experiment.id for experiment in found[0]], long, long.n_rows + (n + 1) * first.n_rows)


def figures(address: Address, filled: Filled, mlflow: MLflow | None) -> list[Figure]:
    """Of experiments and runs drawn anew each time."""
    draw = random.Random(0)  # noqa: S311 - which run is asked for is no secret
    one_run = counted(address, _one_run(address, filled, draw), n=1000)
    compared = counted(address, _comparison(address, filled, draw), n=300)
    theirs = None
    if mlflow is not None:
        run_ids = mlflow.copies(mlflow.finished(N_POINTS), 1_000_000 // N_POINTS)
        draw.shuffle(run_ids)
        theirs = counted(mlflow.address, mlflow.history_of(run_ids), n=300)
    size = f"{filled.n_rows:,} rows in the table"
    what = f"measurements of one run: 320 rows of 20 statistics; {size}"
    return [
        p99(f"{what} (MLflow: {N_POINTS} points of one metric, a million in the table)", one_run, 20, beside=theirs),
        p99(f"comparison of a {N_RUNS}-run experiment, {size}, five metrics in turn", compared, 150),
    ]


def csv(address: Address, workers: list[int], filled: Filled) -> list[Figure]:
    """The whole download, and how far the processes that serve it grow."""
    # What any download takes is there after the first one.
    _download(address, _csv_of(filled.first))
    before = resident_bytes(*workers)
    highest, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            highest.append(resident_bytes(*workers))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        began = time.perf_counter()
        n_rows = _download(address, _csv_of(filled.long)) - 1
        took_s = time.perf_counter() - began
    finally:
        done.set()
        watching.join()
    grown = (max(highest) - before) / _MIB
    n = f"{n_rows:,} rows in {took_s:.1f} s"
    return [
        Figure("CSV of an experiment's measurements", n_rows / took_s, Bound(100_000, " rows/s", at_least=True), n),
        Figure("the same, what the API's process grows by (constant: 16 MiB or less)", grown, Bound(16, " MiB"), n),
    ]


def _one_run(address: Address, filled: Filled, draw: random.Random) -> Operations:
    def operation() -> Operation:
        path = f"/v1/experiments/{draw.choice(filled.compared)}/measurements"
        query = f"arm={draw.randrange(5)}&replicate={draw.randrange(N_RUNS // 5)}"
        (yield address.get(f"{path}?{query}")).expect(200)

    return operation


def _comparison(address: Address, filled: Filled, draw: random.Random) -> Operations:
    metrics = itertools.cycle(_METRICS)

    def operation() -> Operation:
        (yield address.get(f"/v1/experiments/{draw.choice(filled.compared)}/comparison?{next(metrics)}")).expect(200)

    return operation


def _csv_of(experiment: Stored) -> str:
    return f"/v1/experiments/{experiment.id}/measurements?format=csv"


def _download(address: Address, path: str) -> int:
    """The lines of an answer that does not fit into memory twice."""
    connection = HTTPConnection(address.host, address.port, timeout=300)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        n_lines = 0
        while piece := answer.read(2**20):
            n_lines += piece.count(b"\n")
        return n_lines
    finally:
        connection.close()
