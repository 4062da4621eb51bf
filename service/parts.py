"""What the app was made of: its settings, its database, its ways to wake workers, to see what is new and to count what
it does. One value, kept with the app.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app

from lab.limits import Limits
from service.counts import Counts
from service.rendered import Rendered
from service.watch import Watch
from store.database import Database
from store.queue import Hints
from store.settings import Settings
from store.versions import Versions

_KEY = "actlab"


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    database: Database
    hints: Hints
    versions: Versions
    rendered: Rendered
    watch: Watch
    counts: Counts


def keep(app: Flask, parts: Parts) -> None:
    app.extensions[_KEY] = parts


def parts() -> Parts:
    """The parts of the app that serves this request."""
    kept: Parts = current_app.extensions[_KEY]
    return kept


def limits() -> Limits:
    return parts().settings.limits
