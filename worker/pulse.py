"""The pulse of a worker: its main process's loop beats it, whatever the training processes are busy with."""

from __future__ import annotations

import threading
from typing import Any

from celery.bootsteps import StartStopStep

from store import pulse
from store.database import Database
from store.queue import Hints
from worker.app import settings


class Pulse(StartStopStep):
    """Starts with every connection to the broker. Celery's loop runs, and its timers with it, only while it has one."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._database = Database.connect(settings.database_url)
        self._hints = Hints(settings)
        self._beating = threading.Thread()

    def start(self, parent: Any) -> None:
        self._tick()
        parent.timer.call_repeatedly(settings.heartbeat_s, self._tick)

    def _tick(self) -> None:
        # The loop has training processes to look after, whatever the database does.
        if not self._beating.is_alive():
            well = (settings.pulse, self._database, self._hints)
            self._beating = threading.Thread(target=pulse.beat, args=well, daemon=True)
            self._beating.start()
