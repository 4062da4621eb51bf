"""JSON as the standard means it.

Python's reader also takes NaN, 1e999 and one key twice, and Postgres refuses U+0000: all are refused here.
"""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 16
MAX_DIGITS = 300
"""Of one integer: more than any limit needs, and few enough to become a float."""


class NotJSON(ValueError):
    """The sentence says what is wrong with the text."""


def read(text: bytes) -> Any:
    """The value of `text`. Raises NotJSON."""
    try:
        value = json.loads(
            text.decode("utf-8"),
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise NotJSON("The body is not UTF-8.") from error
    except RecursionError as error:
        raise NotJSON(_too_deep()) from error
    except json.JSONDecodeError as error:
        raise NotJSON(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    _check(value, depth=0)
    return value


def _constant(name: str) -> float:
    raise NotJSON(f"{name} is not JSON.")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotJSON(f"The number {text[:40]} is too large.")
    return value


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise NotJSON(f"A number has {len(text)} digits; at most {MAX_DIGITS} are read.")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, part in pairs:
        if key in value:
            raise NotJSON(f"The key {key[:80]!r} stands twice in one object.")
        value[key] = part
    return value


def _check(value: Any, *, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict | list):
        if depth == MAX_DEPTH:
            raise NotJSON(_too_deep())
        for part in value:
            _check(part, depth=depth + 1)
        if isinstance(value, dict):
            for part in value.values():
                _check(part, depth=depth + 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise NotJSON("A text holds the character U+0000, which cannot be kept.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotJSON("A text holds half of a surrogate pair, which is no character.") from error


def _too_deep() -> str:
    return f"The body nests deeper than {MAX_DEPTH} levels."
