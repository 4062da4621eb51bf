"""A lab on this machine, from nothing to ready and back: the order in which its programs start and stop."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from actlab.operate import address, processes
from actlab.operate.errors import CannotStart, ProgramFailed
from actlab.operate.place import Place
from actlab.operate.stopping import NAP_S, StopWish
from actlab.operate.supervisor import Supervisor

if TYPE_CHECKING:
    from store.settings import Settings

# Importing the API's libraries takes seconds, and much longer on a busy machine.
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class RunningLab:
    """A lab that is up. Call `tend` at least every second or so: it restarts what has died."""

    url: str
    supervisor: Supervisor
    asks_for_tokens: bool

    def tend(self) -> None:
        self.supervisor.tend()


@contextmanager
def running_lab(place: Place, *, host: str, port: int, workers: int | None, wish: StopWish) -> Iterator[RunningLab]:
    """A lab in `place`, ready to answer. Leaving stops its programs, the worker first: it gives back what it trains.

    Raises CannotStart before any program runs, ProgramFailed for one that does not stay up, Stopped at a signal.
    """
    with address.listening(host, port, guarded=_is_guarded()) as listener, _private_folder() as private:
        url = address.url_of(listener)
        place.announce(url)
        broker = private / "valkey.sock"
        environ = processes.environment(
            os.environ,
            database=place.database,
            socket=broker,
            bind=listener.fileno(),
            host=host,
            workers=workers,
        )
        settings = _settings(environ)
        place.prepare()
        with Supervisor(
            folder=place.folder, logs=place.logs, private=private, environ=environ, wish=wish
        ) as supervisor:
            supervisor.start(processes.valkey(processes.valkey_binary(), socket=broker, folder=place.broker))
            _wait(supervisor, wish, lambda: _broker_answers(broker), "valkey", place)
            supervisor.run(processes.MIGRATE)
            supervisor.start(processes.SWEEPER)
            supervisor.start(processes.api(listener.fileno()))
            supervisor.start(processes.WORKER)
            _wait(supervisor, wish, lambda: _ready(url), "api", place)
            supervisor.steady = True
            yield RunningLab(url, supervisor, asks_for_tokens=settings.asks_for_tokens)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that only this person can enter, with a name short enough for a unix socket: 108 bytes is the limit."""
    usual = tempfile.gettempdir()
    short = usual if len(usual) < 60 else "/tmp"  # noqa: S108 - the folder made in it is private
    with tempfile.TemporaryDirectory(prefix="actlab-", dir=short, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _is_guarded() -> bool:
    # Where it listens is said here, whatever the environment says of it.
    return _settings({**processes.LOCAL, **os.environ, "ACTLAB_BIND": "127.0.0.1:0"}).guarded


def _settings(environ: Mapping[str, str]) -> Settings:
    from lab.errors import LabError as ServerError
    from store.settings import Settings

    try:
        return Settings.from_environ(environ)
    except ServerError as error:
        raise CannotStart(f"A setting in the environment cannot be used. {error}") from error


def _wait(supervisor: Supervisor, wish: StopWish, ready: Callable[[], bool], program: str, place: Place) -> None:
    until = time.monotonic() + PATIENCE_S
    while not ready():
        supervisor.tend()
        wish.wait(NAP_S)
        if time.monotonic() > until:
            raise ProgramFailed(
                f"The program {program} is not ready after {PATIENCE_S:g} s.", place.logs / f"{program}.log"
            )


def _broker_answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.settimeout(1.0)
        connection.connect(str(path))
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False


def _ready(url: str) -> bool:
    # The socket listens before the API does: without a short timeout the first question would wait for its start.
    # To this machine's own name it answers whatever others call it.
    try:
        answer = httpx.get(f"{url}/readyz", headers={"Host": "localhost"}, timeout=1.0, trust_env=False)
        return answer.status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
