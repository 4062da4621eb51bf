"""The worker's Celery application. `python -m worker` starts it; its spawned children import this module again."""

from __future__ import annotations

import os
import socket
from typing import Any

import structlog
from celery.signals import worker_shutting_down

from store import leases
from store.database import Database
from store.logs import configure
from store.queue import celery_app
from store.settings import Settings

settings = Settings.from_environ(os.environ)
configure()
app = celery_app(settings, role="worker")
app.conf.imports = ("worker.tasks",)


def worker_name(main_pid: int) -> str:
    """What the leases of one worker's training processes begin with."""
    return f"{socket.gethostname()}/{main_pid}/"


@worker_shutting_down.connect
def _ask_children_to_yield(**_: Any) -> None:
    """On SIGTERM or SIGINT: the row asks the training processes to give their stacks back; their heartbeat reads it."""
    database = Database.connect(settings.database_url)
    try:
        with database.writing() as session:
            leases.ask_to_yield(session, worker=worker_name(os.getpid()))
    except Exception as error:  # noqa: BLE001 - a shutdown goes on whatever the database says
        structlog.get_logger().warning("yield_not_asked", error=str(error))
    finally:
        database.close()
