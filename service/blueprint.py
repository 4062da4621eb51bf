"""How a request is read: strict JSON, a query whose every parameter is known, and refusals in the lab's own words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import flask
import flask_smorest
import marshmallow as ma
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # gunicorn has no types
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from lab.errors import FieldError, InvalidRequest
from service import strict_json
from service.refusals import invalid_request

View = TypeVar("View", bound=Callable[..., Any])


class Parser(FlaskParser):
    """Reads arguments for the views; what is wrong with them becomes InvalidRequest, or a 400 where it is no JSON."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}  # noqa: RUF012

    def load_json(self, req: flask.Request, schema: ma.Schema) -> Any:  # noqa: ARG002 - the parser's signature
        if req.mimetype != "application/json":
            raise UnsupportedMediaType(f"Send application/json, not {req.mimetype or 'a body without a type'}.")
        try:
            return strict_json.read(_body(req))
        except strict_json.NotJSON as error:
            raise BadRequest(str(error)) from error

    def load_querystring(self, req: flask.Request, schema: ma.Schema) -> Any:
        query = super().load_querystring(req, schema)
        twice = [name for name in req.args if len(req.args.getlist(name)) > 1 and name not in query.multiple_keys]
        if twice:
            raise InvalidRequest([FieldError(name, req.args.getlist(name), "one value") for name in twice])
        return query

    def handle_error(
        self,
        error: ma.ValidationError,
        req: flask.Request,  # noqa: ARG002 - the parser's signature
        schema: ma.Schema,  # noqa: ARG002
        *,
        error_status_code: int | None,  # noqa: ARG002
        error_headers: Any,  # noqa: ARG002
    ) -> NoReturn:
        # webargs puts the messages under the place they are about: the body, the query, the headers.
        messages = next(iter(error.messages_dict.values()))
        raise invalid_request(error, messages) from error


def _body(req: flask.Request) -> bytes:
    try:
        body = req.get_data(cache=True)
    except ParseException as error:
        # gunicorn reads the chunks of a body that does not say its length only now.
        raise BadRequest(f"The body cannot be read: {error}.") from error
    # A body that does not say its length is cut at the limit without a word.
    if req.content_length is None and len(body) >= (req.max_content_length or math.inf):
        raise RequestEntityTooLarge(f"The body may have {req.max_content_length} bytes.")
    return body


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """flask-smorest's, reading requests in the lab's way. Views that read no query refuse every parameter."""

    ARGUMENTS_PARSER = Parser()

    if TYPE_CHECKING:
        # What flask-smorest leaves unsaid: these give back a function of the same kind.
        def route(self, rule: str, **options: Any) -> Callable[[View], View]: ...
        def arguments(self, schema: Any, **options: Any) -> Callable[[View], View]: ...
        def response(self, status: int, schema: Any = None, **options: Any) -> Callable[[View], View]: ...
        def alt_response(self, status: int, response: Any = None, **options: Any) -> Callable[[View], View]: ...

    def __init__(self, name: str, import_name: str, **options: Any) -> None:
        super().__init__(name, import_name, **options)
        self.before_request(_refuse_query)


def _refuse_query() -> None:
    """Views that read a query know its parameters; for the others every parameter is unknown."""
    view = flask.current_app.view_functions[flask.request.endpoint or ""]
    arguments = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", [])
    if flask.request.args and not any(argument["in"] == "query" for argument in arguments):
        raise InvalidRequest([FieldError(name, name, "no query parameters") for name in flask.request.args])
