"""From what a schema found wrong to the lab's own error: each field's dotted path, what was given, what is allowed, and
what was probably meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import marshmallow as ma
from marshmallow.exceptions import SCHEMA

from lab.errors import FieldError, InvalidRequest
from service.allowed import Keys, OneOf
from service.fields import given_value

WHOLE = "body"
"""The name of the field where the request as a whole is wrong."""

# To guess takes time: of a body with thousands of wrong keys, or of a long one, nothing is guessed.
MOST_GUESSES = 20
_LONGEST = 40
# Of the letters, in their order: `swish` is no `mish`, `rleu` is `relu`.
_ALIKE = 0.7


def invalid_request(error: ma.ValidationError, messages: Any) -> InvalidRequest:
    """`error` as the lab says it; `messages` are those for one place of the request (its body, its query)."""
    found = sorted(_leaves(messages), key=lambda leaf: _field(leaf[0]))
    return InvalidRequest(
        [_field_error(path, message, error.data, guess=i < MOST_GUESSES) for i, (path, message) in enumerate(found)]
    )


def meant(given: str, known: Sequence[str]) -> str:
    """The name of `known` that `given` comes near to, however it is capitalized; a path is also known by its last part.
    Empty where none is near.
    """
    if given in known:
        section, _, key = given.rpartition(".")
        return f"{key}, inside {section}"
    names = {name.lower(): name for name in reversed(known)}
    names = {name.lower().rpartition(".")[2]: name for name in reversed(known)} | names
    near = get_close_matches(given.lower(), names, n=1, cutoff=_ALIKE)
    return names[near[0]] if near else ""


def _leaves(messages: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(messages, dict):
        for key, part in messages.items():
            yield from _leaves(part, path if key == SCHEMA else (*path, key))
    else:
        for message in messages:
            yield path, message


def _field_error(path: tuple[Any, ...], message: str, data: Any, *, guess: bool) -> FieldError:
    given = path[-1] if isinstance(message, Keys) else given_value(data, path)
    guessed = ""
    if guess and isinstance(message, OneOf) and isinstance(given, str) and len(given) <= _LONGEST:
        guessed = meant(given, message.known)
    return FieldError(_field(path), given, message, guessed)


def _field(path: tuple[Any, ...]) -> str:
    return ".".join(_cut(str(key)) for key in path) or WHOLE


def _cut(key: str) -> str:
    return key if len(key) <= 80 else key[:79] + "…"
