"""What others wrote, on one's own terminal: a name may hold what would move its cursor, change its title or run."""

from __future__ import annotations

import re

from rich.text import Text

# All control characters, and those that turn the direction in which text is read.
_NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> Text:
    """The text with a mark in the place of each such character, and without any markup."""
    return Text(_NOT_SHOWN.sub("\N{REPLACEMENT CHARACTER}", text))
