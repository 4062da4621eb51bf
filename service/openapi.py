"""The OpenAPI document: what every operation may refuse, said once, and the fields' bounds as they are in force."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import flask_smorest
import marshmallow as ma
from apispec import BasePlugin
from flask import Flask, Response

from service import problems
from service.fields import Field

BEARER = "bearer"
# As service/auth.py has it.
_OPEN = ("/healthz", "/readyz")


class Api(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest has no types
    """flask-smorest's, with the lab's problems in place of its own errors."""

    ERROR_SCHEMA = problems.Problem
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask) -> None:
        self._document: bytes | None = None
        super().__init__(app, spec_kwargs={"extra_plugins": [Refusals()]})
        self.ma_plugin.converter.add_attribute_function(described)
        scheme = {"type": "http", "scheme": "bearer", "description": "Needed where ACTLAB_AUTH is tokens."}
        self.spec.components.security_scheme(BEARER, scheme)

    def _openapi_json(self) -> Response:
        """Made once: whoever asks again and again, without a token, costs no more than for any other page."""
        if self._document is None:
            self._document = super()._openapi_json().get_data()
        return Response(self._document, mimetype="application/json")

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            content = {problems.MEDIA_TYPE: {"schema": self.ERROR_SCHEMA}}
            answer = {"description": status.phrase} | ({"content": content} if status >= 400 else {})
            self.spec.components.response(status.name, answer, lazy=True)

    def _register_pagination_header(self) -> None:
        # Pages are in the body.
        pass

    def _register_error_handlers(self) -> None:
        # problems.register has them all.
        pass


# gunicorn refuses this by itself, before the app could say it as a problem.
_TOO_LONG = {"description": HTTPStatus.REQUEST_URI_TOO_LONG.phrase, "content": {"text/html": {}}}


class Refusals(BasePlugin):
    """Adds to every operation the problems that any operation of its kind may answer with."""

    def operation_helper(self, path: str | None = None, operations: Any = None, **_: Any) -> None:
        for method, operation in (operations or {}).items():
            answers = operation.setdefault("responses", {})
            if path in _OPEN:
                operation["security"] = []
            for status in _refusals(path or "", method, operation):
                answers.setdefault(status, HTTPStatus(status).name)
            if any(parameter.get("in") == "query" for parameter in operation.get("parameters", [])):
                answers.setdefault(414, _TOO_LONG)


def described(_: Any, field: ma.fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """What one of our own fields allows, for apispec."""
    if not isinstance(field, Field):
        return {}
    # A query's "not given" is no value that could be sent.
    if not ret.get("default", True) and ret["default"] in (None, ()):
        del ret["default"]
    return field.described()


def _refusals(path: str, method: str, operation: Any) -> list[int]:
    # 422 everywhere: a query parameter that is not known is refused also where none is.
    statuses = [400, 413, 422, 500, 503]
    if path not in _OPEN:
        statuses += [401, 403]
    if method == "post":
        statuses += [429]
    if "requestBody" in operation:
        statuses += [415]
    if "{" in path:
        statuses += [404]
    return sorted(statuses)
