"""The worker's Celery application. `python -m worker` starts it; its spawned children import this module again."""

from __future__ import annotations

import os
import socket
import threading
from secrets import token_hex
from typing import Any

import structlog
from celery.signals import worker_shutting_down
from sqlalchemy.exc import SQLAlchemyError

from lab.errors import Unavailable
from store import leases
from store.database import Database
from store.logs import configure
from store.queue import celery_app
from store.settings import Settings

settings = Settings.from_environ(os.environ)
configure()
app = celery_app(settings, role="worker")
app.conf.imports = ("worker.tasks",)

# Drawn by a worker's main process, inherited by its training processes. It tells workers apart that have one host name
# and one process number, as two containers may.
WORKER_ID = "ACTLAB_WORKER_ID"
os.environ.setdefault(WORKER_ID, token_hex(4))


def worker_name(main_pid: int) -> str:
    """What the leases of one worker's training processes begin with, and nobody else's."""
    return f"{socket.gethostname()}-{os.environ[WORKER_ID]}/{main_pid}/"


@worker_shutting_down.connect
def _ask_children_to_yield(**_: Any) -> None:
    """On SIGTERM or SIGINT."""
    asking = (settings, worker_name(os.getpid()), threading.Event())
    threading.Thread(target=ask_to_yield, args=asking, daemon=True).start()


def ask_to_yield(settings: Settings, worker: str, stop: threading.Event) -> None:
    """The row asks the worker's training processes to give their stacks back; their heartbeat reads it. It goes on
    asking until `stop`: a process may be claiming a stack just now, and the database may be away. In a worker nobody
    sets `stop`: it asks for as long as the main process lives.
    """
    database = Database.connect(settings.database_url)
    while not stop.is_set():
        try:
            with database.writing() as session:
                leases.ask_to_yield(session, worker=worker)
        except (SQLAlchemyError, Unavailable) as error:
            structlog.get_logger().warning("yield_not_asked", error=str(error))
        stop.wait(settings.heartbeat_s)
    database.close()
