"""Parts of sentences: names in a row, numbers from the least to the greatest."""

from __future__ import annotations

from collections.abc import Sequence

# More names than this make no sentence: a table has them all.
_MOST_LISTED = 8


def listed(parts: Sequence[str]) -> str:
    """`relu, tanh and 4 more`."""
    if len(parts) > _MOST_LISTED:
        parts = [*parts[: _MOST_LISTED - 1], f"{len(parts) - _MOST_LISTED + 1} more"]
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def labels(parts: Sequence[str]) -> str:
    """`relu, depth=2; tanh, depth=2`: such as have commas of their own."""
    left = len(parts) - _MOST_LISTED
    return "; ".join([*parts[:_MOST_LISTED], *([f"and {left} more"] if left > 0 else [])])


def between(values: Sequence[float]) -> str:
    """`5 to 12`, to two digits; one number where all are the same."""
    low, high = (f"{value:.2g}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
