"""In a worker's main process: what is done when one of its training processes dies."""

from __future__ import annotations

import os
import re
import threading
from functools import partial
from typing import Any

import structlog
from billiard.exceptions import WorkerLostError
from celery.worker.request import Request

from store import leases
from store.database import Database
from store.queue import Hints
from store.settings import Settings
from worker.app import settings, worker_name

_log = structlog.get_logger()
_HOW = re.compile(r"exited prematurely: (?P<how>.+?)(?: Job: \d+)?\.")


class TrainRequest(Request):
    """A hint that a training process works on, as Celery's main process sees it."""

    def acknowledge(self) -> None:
        """The broker has forgotten the hint since it gave it out."""
        self.acknowledged = True

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Celery calls it as soon as the process is gone."""
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
        # billiard wraps what it raises itself, to carry the traceback.
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, WorkerLostError | SystemExit):
            worker = f"{worker_name(os.getpid())}{self.worker_pid}"
            # The main process has other children to look after, whatever the database does.
            threading.Thread(target=partial(release, settings, worker, _how(error)), daemon=True).start()


def release(settings: Settings, worker: str, how: str) -> None:
    """Loses the stack that the training process `worker` held when it ended, `how` so, and hints in its place: that
    stack waits again, or others do. Never raises: what is not done here is done by the sweeper, when the lease has run
    out.
    """
    database = Database.connect(settings.database_url)
    try:
        with database.writing() as session:
            state = leases.lose_held_by(session, worker=worker, how=how, settings=settings)
    except Exception as error:  # noqa: BLE001 - as said above
        _log.warning("stack_not_released", worker=worker, how=how, error=str(error))
        return
    finally:
        database.close()
    _log.warning("training_process_lost", worker=worker, how=how, stack_is=state)
    if state is not None:
        _hint(settings)


def _hint(settings: Settings) -> None:
    hints = Hints(settings)
    hints.send()
    hints.close()


def _how(error: BaseException) -> str:
    """`signal 9 (SIGKILL)`, or `exitcode 1`."""
    said = _HOW.search(str(error))
    return said["how"] if said else f"{type(error).__name__} {error}"
