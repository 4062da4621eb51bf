"""The service's figures, and MLflow's beside them.

    make bench-service
    python -m benchmarks.service --group polling --group listing --mlflow .venv-mlflow/bin/mlflow

Everything runs on this machine over loopback, and shares its cores: servers, clients, workers. docs/service.md says
what was measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.service import listing, polling, rows, starting, storing, submitting, training
from benchmarks.service.figure import HEAD, Figure, table
from benchmarks.service.filling import comparing, settled, stored
from benchmarks.service.peer import MLflow, mlflow
from benchmarks.service.place import Place, place, workers_of
from benchmarks.table import as_table

GROUPS = ("starting", "submitting", "training", "polling", "storing", "rows", "listing")
_IN_FULL_TABLES = {"storing", "rows"}
N_ROWS, N_LONG, N_EXPERIMENTS = 10_000_000, 1_000_000, 100_000
_QUICK = 10
"""What `--quick` divides the tables' sizes by."""
SMALL = comparing("relu", "tanh", "sigmoid", depths=(2, 4), replicates=10, points=4)


def main() -> None:
    """Prints every figure as it is there, and a table at the end."""
    asked = _asked()
    # Whoever ends this ends the servers too, by the way out of each context.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended before all was measured."))
    groups = asked.group or list(GROUPS)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    began, figures = time.monotonic(), []
    with ExitStack() as stack:
        where = stack.enter_context(place())
        beside = stack.enter_context(mlflow(where, asked.mlflow)) if asked.mlflow else None
        for each in _measured(where, groups, beside, _QUICK if asked.quick else 1):
            print(" | ".join(each.cells()), flush=True)
            figures.append(each)
    print(f"\nIn {time.monotonic() - began:.0f} s:\n")
    print("\n".join(as_table(HEAD, table(figures))))


def _measured(where: Place, groups: Sequence[str], beside: MLflow | None, part: int) -> Iterator[Figure]:
    """The small tables first: what follows is measured in full ones."""
    if "starting" in groups:
        yield from starting.figures(where)
    with where.api() as (address, gunicorn):
        if "submitting" in groups:
            yield from submitting.figures(address, beside)
            where.empty()
        if "training" in groups:
            yield from training.figures(where, address, gunicorn.pid)
        if "polling" in groups:
            yield from polling.figures(address, stored(where.database, SMALL).id, beside)
        if not _IN_FULL_TABLES.isdisjoint(groups):
            filled = rows.filled(where.database, n_rows=N_ROWS // part, n_long=N_LONG // part)
            yield from storing.on_postgres(where.database, filled.first, filled.long)
            yield from storing.on_sqlite(where.folder)
        if "rows" in groups:
            settled(where.database)
            yield from rows.figures(address, filled, beside)
            yield from rows.csv(address, workers_of(gunicorn.pid), filled)
        if "listing" in groups:
            listing.filled(where.database, N_EXPERIMENTS // part)
            settled(where.database)
            if beside:
                beside.fill(N_EXPERIMENTS // part)
            yield from listing.figures(address, N_EXPERIMENTS // part, beside)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description="The service's figures.")
    parser.add_argument("--group", action="append", choices=GROUPS, help="may be repeated; all unless told")
    parser.add_argument("--quick", action="store_true", help="tables of a tenth of their sizes")
    parser.add_argument("--mlflow", type=Path, help="MLflow's program; without it nothing is measured beside ours")
    return parser.parse_args()


if __name__ == "__main__":
    main()
