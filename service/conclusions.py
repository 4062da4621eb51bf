"""Answers that follow from all that an experiment has recorded: once it has ended they are made once, and kept while
others ask for them again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from flask import Flask, Response, current_app, request

from store.models import TERMINAL, Experiment

MOST_BYTES = 16 * 2**20
"""What one process keeps."""

_KEY = "actlab.conclusions"

Key = tuple[Hashable, ...]


class Conclusions:
    """Answers by what they are about; those that were asked for last, at most `most_bytes` of them. Threads may share
    it.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._n_bytes = most_bytes, 0
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: Key, answer: bytes) -> None:
        with self._lock:
            self._n_bytes += len(answer) - len(self._kept.pop(key, b""))
            self._kept[key] = answer
            while self._n_bytes > self._most_bytes:
                self._n_bytes -= len(self._kept.popitem(last=False)[1])


def register(app: Flask) -> None:
    app.extensions[_KEY] = Conclusions(MOST_BYTES)


def concluded(experiment: Experiment, *what: Hashable, make: Callable[[], Any]) -> Response:
    """What `make` gives, as JSON with its ETag; 304 to whoever has it. `what` says what of the experiment it is.

    An experiment that has ended changes with its version alone: then `make` is not called again.
    """
    kept: Conclusions = current_app.extensions[_KEY]
    key = (experiment.id, experiment.version, *what)
    answer = kept.get(key)
    if answer is None:
        answer = current_app.json.dumps(make()).encode()
        if experiment.state in TERMINAL:
            kept.keep(key, answer)
    response = Response(answer, mimetype="application/json")
    response.add_etag()
    response.make_conditional(request)
    return response
