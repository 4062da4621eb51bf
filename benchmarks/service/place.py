"""Where it is measured: Postgres as it comes, Valkey, and the lab's programs by the commands of `actlab up`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from actlab.operate import address, processes
from actlab.operate.child import Child, Program
from benchmarks.service.load import Address
from store.database import Database
from store.migrate import upgrade
from tests.servers import Server, start_postgres, start_valkey

PATIENCE_S = 60.0
AS_IT_COMES: Mapping[str, str] = {}
_NAP_S = 0.01


@dataclass(frozen=True, slots=True)
class Place:
    """The servers, and a lab's database on them."""

    postgres: Server
    folder: Path
    database: Database
    environ: dict[str, str]

    def empty(self) -> None:
        """No experiment is left."""
        with self.database.engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE experiments CASCADE")

    @contextmanager
    def running(self, program: Program) -> Iterator[Child]:
        """The program, told to end at the exit, with all that it started."""
        child = Child(program, folder=self.folder, environ=self.environ, log=self.folder / f"{program.name}.log")
        try:
            yield child
        finally:
            _stop(child, program.grace_s)

    @contextmanager
    def api(self) -> Iterator[tuple[Address, Child]]:
        """One that answers."""
        with address.listening("127.0.0.1", 0) as listener:
            at = Address.of(address.url_of(listener))
            with self.running(processes.api(listener.fileno())) as child:
                # The socket listens before the API does, so the first question waits for its start.
                at.ask(at.get("/readyz")).expect(200)
                yield at, child


@contextmanager
def place(postgres_settings: Mapping[str, str] = AS_IT_COMES) -> Iterator[Place]:
    """Stops everything at the exit, and leaves nothing behind."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        postgres = start_postgres(durable=True, settings=postgres_settings)
        stack.callback(postgres.stop)
        valkey = start_valkey()
        stack.callback(valkey.stop)
        url = new_database(postgres, "lab")
        upgrade(url)
        database = Database.connect(url)
        stack.callback(database.close)
        environ = {
            **os.environ,
            **processes.LOCAL,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "ACTLAB_DATABASE_URL": url,
            "ACTLAB_BROKER_URL": valkey.url,
            "OMP_NUM_THREADS": "1",
        }
        yield Place(postgres, folder, database, environ)


def new_database(postgres: Server, name: str) -> str:
    """The URL of an empty one."""
    engine = sa.create_engine(postgres.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return sa.make_url(postgres.url).set(database=name).render_as_string()


def until(true: Callable[[], bool], *, what: str, within_s: float = PATIENCE_S, nap_s: float = _NAP_S) -> None:
    """Raises TimeoutError where it does not come true."""
    end = time.monotonic() + within_s
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {within_s:g} s.")
        time.sleep(nap_s)


def resident_bytes(*pids: int) -> int:
    """What processes hold in memory, shared pages included."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") for pid in pids)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers_of(gunicorn: int) -> list[int]:
    """The processes that answer requests."""
    until(lambda: bool(children(gunicorn)), what="gunicorn's workers")
    return children(gunicorn)


def _stop(child: Child, grace_s: float) -> None:
    child.ask_to_end()
    end = time.monotonic() + grace_s
    while not child.ended() and time.monotonic() < end:
        time.sleep(_NAP_S)
    child.end_group()
    child.reap()


if sys.platform != "linux":
    sys.exit("The service is measured on Linux: memory is read from /proc, and clients wait by epoll.")
