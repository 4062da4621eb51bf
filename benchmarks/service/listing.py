"""A long list of experiments, narrowed by two filters and read page by page from both ends."""

from __future__ import annotations

from functools import reduce
from operator import add
from urllib.parse import urlencode

from benchmarks.service.figure import Figure, p99
from benchmarks.service.filling import comparing, copied, stored
from benchmarks.service.load import Address, Measured, Operation, Operations, counted
from benchmarks.service.peer import MLflow
from store.database import Database

FIRST, LARGEST = 50, 200
"""Entries of a page: unless told, and the most."""
SORTS = ("-created_at", "created_at")
# From nearly all experiments to one in thousands to none.
FILTERS = (
    {"state": "succeeded", "activation": "relu"},
    {"tag": "depth", "dataset": "digits"},
    {"name": "rare", "activation": "gelu"},
    {"tag": "rare", "state": "succeeded"},
    {"tag": "nobody's", "dataset": "digits"},
    {"state": "queued", "activation": "sin"},
)
_CONDITIONS = (
    "params.activation = 'relu' and tags.asked = 'depth'",
    "params.activation = 'relu' and tags.asked = 'nobody''s'",
)
_MOST_PAGES = 40


def filled(database: Database, n: int) -> None:
    """`n` experiments, one in five thousand of them rare."""
    for names, title, tags, share in (
        (("relu", "tanh"), "Does depth kill sigmoid?", ("depth",), 0.6),
        (("relu", "sigmoid", "elu"), "Which saturates?", ("width", "lr"), 0.3),
        (("gelu", "silu"), "Smooth or kinked?", ("depth", "kinks"), 0.0998),
        (("gelu", "relu"), "A rare one", ("rare",), 0.0002),
    ):
        spec = comparing(*names, depths=(1,), replicates=2, points=2, name=title, tags=tags)
        copied(database, stored(database, spec).id, round(share * n), rows=False)


def figures(address: Address, n: int, mlflow: MLflow | None) -> list[Figure]:
    first = _together([counted(address, _first(address, filters), n=50) for filters in FILTERS])
    every = _together([_walked(address, {**filters, "sort": sort}) for filters in FILTERS for sort in SORTS])
    theirs = None
    if mlflow is not None:
        pages = [counted(mlflow.address, mlflow.searching(FIRST, each), n=30) for each in _CONDITIONS]
        theirs = _together(pages)
    what = f"list of {n:,} experiments with two filters"
    return [
        p99(f"{what}, first page ({FIRST}; MLflow: search runs, 30 pages)", first, 100, beside=theirs),
        p99(f"{what}, the first {_MOST_PAGES} pages from either end ({LARGEST} a page)", every, 100),
    ]


def _first(address: Address, filters: dict[str, str]) -> Operations:
    request = address.get(f"/v1/experiments?{urlencode(filters)}")

    def operation() -> Operation:
        (yield request).expect(200)

    return operation


def _walked(address: Address, filters: dict[str, str]) -> Measured:
    cursor = ""
    taken = 0

    def operation() -> Operation:
        nonlocal cursor, taken
        query = {**filters, "limit": str(LARGEST), **({"cursor": cursor} if cursor else {})}
        answer = (yield address.get(f"/v1/experiments?{urlencode(query)}")).expect(200)
        cursor = answer.json()["next"] or ""
        taken += 1

    pages = [counted(address, operation, n=1)]
    while cursor and taken < _MOST_PAGES:
        pages.append(counted(address, operation, n=1))
    return _together(pages)


def _together(parts: list[Measured]) -> Measured:
    return reduce(add, parts)
