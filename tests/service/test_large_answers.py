"""A table of any length goes through an API process that stays as small as it was."""

from __future__ import annotations

import tracemalloc

import pytest
import sqlalchemy as sa
from flask import Flask

from lab.catalog.measurements import MEASUREMENTS
from store.database import Database
from store.models import Curve, Measurement, Run
from tests.builders import a_spec
from tests.service.recorded import submitted

N_RUNS, N_STEPS, N_LAYERS = 20, 100, 10
MIB = 2**20


def filled(database: Database, *, copies: int) -> str:
    """An experiment of `copies` times 20,000 rows of measurements, made by the database."""
    spec = a_spec("relu", replicates=N_RUNS * copies, depth=N_LAYERS)
    experiment_id = submitted(database, spec)
    steps, layers = (sa.select(sa.literal(0).label("n")).cte(name, recursive=True) for name in ("steps", "layers"))
    steps = steps.union_all(sa.select(steps.c.n + 1).where(steps.c.n < N_STEPS - 1))
    layers = layers.union_all(sa.select(layers.c.n + 1).where(layers.c.n < N_LAYERS - 1))
    everywhere = sa.join(sa.join(Run, steps, sa.true()), layers, sa.true())
    # Sixteen digits each, as measured numbers have.
    numbers = [(1.0 + Run.id * 7919 + steps.c.n * 104729 + layers.c.n) / (3.0 + i) for i in range(len(MEASUREMENTS))]
    rows = sa.select(Run.id, steps.c.n, layers.c.n + 1, *numbers).select_from(everywhere)
    with database.writing() as session:
        session.execute(sa.insert(Measurement).from_select(["run_id", "step", "layer", *MEASUREMENTS], rows))
        points = sa.select(Run.id, steps.c.n, sa.literal(1.0)).select_from(sa.join(Run, steps, sa.true()))
        session.execute(sa.insert(Curve).from_select(["run_id", "step", "test_loss"], points))
    return experiment_id


def read(app: Flask, path: str) -> int:
    """How many lines it has."""
    n_lines = 0
    with app.test_client().get(path, buffered=False) as answer:
        for piece in answer.response:
            assert isinstance(piece, bytes)
            n_lines += piece.count(b"\n")
    return n_lines


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_download_takes_no_more_memory_the_longer_it_is(form: str, app: Flask, database: Database) -> None:
    experiment_id = filled(database, copies=5)
    path = f"/v1/experiments/{experiment_id}/measurements?format={form}"
    read(app, f"{path}&replicate=0")

    part, _ = peak(app, f"{path}&step_max={N_STEPS // 5 - 1}")
    whole, n_lines = peak(app, path)

    assert n_lines == 5 * N_RUNS * N_STEPS * N_LAYERS + (form == "csv")
    assert whole < 1.25 * part < 40 * MIB


def peak(app: Flask, path: str) -> tuple[int, int]:
    """Bytes that were taken at once at most, and lines."""
    tracemalloc.start()
    n_lines = read(app, path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most, n_lines
