"""The API's worker with less patience than a test has."""

from __future__ import annotations

from service.repeats import Worker


class Hasty(Worker):
    ARRIVAL_S = 0.5
