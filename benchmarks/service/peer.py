"""MLflow's tracking server on the same Postgres: what is measured of it, beside ours.

It has an environment of its own, for it brings more than the rest of the lab together.
"""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from actlab.operate.child import Program
from benchmarks.service.load import Address, Answer, Operation, Operations, counted
from benchmarks.service.place import Place, new_database, until

_API = "/api/2.0/mlflow"
N_POINTS = 320
"""Of one metric of a run: as many as a run of ours has rows of measurements."""
# What a request of ours says, as parameters.
_PARAMS = {
    "dataset": "digits",
    "depth": "8",
    "width": "64",
    "normalization": "none",
    "initialization": "pytorch",
    "gain": "1.0",
    "optimizer": "sgd",
    "learning_rate": "0.1",
    "batch_size": "64",
    "steps": "1000",
    "activation": "relu",
    "replicate": "0",
}
_TAGS = {"asked": "depth", "owner": "local"}


@dataclass(frozen=True, slots=True)
class MLflow:
    """A server that answers, and the experiment that its runs belong to."""

    address: Address
    database_url: str
    experiment_id: str

    def creating(self) -> Operation:
        """A run, created and given its parameters."""
        run_id = yield from self._created()
        batch = {"run_id": run_id, "params": _pairs(_PARAMS)}
        (yield self.address.post(f"{_API}/runs/log-batch", batch)).expect(200)

    def getting(self, run_id: str) -> Operations:
        """One run, with its parameters, tags and last metrics."""
        request = self.address.get(f"{_API}/runs/get?run_id={run_id}")

        def operation() -> Operation:
            (yield request).expect(200)

        return operation

    def history_of(self, run_ids: list[str]) -> Operations:
        """The points of one metric, of one run after the other."""
        path = f"{_API}/metrics/get-history?metric_key=dead_fraction&run_id="
        requests = itertools.cycle([self.address.get(path + run_id) for run_id in run_ids])

        def operation() -> Operation:
            (yield next(requests)).expect(200)

        return operation

    def searching(self, page: int, conditions: str) -> Operations:
        """A page of runs that two conditions narrow, newest first; from the beginning again after the last."""
        token = ""

        def operation() -> Operation:
            nonlocal token
            asked = {"experiment_ids": [self.experiment_id], "filter": conditions, "max_results": page}
            asked |= {"order_by": ["attributes.start_time DESC"]} | ({"page_token": token} if token else {})
            answer = (yield self.address.post(f"{_API}/runs/search", asked)).expect(200)
            token = answer.json().get("next_page_token", "")

        return operation

    def finished(self, n_points: int) -> str:
        """A run with `n_points` of one metric; its id."""
        made: list[str] = []

        def operation() -> Operation:
            run_id = yield from self._created()
            made.append(run_id)
            points = [
                {"key": "dead_fraction", "value": 1 / (1 + step), "timestamp": _now_ms(), "step": step}
                for step in range(n_points)
            ]
            batch = {"run_id": run_id, "metrics": points, "params": _pairs(_PARAMS), "tags": _pairs(_TAGS)}
            (yield self.address.post(f"{_API}/runs/log-batch", batch)).expect(200)
            ended = {"run_id": run_id, "status": "FINISHED", "end_time": _now_ms()}
            (yield self.address.post(f"{_API}/runs/update", ended)).expect(200)

        counted(self.address, operation, n=1)
        return made[0]

    def copies(self, run_id: str, n: int) -> list[str]:
        """`n` more runs like that one, each a minute older than the last, made by the database; their ids."""
        engine = sa.create_engine(self.database_url, poolclass=sa.NullPool)
        tables = sa.MetaData()
        tables.reflect(engine, only=["runs", "params", "tags", "latest_metrics", "metrics"])
        number = sa.func.generate_series(1, n).column_valued("number", joins_implicitly=True)
        new_id = sa.func.md5(sa.func.concat(run_id, ":", number))
        with engine.begin() as connection:
            for table in tables.sorted_tables:
                if table.name == "experiments":
                    continue
                values: dict[str, sa.ColumnElement[Any]] = {"run_uuid": new_id}
                if table.name == "runs":
                    values["start_time"] = table.c.start_time - sa.cast(number, sa.BigInteger) * 60_000
                query = sa.select(*(values.get(column.name, column) for column in table.columns))
                query = query.where(table.c.run_uuid == run_id)
                connection.execute(sa.insert(table).from_select(table.columns.keys(), query, include_defaults=False))
            return list(connection.scalars(sa.select(new_id)))

    def fill(self, n: int) -> None:
        """`n` runs more, each with one point of a metric."""
        self.copies(self.finished(1), n)
        self.settle()

    def settle(self) -> None:
        """What autovacuum would have done by itself after a while."""
        engine = sa.create_engine(self.database_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE)")

    def _created(self) -> Generator[bytes, Answer, str]:
        asked = {"experiment_id": self.experiment_id, "start_time": _now_ms(), "run_name": "bench"}
        answer = (yield self.address.post(f"{_API}/runs/create", asked)).expect(200)
        return str(answer.json()["run"]["info"]["run_id"])


@contextmanager
def mlflow(where: Place, program: Path) -> Iterator[MLflow]:
    """With its own defaults: four processes that answer. Without its telemetry, and the jobs of its other parts."""
    url = new_database(where.postgres, "mlflow")
    at = Address("127.0.0.1", _free_port())
    command = [str(program), "server", "--host", at.host, "--port", str(at.port)]
    command += ["--backend-store-uri", url.replace("+psycopg:", "+psycopg2:")]
    command += ["--artifacts-destination", str(where.folder / "artifacts")]
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    environ = {name: value for name, value in where.environ.items() if name != "PYTHONPATH"}
    elsewhere = replace(where, environ={**environ, **quiet})
    with elsewhere.running(Program("mlflow", tuple(command), grace_s=10.0)):
        until(lambda: _answers(at), what="MLflow's tracking server", within_s=120, nap_s=0.5)
        made = at.ask(at.post(f"{_API}/experiments/create", {"name": "bench"})).expect(200)
        yield MLflow(at, url, str(made.json()["experiment_id"]))


def _free_port() -> int:
    """MLflow takes no socket that listens already."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(at: Address) -> bool:
    try:
        return at.ask(at.get("/health")).status == 200
    except OSError:
        return False


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _now_ms() -> int:
    return int(time.time() * 1e3)
