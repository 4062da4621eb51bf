"""The folder a lab lives in: its database, its broker's file, its logs, and the lock that keeps it to one lab."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from actlab.operate.errors import CannotStart

EARLIER_LOGS = 3
LOCK = "lab.lock"


@dataclass(frozen=True, slots=True)
class Place:
    """A data folder that this process holds."""

    folder: Path
    _lock: int

    @property
    def database(self) -> Path:
        return self.folder / "actlab.sqlite"

    @property
    def broker(self) -> Path:
        return self.folder / "valkey"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def announce(self, url: str) -> None:
        """Writes into the lock who holds the folder, for the next one who wants it."""
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, json.dumps({"process": os.getpid(), "url": url}).encode(), 0)

    def clear(self) -> None:
        """Removes what a lab keeps here, and nothing else."""
        shutil.rmtree(self.broker, ignore_errors=True)
        shutil.rmtree(self.logs, ignore_errors=True)
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.database.with_name(self.database.name + suffix).unlink(missing_ok=True)

    def prepare(self) -> None:
        """Makes the folders, and puts the logs of earlier times aside."""
        self.broker.mkdir(exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        for log in self.logs.glob("*.log"):
            for n in range(EARLIER_LOGS, 0, -1):
                older = log.with_suffix(f".log.{n - 1}") if n > 1 else log
                if older.exists():
                    older.replace(log.with_suffix(f".log.{n}"))


@contextmanager
def held(folder: Path) -> Iterator[Place]:
    """Takes the folder, and makes it first. Raises CannotStart where it cannot be used, or another lab has it.

    Where no lab could be started in a folder that was made for it, the folder is removed again.
    """
    folder = folder.absolute()
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CannotStart(
            f"The data folder {folder} cannot be used: {error.strerror}. Choose another with --data."
        ) from error
    try:
        _take(lock, folder)
        try:
            yield Place(folder, lock)
        except CannotStart:
            if made:
                _remove_unused(folder)
            raise
    finally:
        os.close(lock)


def _remove_unused(folder: Path) -> None:
    if [path.name for path in folder.iterdir()] == [LOCK]:
        (folder / LOCK).unlink()
        folder.rmdir()


def _take(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(
            f"A lab already runs in {folder}{_holder(lock)}. "
            "Use that one, stop it, or choose another folder with --data."
        ) from None


def _holder(lock: int) -> str:
    try:
        said = json.loads(os.pread(lock, 1000, 0))
        return f" (process {said['process']}, {said['url']})"
    except (ValueError, KeyError):
        return ""
