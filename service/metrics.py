"""How the service does, for Prometheus: what waits and runs, and what its processes counted, all together."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

from flask import Flask, Response, current_app, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from lab.errors import Unavailable
from service.blueprint import Blueprint
from service.counts import Counts
from store import gauges
from store.database import Database
from store.queue import Hints

blueprint = Blueprint("metrics", __name__, description="For Prometheus.")

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where processes leave their counts for one another."""

_PREFIX = "actlab-counts-"

# Whoever scrapes often, or from several sides, costs the database no more.
_FRESH_S = 3.0
_KEY = "actlab_metrics"


class Lab(Collector):
    """The same numbers from whichever process answers. Without the database they are left out, and it is said so."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database, self._hints = database, hints
        self._looking = Lock()
        self._found: list[Metric] = []
        self._found_s = -_FRESH_S

    def collect(self) -> Iterator[Metric]:
        with self._looking:
            if time.monotonic() - self._found_s >= _FRESH_S:
                self._found = [*self._of_database(), *self._of_broker()]
                self._found_s = time.monotonic()
            yield from self._found

    def _of_database(self) -> Iterator[Metric]:
        try:
            with self._database.reading() as session:
                found = gauges.read(session)
        except (SQLAlchemyError, Unavailable):
            yield GaugeMetricFamily("actlab_database_up", "Whether the database answers.", value=0)
            return
        yield GaugeMetricFamily("actlab_database_up", "Whether the database answers.", value=1)
        stacks = GaugeMetricFamily("actlab_stacks", "Stacks that have not ended.", labels=["state"])
        stacks.add_metric(["queued"], found.queued)
        stacks.add_metric(["running"], found.running)
        yield stacks
        waited = "How long the oldest queued stack has waited."
        yield GaugeMetricFamily("actlab_oldest_queued_seconds", waited, value=found.oldest_queued_s)
        yield GaugeMetricFamily("actlab_workers", "Training processes that hold a lease.", value=found.workers)

    def _of_broker(self) -> Iterator[Metric]:
        waiting = self._hints.waiting()
        yield GaugeMetricFamily("actlab_broker_up", "Whether the broker answers.", value=waiting is not None)
        if waiting is not None:
            yield GaugeMetricFamily("actlab_hints_waiting", "Hints in the broker's queue.", value=waiting)


def register(app: Flask, counts: Counts, database: Database, hints: Hints) -> None:
    """Counts every request of the app from now on."""
    registry = counts.registry
    lab = Lab(database, hints)
    if FOLDER in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library leaves it untyped
    registry.register(lab)
    app.extensions[_KEY] = registry

    def begin() -> None:
        g.began_s = time.perf_counter()

    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule is not None else "none"
        method = request.method if request.url_rule is not None else "any"
        took_s = time.perf_counter() - g.began_s
        counts.seconds.labels(method, route, response.status_code).observe(took_s)
        return response

    app.before_request(begin)
    app.after_request(count)


@blueprint.route("/metrics")
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
def metrics() -> Response:
    """What waits and runs, and the requests answered, in Prometheus's text format."""
    registry: CollectorRegistry = current_app.extensions[_KEY]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def folder() -> str:
    """A new one for processes that count together. It is locked for as long as one of them lives, and those whose
    processes are all gone, killed before they could clean up, are removed.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _remove_left(left)
    while True:
        made = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Whoever starts at the same moment may have taken it for one that was left.
        with suppress(FileNotFoundError):
            held = _opened(made)
            # Stays open, in processes that are forked too. Where files cannot be locked, nothing is ever removed.
            with suppress(OSError):
                fcntl.flock(held, fcntl.LOCK_EX)
            if made.stat().st_ino == os.fstat(held).st_ino:
                return str(made)


def _remove_left(folder: Path) -> None:
    try:
        held = _opened(folder)
    except OSError:
        # Another user's, a link, or gone by now.
        return
    try:
        if os.fstat(held).st_uid == os.geteuid():
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        # Its processes live, or that cannot be told.
        return
    finally:
        os.close(held)


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
