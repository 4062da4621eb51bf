"""Polls: the question how far an experiment is, asked again and again, mostly by those who know the answer already.
Its plainest form is answered in front of the app, as the app would answer it; whatever differs goes on to the app. One
that was answered so can be answered again by what is in memory, for a moment.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from flask import Flask

from service import guards
from service.auth import keep_nowhere, remembered
from service.experiments import answered, shown, shown_already
from service.parts import Parts, parts
from store.tokens import READ, hashed
from store.versions import is_older

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ROUTE = "/v1/experiments/<uuid:experiment_id>"
# An id as the lab itself writes it, and the tag of one answer.
_PATH = re.compile(r"/v1/experiments/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_TAG = re.compile(r'(?:W/)?"([0-9]{1,18}-[0-9]{1,18})"')
_BEARER = "Bearer "
# A request that has any of them is no plain one.
_BODY = ("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")
ANSWERED = "actlab.answered"
"""Names the poll, in the environ of a request that was answered as one."""
_MOST_BYTES = 16 * 2**10
"""Of a text that is told again. Whoever tells it cannot wait for a reader: the smallest buffer that the kernel gave a
connection took 20 KiB at once.
"""


@dataclass(frozen=True, slots=True)
class Poll:
    """`tag` is that of the answer that is known already, `token` the hash of the token with which it is asked."""

    experiment_id: str
    tag: str | None = None
    token: str | None = None


class Written(NamedTuple):
    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Polls:
    """In front of `behind`, which is the rest of an app that has its parts."""

    def __init__(self, app: Flask, behind: WSGIApplication) -> None:
        self._app, self._behind = app, behind
        with app.app_context():
            self._parts: Parts = parts()
        self._asks = self._parts.settings.asks_for_tokens
        self._hosts = guards.hosts(self._parts.settings)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began_s = time.perf_counter()
        poll = read(environ)
        if poll is None or not self._may_ask(environ, poll):
            return self._behind(environ, start_response)
        try:
            written = self._answer(poll)
        except Exception:  # noqa: BLE001 - the app meets the same, and says so
            return self._behind(environ, start_response)
        self._count(written, began_s)
        environ[ANSWERED] = poll
        start_response(written.status, list(written.headers))
        return [written.body]

    def again(self, poll: Poll) -> Written | None:
        """The answer to one that has been answered here before, without a look at the database: as it was lately, but
        never older than the answer that its tag is of. None where that takes a look, or the answer is long.
        """
        began_s = time.perf_counter()
        version = self._parts.versions.lately(poll.experiment_id)
        if version is None or poll.tag is None or not self._has_token(poll):
            return None
        text = None
        if poll.tag != version:
            text = shown_already(self._parts.rendered, poll.experiment_id, version)
            if text is None or len(text) > _MOST_BYTES or is_older(version, poll.tag):
                return None
        written = _written(version, text, sealed=self._asks)
        self._count(written, began_s)
        return written

    def _may_ask(self, environ: WSGIEnvironment, poll: Poll) -> bool:
        """Whether that is known without a look at the database."""
        return guards.without_port(environ.get("HTTP_HOST", "")) in self._hosts and self._has_token(poll)

    def _has_token(self, poll: Poll) -> bool:
        if not self._asks:
            return True
        bearer = None if poll.token is None else remembered(self._app, poll.token)
        return bearer is not None and bearer.may(READ)

    def _count(self, written: Written, began_s: float) -> None:
        status = int(written.status[:3])
        self._parts.counts.seconds.labels("GET", _ROUTE, status).observe(time.perf_counter() - began_s)

    def _answer(self, poll: Poll) -> Written:
        version = self._parts.versions.of(poll.experiment_id)
        if poll.tag == version:
            return _written(version, None, sealed=self._asks)
        with self._app.app_context():
            return _written(version, shown(poll.experiment_id, version), sealed=self._asks)


def read(environ: WSGIEnvironment) -> Poll | None:
    """What a request asks; None where it is no poll in the plainest form."""
    path = _PATH.fullmatch(environ.get("PATH_INFO", ""))
    if path is None or environ["REQUEST_METHOD"] != "GET" or environ.get("SCRIPT_NAME") or environ.get("QUERY_STRING"):
        return None
    tag, token = environ.get("HTTP_IF_NONE_MATCH"), environ.get("HTTP_AUTHORIZATION")
    known = None if tag is None else _TAG.fullmatch(tag)
    if any(map(environ.get, _BODY)) or (tag is not None and known is None):
        return None
    if token is not None and not token.startswith(_BEARER):
        return None
    return Poll(path[1], known and known[1], token and hashed(token.removeprefix(_BEARER)))


@lru_cache(maxsize=64)
def _written(version: str, text: bytes | None, *, sealed: bool) -> Written:
    made = guards.harden(answered(version, text))
    if sealed:
        keep_nowhere(made)
    return Written(made.status, tuple(made.get_wsgi_headers({}).to_wsgi_list()), text or b"")
