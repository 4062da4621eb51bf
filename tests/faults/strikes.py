"""The faults themselves, each struck once at a lab of real processes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import redis
import sqlalchemy as sa

from store.models import Stack
from tests.faults.laboratory import Laboratory, Training
from tests.faults.requests import LONG, a_request
from tests.servers import start_postgres
from tests.waiting import Found, until


def a_victim(lab: Laboratory, struck: set[int], *, within_s: float = 60.0) -> Training:
    """A stack in training, at some moment after it began, by processes that were not struck before."""

    def find() -> Training | None:
        training = lab.a_training_now(struck)
        if training is None:
            return None
        time.sleep(random.uniform(0, 0.5))
        return next((each for each in lab.training() if each.child == training.child), None)

    return at_work_until(lab, find, within_s=within_s)


def at_work_until(lab: Laboratory, true: Callable[[], Found | None], *, within_s: float = 60.0) -> Found:
    """As `until`, but whenever every experiment has ended, one more is submitted. So it can wait for a training, which
    may begin and end between two looks.
    """

    def found() -> Found | None:
        if not lab.open():
            lab.submit(a_request(steps=LONG))
        return true()

    return until(found, within_s=within_s)


def kill_child(lab: Laboratory, struck: set[int], victim: Training | None = None) -> Training:
    training = victim or a_victim(lab, struck)
    os.kill(training.child, signal.SIGKILL)
    # Its worker lives on, with another one.
    struck.add(training.child)
    return training


def kill_main(lab: Laboratory, struck: set[int], victim: Training | None = None) -> Training:
    """Left alone, the training process goes on for as long as it has a stack."""
    return _strike(lab, struck, victim, lambda training: os.kill(training.main, signal.SIGKILL))


def kill_worker(lab: Laboratory, struck: set[int], victim: Training | None = None) -> Training:
    return _strike(lab, struck, victim, lambda training: os.killpg(training.main, signal.SIGKILL))


def tell_to_end(lab: Laboratory, struck: set[int], victim: Training | None = None) -> Training:
    return _strike(lab, struck, victim, lambda training: os.kill(training.main, signal.SIGTERM))


def tell_to_end_then_kill(lab: Laboratory, struck: set[int]) -> Training:
    training = tell_to_end(lab, struck)
    time.sleep(random.uniform(0, 1.5))
    # It may have ended in time.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(training.main, signal.SIGKILL)
    return training


def kill_api(lab: Laboratory) -> None:
    """The whole of it; whoever is being answered hears nothing."""
    api = lab.keeper.pid("api-0")
    if api is not None:
        os.killpg(api, signal.SIGKILL)


def cancel_one(lab: Laboratory) -> None:
    """Asks while an API answers."""
    with contextlib.suppress(httpx.TransportError):
        lab.ledger.cancel(random.choice(lab.ledger.entries))


def restart_broker(lab: Laboratory) -> None:
    kill_broker(lab)
    time.sleep(random.uniform(0, 2))
    start_broker(lab)


def kill_broker(lab: Laboratory) -> None:
    lab.broker.process.kill()
    lab.broker.process.wait()


def start_broker(lab: Laboratory) -> None:
    lab.broker.process = lab.start_broker(lab.broker.directory).process


def flush_broker(lab: Laboratory) -> None:
    with _broker(lab) as client:
        client.flushall()


def cut_broker_connections(lab: Laboratory) -> None:
    with _broker(lab) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES")


def hints_waiting(lab: Laboratory) -> int:
    with _broker(lab) as client:
        return int(client.llen(f"{lab.settings.key_prefix}stacks"))


def workers_that_wait(lab: Laboratory) -> int:
    """For a hint: nobody else holds a connection to the broker in that way."""
    with _broker(lab) as client:
        return int(client.info("clients")["blocked_clients"])


def restart_postgres(lab: Laboratory) -> None:
    with postgres_away(lab):
        time.sleep(random.uniform(0, 3))


@contextlib.contextmanager
def postgres_away(lab: Laboratory) -> Iterator[None]:
    """It goes at once, as in a crash, and comes back by its log."""
    assert lab.postgres is not None
    lab.postgres.process.send_signal(random.choice((signal.SIGINT, signal.SIGQUIT)))
    lab.postgres.process.wait()
    try:
        yield
    finally:
        lab.postgres.process = start_postgres(lab.postgres.directory, durable=True).process


def terminate_backend(lab: Laboratory) -> None:
    """One connection to Postgres, whosever it is."""
    backends = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with lab.administrator() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM ({backends} ORDER BY random() LIMIT 1) one")


@contextlib.contextmanager
def frozen_children(lab: Laboratory) -> Iterator[None]:
    """What workers have started stands still; the workers themselves go on."""
    mains = [pid for name in lab.keeper.names("worker-") if (pid := lab.keeper.pid(name)) is not None]
    children = [int(pid) for main in mains for pid in Path(f"/proc/{main}/task/{main}/children").read_text().split()]
    for child in children:
        os.kill(child, signal.SIGSTOP)
    try:
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGCONT)


def frozen(lab: Laboratory, struck: set[int]) -> Training:
    """A worker that stands still amid training, and holds no lock that all others wait for."""
    while True:
        training = a_victim(lab, struck)
        os.killpg(training.main, signal.SIGSTOP)
        if writable(lab):
            struck |= {training.main, training.child}
            return training
        os.killpg(training.main, signal.SIGCONT)
        time.sleep(random.uniform(0, 0.2))


def writable(lab: Laboratory) -> bool:
    """Whether SQLite lets somebody write. On Postgres only rows are locked."""
    if lab.database.engine.dialect.name == "postgresql":
        return True
    engine = sa.create_engine(lab.settings.database_url, connect_args={"timeout": 1}, poolclass=sa.NullPool)
    with engine.connect() as connection:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except sa.exc.OperationalError:
            return False
        connection.rollback()
    return True


def recovery_s(lab: Laboratory, lost: Training, *, within_s: float = 60.0) -> float:
    """Seconds until the lost stack is in training again."""
    started = time.monotonic()

    def claimed_again() -> bool:
        with lab.database.reading() as session:
            return session.scalar(sa.select(Stack.attempt).where(Stack.id == lost.stack_id)) != lost.attempt

    until(claimed_again, within_s=within_s)
    return time.monotonic() - started


def _strike(lab: Laboratory, struck: set[int], victim: Training | None, strike: Callable[[Training], None]) -> Training:
    training = victim or a_victim(lab, struck)
    strike(training)
    struck |= {training.main, training.child}
    return training


def _broker(lab: Laboratory) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(lab.broker.directory / "s"))
