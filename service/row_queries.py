"""What may be asked of rows: how they are narrowed, aggregated, thinned and written, and what goes with what."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

import marshmallow as ma

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.measurements import CURVES, MEASUREMENTS
from lab.thinning import FEWEST
from service.fields import Choice, Described, Field, ListOf, Text
from service.query_strings import MAX_STEP, FieldNames, RealText, WholeText, page_cursor
from service.schemas import Strict
from store.marks import MOST_CHARACTERS, START

UNDEFINED = "undefined"
_POINT = re.compile(r"([a-z_.]{1,80}):(.{1,120})", re.DOTALL)


class Point(Field):
    """A path of the sweep and one of its values."""

    allowed = "a path of the sweep and one of its values, such as network.depth:8"

    def described(self) -> Described:
        return {"type": "string", "pattern": "^[a-z_.]{1,80}:", "maxLength": 200, "example": "network.depth:8"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, str]:
        found = _POINT.fullmatch(value)
        if found is None:
            raise self.make_error("invalid")
        return found[1], found[2]


class RowsQuery(Strict):
    """Of all rows. Lists are parameters that may be repeated."""

    arm = ListOf(WholeText(0, "arms"), 1, "arms", load_default=())
    activation = ListOf(Choice(ACTIVATIONS), 1, len(ACTIVATIONS), load_default=())
    swept = ListOf(
        Point(),
        1,
        100,
        load_default=(),
        metadata={"description": "Arms at these points of the sweep. Values of one path widen, several paths narrow."},
    )
    replicate = ListOf(WholeText(0, "replicates"), 1, "replicates", load_default=())
    step_min = WholeText(0, MAX_STEP, load_default=None)
    step_max = WholeText(0, MAX_STEP, load_default=None)
    limit = WholeText(1, 10_000, load_default=None, metadata={"default": 1000, "description": "Rows of one JSON page."})
    cursor = page_cursor()
    since = Text(
        1,
        MOST_CHARACTERS,
        load_default=None,
        metadata={
            "description": f"Only rows that are newer: `{START}` at first, then the `since` of the answer before. "
            "Throw away what you hold of the runs in `removed`, then take in the rows; ask again at once where there "
            "is `more`. Rows of a run's step come together, so that a page may hold a few more than `limit`.",
            "example": START,
        },
    )
    format = Choice(
        ("json", "csv", "ndjson"),
        load_default="json",
        metadata={"description": "csv and ndjson (an object a line) are streamed, all of it."},
    )

    @ma.validates_schema(pass_original=True)
    def everything_goes_together(self, data: dict[str, Any], original: Any, **_: Any) -> None:
        refused = {name: [f"nothing: {reason}"] for name, reason in self.conflicts(data) if name in original}
        if refused:
            raise ma.ValidationError(refused)

    def conflicts(self, data: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Parameters that say nothing beside others, and why."""
        if data["format"] != "json":
            yield from self._without(("limit", "cursor", "since"), f"format={data['format']} gives every row")
        if data["since"] is not None:
            yield from self._without(
                ("cursor", "aggregate", "thin"), "since gives single rows, and a cursor of its own to go on with"
            )

    def _without(self, names: Collection[str], reason: str) -> Iterator[tuple[str, str]]:
        for name in names:
            yield name, reason


class SeriesQuery(RowsQuery):
    """Of numbers over steps: these can be aggregated and thinned."""

    aggregate = Choice(
        ("mean",),
        load_default=None,
        metadata={
            "description": "A row an arm, step and layer: each field's mean over networks under its own name, and "
            "`_n`, `_sd`, `_low` and `_high` behind it: their number, standard deviation and t interval. Networks that "
            "succeeded or train now count."
        },
    )
    level = RealText(0, 0.9999, load_default=None, metadata={"default": 0.95, "description": "Of the intervals."})
    thin = WholeText(
        FEWEST,
        10_000,
        load_default=None,
        metadata={
            "description": "At most so many steps of each series, with its first, last, least and greatest value, and "
            "those of every stretch of it (M4)."
        },
    )

    def conflicts(self, data: dict[str, Any]) -> Iterator[tuple[str, str]]:
        yield from super().conflicts(data)
        if data["aggregate"] is None:
            yield from self._without(("level", "over"), "it is about aggregate=mean")
        if data["thin"] is None:
            yield "thin_by", "it is about thin"

    @ma.validates_schema(pass_original=True)
    def fields_are_numbers_where_they_must_be(self, data: dict[str, Any], original: Any, **_: Any) -> None:
        fields, by = data["columns"], data["thin_by"]
        if data["aggregate"] is not None and UNDEFINED in fields and "fields" in original:
            raise ma.ValidationError({"fields": [f"numbers alone with aggregate=mean, not {UNDEFINED}"]})
        numbers = [field for field in fields if field != UNDEFINED]
        if data["thin"] is not None and not numbers:
            raise ma.ValidationError({"fields": ["a number at least, to thin by"]})
        if by is not None and by not in numbers:
            raise ma.ValidationError({"thin_by": ["one of the fields: " + ", ".join(numbers)]})


def _thin_by(known: Collection[str]) -> Choice:
    said = {"description": "The field whose extremes stay; the first one if not said."}
    return Choice(known, load_default=None, metadata=said)


class MeasurementsQuery(SeriesQuery):
    layer = ListOf(WholeText(1, "depth"), 1, "depth", load_default=())
    columns = FieldNames((*MEASUREMENTS, UNDEFINED), data_key="fields")
    thin_by = _thin_by(MEASUREMENTS)
    over = Choice(
        ("layers",),
        load_default=None,
        metadata={"description": "With aggregate: each network's mean over layers first, where all have a value."},
    )


class CurvesQuery(SeriesQuery):
    columns = FieldNames((*CURVES, UNDEFINED), data_key="fields")
    thin_by = _thin_by(CURVES)


class UnitsQuery(RowsQuery):
    layer = ListOf(WholeText(1, "depth"), 1, "depth", load_default=())
    columns = FieldNames(("n_died", "n_revived", "died", "revived"), data_key="fields")
