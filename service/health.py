"""Whether the service lives, and whether it can do its work."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
import sqlalchemy as sa
import structlog
from flask import Response, jsonify

from service.answers import Answer, Text
from service.blueprint import Blueprint
from service.parts import parts

blueprint = Blueprint("health", __name__, description="Whether the service lives, and can do its work.")

OK, UNREACHABLE = "ok", "unreachable"

log = structlog.get_logger(__name__)


class HealthAnswer(Answer):
    status = Text()


class ReadyAnswer(Answer):
    status = Text()
    database = Text(validate=ma.validate.OneOf([OK, UNREACHABLE]))
    broker = Text(validate=ma.validate.OneOf([OK, UNREACHABLE]))


@blueprint.route("/healthz")
@blueprint.response(200, HealthAnswer)
def healthz() -> dict[str, Any]:
    """The process answers."""
    return {"status": OK}


@blueprint.route("/readyz")
@blueprint.alt_response(503, schema=ReadyAnswer, description="The database is not there.")
@blueprint.response(200, ReadyAnswer)
def readyz() -> Response:
    """The database is there. Without the broker work is accepted all the same, and waits."""
    database, broker = _database(), UNREACHABLE if parts().hints.waiting() is None else OK
    response = jsonify({"status": database, "database": database, "broker": broker})
    response.status_code = 200 if database == OK else 503
    return response


def _database() -> str:
    try:
        with parts().database.reading() as session:
            session.execute(sa.text("SELECT 1 FROM experiments LIMIT 1"))
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is the same
        log.warning("not_ready", error=str(error))
        return UNREACHABLE
    return OK
