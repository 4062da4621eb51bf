"""The programs as they run everywhere, with short leases, and a client that asks them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from service import create_app
from service.parts import parts
from store.settings import Settings

SHORT = {"lease_s": 3.0, "heartbeat_s": 0.5, "sweep_s": 0.5, "hint_old_s": 1.0, "processes": 1, "threads": 1}

QUESTION = {
    "activations": ["relu", "tanh"],
    "network": {"depth": 3, "width": 16},
    "training": {"steps": 40},
    "replicates": 2,
    "recording": {"points": 6},
}
# A stack of a few seconds: long enough to be killed in the middle.
LONGER = QUESTION | {"training": {"steps": 6000}, "recording": {"points": 6, "spacing": "even"}}


@contextmanager
def client_of(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    try:
        yield app.test_client()
    finally:
        with app.app_context():
            parts().database.close()


@contextmanager
def running(settings: Settings, *modules: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The programs `python -m worker`, `python -m store.sweeper`; every setting that is not the default is given."""
    changed = [f.name for f in fields(settings) if getattr(settings, f.name) != getattr(Settings(), f.name)]
    given = {f"ACTLAB_{name.upper()}": str(getattr(settings, name)) for name in changed}
    with ExitStack() as stack:
        programs = [
            stack.enter_context(subprocess.Popen([sys.executable, "-m", module], env={**os.environ, **given}))
            for module in modules
        ]
        try:
            yield programs
        finally:
            for program in programs:
                program.terminate()
            for program in programs:
                program.wait(timeout=60)


def ended(client: FlaskClient, experiment_id: str) -> dict[str, Any] | None:
    experiment: dict[str, Any] = client.get(f"/v1/experiments/{experiment_id}").get_json()
    return experiment if experiment["finished_at"] else None


def submitted(client: FlaskClient, question: dict[str, Any]) -> str:
    answer = client.post("/v1/experiments", json=question)
    assert answer.status_code == 202, answer.get_json()
    return str(answer.get_json()["id"])


def numbers(settings: Settings, experiment_id: str) -> list[sa.Row[Any]]:
    """With plain SQL, as a dashboard would: no code of the project."""
    engine = sa.create_engine(settings.database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return list(
            connection.execute(
                sa.text(
                    "SELECT activation, replicate, step, layer, dead_fraction, delta_norm, weight_norm"
                    " FROM measurements_named WHERE experiment_id = :id ORDER BY activation, replicate, step, layer"
                ),
                {"id": experiment_id},
            )
        )


def training_process(worker: int) -> int:
    """The one child of the worker that holds torch; the other is the resource tracker of spawned processes."""
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    return next(int(child) for child in children if b"libtorch" in Path(f"/proc/{child}/maps").read_bytes())
