"""Who sends a request, and whether they may: every route asks for a scope by its method, unless it is named as open."""

from __future__ import annotations

import time
from typing import Any

from flask import Flask, Response, g, request
from sqlalchemy.orm import Session
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from lab.errors import NotFound
from lab.plan import Plan
from service.parts import parts
from store import quotas, submissions, tokens
from store.database import Database
from store.tokens import ADMIN, LOCAL, READ, SUBMIT, Bearer

# Whether the service lives, the pages with their own files, and the document that describes the API: no data of a lab.
_OPEN = ("health.healthz", "health.readyz", "api-docs.openapi_json")
_OPEN_BLUEPRINT = "docs"
_SAFE = ("GET", "HEAD", "OPTIONS")
_KEY = "actlab_bearers"
_LOCAL = Bearer(LOCAL, frozenset((ADMIN,)))


class Bearers:
    """Whose a token is, remembered for `TTL_S`: so long a revoked token may still work in this process."""

    TTL_S = 5.0
    MOST = 1024

    def __init__(self, database: Database) -> None:
        self._database = database
        # By hash: the tokens themselves stay nowhere.
        self._known: dict[str, tuple[Bearer, float]] = {}

    def of(self, text: str) -> Bearer | None:
        if not tokens.is_well_formed(text):
            return None
        digest = tokens.hashed(text)
        bearer = self.remembered(digest)
        if bearer is not None:
            return bearer
        with self._database.reading() as session:
            bearer = tokens.find(session, text)
        if bearer is None:
            self._known.pop(digest, None)
            return None
        if len(self._known) >= self.MOST:
            self._known.clear()
        self._known[digest] = (bearer, time.monotonic() + self.TTL_S)
        return bearer

    def remembered(self, digest: str) -> Bearer | None:
        """Whose the token with this hash is, without a look at the database."""
        bearer, until = self._known.get(digest, (None, 0.0))
        return bearer if time.monotonic() < until else None


def register(app: Flask, database: Database) -> None:
    """A request passes only with a token of the right scope; one that changes an experiment, only with its owner's."""
    bearers = app.extensions[_KEY] = Bearers(database)

    def admit() -> None:
        g.bearer = _LOCAL
        if parts().settings.asks_for_tokens and not is_open(request.endpoint):
            g.bearer = _authenticated(bearers)
            _check_scope(g.bearer)
            _check_owner(g.bearer)

    def seal(response: Response) -> Response:
        asks = parts().settings.asks_for_tokens and not is_open(request.endpoint)
        return keep_nowhere(response) if asks else response

    app.before_request(admit)
    app.after_request(seal)


def keep_nowhere(response: Response) -> Response:
    """What a token opens: a browser whose token is forgotten holds nothing of the lab any more."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def remembered(app: Flask, digest: str) -> Bearer | None:
    """Whose the token with this hash is, where the app knows that without looking."""
    bearers: Bearers = app.extensions[_KEY]
    return bearers.remembered(digest)


def is_open(endpoint: str | None) -> bool:
    """Whether the endpoint answers to everybody. A path that leads nowhere has none, and does not."""
    return endpoint in _OPEN or (endpoint or "").partition(".")[0] == _OPEN_BLUEPRINT


def bearer() -> Bearer:
    """Who sent this request."""
    sender: Bearer = g.bearer
    return sender


def owner_filter() -> str | None:
    """Whose experiments a request that changes many may touch; None for everybody's."""
    return None if bearer().may(ADMIN) else bearer().name


def check_quotas_before(session: Session, planned: Plan, key: str | None) -> None:
    """Before an experiment is added: spares the writing of one that `check_quotas` would refuse. One that is on record
    under this key is not added again, and so passes. Raises QuotaReached.
    """
    settings, owner = parts().settings, bearer().name
    if settings.asks_for_tokens and (key is None or submissions.find_by_key(session, owner, key) is None):
        quotas.check_before(session, owner, settings.quotas, runs=planned.n_runs, cost=planned.cost_flops)


def check_quotas(session: Session) -> None:
    """After what was asked for has been added, in the same transaction. Raises QuotaReached."""
    settings = parts().settings
    if settings.asks_for_tokens:
        quotas.check(session, bearer().name, settings.quotas)


def _authenticated(bearers: Bearers) -> Bearer:
    authorization = request.authorization
    text = authorization.token if authorization and authorization.type == "bearer" else None
    if not text:
        raise Unauthorized("Send a token: `Authorization: Bearer ...`.", www_authenticate=_challenge())
    sender = bearers.of(text)
    if sender is None:
        raise Unauthorized(
            "This token is not known, has expired or was revoked.", www_authenticate=_challenge(error="invalid_token")
        )
    return sender


def _check_scope(sender: Bearer) -> None:
    scope = READ if request.method in _SAFE else SUBMIT
    if not sender.may(scope):
        raise Forbidden(f"This needs a token with the scope {scope!r}; {sender.name!r} has not got it.")


def _check_owner(sender: Bearer) -> None:
    experiment_id: Any = (request.view_args or {}).get("experiment_id")
    if experiment_id is None or request.method in _SAFE:
        return
    with parts().database.reading() as session:
        owner = submissions.get(session, str(experiment_id)).owner
    if not sender.owns(owner):
        raise NotFound(f"There is no experiment {str(experiment_id)!r}.")


def _challenge(**values: str) -> WWWAuthenticate:
    return WWWAuthenticate("bearer", {"realm": "Activation Lab", **values})
