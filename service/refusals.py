"""From what a schema found wrong to the lab's own error: each field's dotted path, what was given, what is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import marshmallow as ma
from marshmallow.exceptions import SCHEMA

from lab.errors import FieldError, InvalidRequest
from service.fields import Names, given_value

WHOLE = "body"
"""The name of the field where the request as a whole is wrong."""


def invalid_request(error: ma.ValidationError, messages: Any) -> InvalidRequest:
    """`error` as the lab says it; `messages` are those for one place of the request (its body, its query)."""
    found = [_field_error(path, message, error.data) for path, message in _leaves(messages)]
    return InvalidRequest(sorted(found, key=lambda entry: entry.field))


def _leaves(messages: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(messages, dict):
        for key, part in messages.items():
            yield from _leaves(part, path if key == SCHEMA else (*path, key))
    else:
        for message in messages:
            yield path, message


def _field_error(path: tuple[Any, ...], message: str, data: Any) -> FieldError:
    given = path[-1] if isinstance(message, Names) else given_value(data, path)
    return FieldError(".".join(_cut(str(key)) for key in path) or WHOLE, given, message)


def _cut(key: str) -> str:
    return key if len(key) <= 80 else key[:79] + "…"
