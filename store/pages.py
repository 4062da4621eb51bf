"""Pages of a long list, by keyset: a page ends with a cursor that names its last row, so that no page is dearer than
the first.
"""

from __future__ import annotations

import base64
import binascii
import json

from lab.errors import FieldError, InvalidRequest

Key = tuple[str | int, ...]
_LARGEST = 2**63 - 1


def cursor(*key: str | int) -> str:
    """Opaque text that stands for the row with this key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def position(text: str, *kinds: type) -> Key:
    """The key that `cursor` was given. Raises InvalidRequest where `text` is no cursor over a key of these kinds."""
    try:
        key = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        key = None
    if not isinstance(key, list) or [type(part) for part in key] != list(kinds):
        raise bad(text)
    if not all(_can_be_asked_for(part) for part in key):
        raise bad(text)
    return tuple(key)


def _can_be_asked_for(part: str | int) -> bool:
    """Postgres takes no larger number, no U+0000, and no half of a surrogate pair."""
    if isinstance(part, int):
        return abs(part) <= _LARGEST
    return "\0" not in part and not any("\ud800" <= character <= "\udfff" for character in part)


def bad(text: str) -> InvalidRequest:
    return InvalidRequest([FieldError("cursor", text, "the `next` of an earlier page of the same list")])
