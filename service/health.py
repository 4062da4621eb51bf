"""Whether the service lives, and whether it can do its work."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, jsonify

from service.answers import Answer, Text
from service.blueprint import Blueprint
from service.parts import parts

blueprint = Blueprint("health", __name__, description="Whether the service lives, and can do its work.")

OK, UNREACHABLE = "ok", "unreachable"


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
    database = OK if parts().database.is_ready() else UNREACHABLE
    broker = UNREACHABLE if parts().hints.waiting() is None else OK
    response = jsonify({"status": database, "database": database, "broker": broker})
    response.status_code = 200 if database == OK else 503
    return response
