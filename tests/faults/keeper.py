"""Keeps the programs of a lab running while a test kills them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from actlab.operate.child import Child, Program

_NAP_S = 0.05


class Keeper:
    """Starts again what dies, at once. What a killed program leaves behind lives on until the end, as it would."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = {**os.environ, **environ}
        self._wanted: dict[str, tuple[Program, dict[str, str]]] = {}
        self._running: dict[str, Child] = {}
        # Not reaped before the end: until then nobody else gets the ids of these processes and their groups.
        self._dead: list[Child] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        # One thread starts everything: a program dies with the thread that started it.
        self._thread = threading.Thread(target=self._tend, name="keeper", daemon=True)
        self._thread.start()

    def keep(self, name: str, program: Program, environ: Mapping[str, str] | None = None) -> None:
        """Returns when it has been started."""
        with self._lock:
            self._wanted[name] = (program, dict(environ or {}))
        while self.pid(name) is None:
            time.sleep(_NAP_S)

    def drop(self, name: str, *, by: signal.Signals = signal.SIGTERM, grace_s: float = 30.0) -> None:
        """Ends the program for good, by force after `grace_s`."""
        with self._lock:
            del self._wanted[name]
            child = self._running.get(name)
        if child is None:
            return
        os.kill(child.pid, by)
        until = time.monotonic() + grace_s
        while not child.ended() and time.monotonic() < until:
            time.sleep(_NAP_S)
        child.end_group()

    def names(self, prefix: str) -> list[str]:
        with self._lock:
            return sorted(name for name in self._wanted if name.startswith(prefix))

    def pid(self, name: str) -> int | None:
        """Of the program's main process; None between its death and its next start."""
        with self._lock:
            child = self._running.get(name)
            return None if child is None or child.ended() else child.pid

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for child in (*self._dead, *self._running.values()):
            child.end_group()
            child.reap()

    def _tend(self) -> None:
        while not self._stop.wait(_NAP_S):
            with self._lock:
                for name, child in list(self._running.items()):
                    if child.ended():
                        self._dead.append(self._running.pop(name))
                for name in self._wanted.keys() - self._running.keys():
                    program, environ = self._wanted[name]
                    log = self._folder / f"{name}.log"
                    self._running[name] = Child(program, folder=self._folder, environ=self._environ | environ, log=log)
