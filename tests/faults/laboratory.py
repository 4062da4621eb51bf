"""A whole lab of real processes: database, broker, API, sweeper and workers, which a test disturbs and then audits."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from actlab.operate import processes
from store.database import Database
from store.models import RUNNING, TERMINAL, Experiment, Stack
from store.settings import PREFIX, Settings
from tests.faults.keeper import Keeper
from tests.faults.ledger import Entry, Ledger
from tests.faults.numbers import Eight, count
from tests.faults.report import report
from tests.faults.undisturbed import Undisturbed
from tests.servers import Server, start_valkey
from tests.waiting import until

ROOT = Path(__file__).parent.parent.parent
SITE = Path(__file__).parent / "site"
# Recovery that takes a minute in production takes seconds here.
SHORT: dict[str, Any] = {
    "lease_s": 6.0,
    "heartbeat_s": 1.0,
    "sweep_s": 1.0,
    "hint_old_s": 1.0,
    "checkpoint_s": 0.25,
    "processes": 1,
    "threads": 1,
}


@dataclass(frozen=True)
class Training:
    """A stack in training. `main` and `child` are the processes of the worker that has claimed it."""

    stack_id: int
    attempt: int
    step: int
    losses: int
    main: int
    child: int


class Laboratory:
    """Programs and servers are real and live until `close`; `begin` opens a new ledger."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        broker: Server,
        undisturbed: Undisturbed,
        *,
        start_broker: Callable[[Path], Server] = start_valkey,
        postgres: Server | None = None,
        audit_url: str | None = None,
    ) -> None:
        """The test itself looks at the record through `audit_url`, where its programs come to it another way."""
        self.settings = settings
        self.broker = broker
        self.start_broker = start_broker
        self.postgres = postgres
        self.database = Database.connect(audit_url or settings.database_url)
        self._undisturbed = undisturbed
        self._steps = folder / "steps"
        self._steps.mkdir()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._ledgers: list[Ledger] = []
        self.keeper = Keeper(folder, self._environ())
        self.begin()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def begin(self, *, workers: int = 2, sweepers: int = 1) -> None:
        """Makes it a healthy lab of so many programs, and opens a new ledger."""
        self.ledger = Ledger(self.url)
        self._ledgers.append(self.ledger)
        self._before = self._executed()
        self.keep("api", 1)
        self.keep("sweeper", sweepers)
        self.keep("worker", workers)
        until(self._is_served)

    def keep(self, kind: str, n: int, environ: Mapping[str, str] | None = None) -> None:
        """So many programs of one kind."""
        program = {
            "api": processes.api(self._listener.fileno()),
            "sweeper": processes.SWEEPER,
            "worker": processes.WORKER,
        }[kind]
        for extra in self.keeper.names(f"{kind}-")[n:]:
            self.keeper.drop(extra)
        for number in range(len(self.keeper.names(f"{kind}-")), n):
            self.keeper.keep(f"{kind}-{number}", program, environ)

    @contextmanager
    def paused(self, kind: str) -> Iterator[None]:
        """Programs of one kind stand still, with all that they started."""
        groups = [pid for name in self.keeper.names(f"{kind}-") if (pid := self.keeper.pid(name)) is not None]
        for group in groups:
            os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            for group in groups:
                os.killpg(group, signal.SIGCONT)

    def submit(self, body: dict[str, Any], n: int = 1) -> list[Entry]:
        return [self.ledger.submit(body) for _ in range(n)]

    def training(self, but: set[int] = frozenset()) -> list[Training]:  # type: ignore[assignment]  # is not changed
        """The stacks in training, steps being done, but those of the processes named."""
        with self.database.reading() as session:
            columns = (Stack.id, Stack.attempt, Stack.step, Stack.losses, Stack.lease_owner)
            rows = session.execute(sa.select(*columns).where(Stack.state == RUNNING)).all()
        found = [Training(*row[:4], *map(int, str(row.lease_owner).split("/")[-2:])) for row in rows]
        return [each for each in found if not {each.main, each.child} & but and self._is_under_way(each)]

    def a_training(self, but: set[int] = frozenset(), *, within_s: float = 60.0) -> Training:  # type: ignore[assignment]  # is not changed
        """One that is under way, and would be given another chance if it were lost."""
        return until(lambda: self.a_training_now(but), within_s=within_s)

    def a_training_now(self, but: set[int]) -> Training | None:
        """As `a_training`, where there is one just now."""
        found = [each for each in self.training(but) if each.losses < self.settings.max_losses - 1]
        return random.choice(found) if found else None

    @contextmanager
    def administrator(self) -> Iterator[sa.Connection]:
        """A connection of the test's own, each statement a transaction."""
        engine = sa.create_engine(self.database.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            yield connection

    def open(self) -> int:
        """How many of the accepted experiments have not ended."""
        with self.database.reading() as session:
            ids = list(self.ledger.accepted())
            of_ids = sa.select(sa.func.count()).where(Experiment.id.in_(ids), Experiment.state.not_in(TERMINAL))
            return session.scalar(of_ids) or 0

    def audit(
        self, fault: str, n: int, *, most_repeated: float | None = None, within_s: float = 90.0, **seen: Any
    ) -> None:
        """Waits until all that was accepted has ended; then each of the eight numbers is 0. Work may be repeated so
        often; `seen` is what else belongs in the report.
        """
        deadline = time.monotonic() + within_s
        while self.open() and time.monotonic() < deadline:
            time.sleep(0.1)
        # What is wrong may also come late: a write after the end.
        time.sleep(2 * self.settings.heartbeat_s)
        asked = {entry.key for ledger in self._ledgers for entry in ledger.entries}
        eight = count(self.database, self.ledger.accepted(), asked, self._undisturbed)
        executed, needed = self._executed() - self._before, self._needed()
        if not any(entry.cancelled for entry in self.ledger.entries):
            seen |= {"executed_steps": executed, "needed_steps": needed}
        report(fault, self.database.engine.dialect.name, n, eight, **seen)
        assert eight == Eight()
        assert most_repeated is None or executed <= most_repeated * needed

    def logged(self, event: str, **what: int | str) -> bool:
        """Whether a worker has ever said so."""
        lines = (line for name in self.keeper.names("worker-") for line in self.keeper.log(name).splitlines())
        said = (json.loads(line) for line in lines if line.startswith("{") and event in line)
        return any(each["event"] == event and what.items() <= each.items() for each in said)

    def said(self, n_lines: int = 30) -> str:
        """What each program said last."""
        last = ((name, self.keeper.log(name).splitlines()[-n_lines:]) for name in self.keeper.names(""))
        return "\n".join(f"{name}: {line}" for name, lines in last for line in lines)

    def close(self) -> None:
        self.keeper.close()
        self.database.close()
        self._listener.close()

    def _is_served(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def _is_under_way(self, training: Training) -> bool:
        # A process imports what it needs while it already holds its first stack.
        return (self._steps / str(training.child)).exists() and alive(training.child)

    def _needed(self) -> int:
        with self.database.reading() as session:
            of_ledger = Stack.experiment_id.in_(list(self.ledger.accepted()))
            return session.scalar(sa.select(sa.func.sum(Stack.steps)).where(of_ledger)) or 0

    def _executed(self) -> int:
        """Steps by all processes so far. What a killed process had begun counts."""
        return sum(int(line) for path in self._steps.iterdir() for line in path.read_text().split())

    def _environ(self) -> dict[str, str]:
        given = {
            PREFIX + f.name.upper(): str(getattr(self.settings, f.name))
            for f in fields(Settings)
            if f.name in {*SHORT, "database_url", "broker_url"}
        }
        return given | {
            "FAULTS_STEPS": str(self._steps),
            "PYTHONPATH": f"{SITE}{os.pathsep}{ROOT}",
            "PYTHONUNBUFFERED": "1",
        }


def alive(pid: int) -> bool:
    """Whether the process runs: one that has ended but is not reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
