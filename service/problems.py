"""Every error as application/problem+json, in one place. What a client may not see (tracebacks, SQL) is logged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import marshmallow as ma
import sqlalchemy.exc
import structlog
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from lab.errors import Conflict, FieldError, InvalidRequest, NotFound, QuotaReached, Unavailable, shown
from service.fields import NOTHING

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
MOST_ERRORS = 100
# Numbers beyond these lose digits in a browser.
_EXACT = 2**53

log = structlog.get_logger(__name__)


class FieldProblem(ma.Schema):
    field = ma.fields.String(required=True, metadata={"description": "Dotted path, such as network.depth."})
    given = ma.fields.Raw(required=True, metadata={"description": "What was given, cut short."})
    allowed = ma.fields.String(required=True)
    message = ma.fields.String(required=True)


class Problem(ma.Schema):
    """RFC 9457, with one entry in `errors` per field that was refused."""

    type = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    status = ma.fields.Integer(required=True)
    detail = ma.fields.String(required=True)
    errors = ma.fields.List(ma.fields.Nested(FieldProblem))


def problem(
    status: int, detail: str, *, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """An answer. Of many errors the first are shown."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = [
            {"field": e.field, "given": _echo(e.given), "allowed": e.allowed, "message": e.message}
            for e in errors[:MOST_ERRORS]
        ]
    return Response(current_app.json.dumps(body), status, headers, mimetype=MEDIA_TYPE)


def register(app: Flask) -> None:
    """Translate the lab's errors, HTTP's and the database's, and whatever nobody thought of."""
    app.register_error_handler(InvalidRequest, _invalid)
    app.register_error_handler(NotFound, lambda error: problem(404, str(error)))
    app.register_error_handler(Conflict, lambda error: problem(409, str(error)))
    app.register_error_handler(QuotaReached, _quota_reached)
    app.register_error_handler(Unavailable, lambda error: _unavailable(str(error)))
    for kind in (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError):
        app.register_error_handler(kind, _database_down)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _invalid(error: InvalidRequest) -> Response:
    fields = list(dict.fromkeys(entry.field for entry in error.errors))
    more = f" and {len(fields) - 10} more" if len(fields) > 10 else ""
    return problem(422, f"Not allowed: {', '.join(fields[:10])}{more}.", errors=error.errors)


def _quota_reached(error: QuotaReached) -> Response:
    return problem(429, str(error), headers={"Retry-After": str(error.retry_after_s)})


def _unavailable(sentence: str) -> Response:
    return problem(503, sentence, headers={"Retry-After": str(RETRY_AFTER_S)})


def _database_down(error: Exception) -> Response:
    log.error("database_unavailable", error=str(error), path=request.path)
    return _unavailable("The database cannot be used now. Nothing of this request was kept.")


def _http(error: HTTPException) -> Response:
    kept = {
        name: value for name, value in error.get_headers() if name.lower() not in ("content-type", "content-length")
    }
    code = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    nowhere = f"There is nothing at {shown(request.path)}." if code == HTTPStatus.NOT_FOUND else None
    return problem(code, nowhere or error.description or HTTPStatus(code).phrase, headers=kept)


def _unexpected(error: Exception) -> Response:
    log.exception("request_failed", method=request.method, path=request.path, exc_info=error)
    return problem(500, "The server failed at this request. The failure is in its log.")


def _echo(given: Any) -> Any:
    """`given` where it is short and exact in JSON, else as text that is cut."""
    if given is NOTHING:
        return None
    if isinstance(given, bool) or given is None:
        return given
    if isinstance(given, int | float):
        return given if abs(given) < _EXACT and math.isfinite(given) else shown(given)
    if isinstance(given, str) and len(given) <= 80:
        return given
    return shown(given)
