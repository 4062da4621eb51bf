"""The rows an experiment recorded: of measurements, of curves, of units that died or came back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from flask import Response
from sqlalchemy.orm import Session

from service import row_text
from service.answers import RowsAnswer
from service.blueprint import Blueprint
from service.findings import smallest_probe
from service.parts import parts
from service.row_queries import UNDEFINED, CurvesQuery, MeasurementsQuery, UnitsQuery
from store import aggregates, marks, news, queries, rows, submissions
from store.aggregates import Aggregation
from store.models import Curve, Measurement, UnitChange
from store.rows import Asked, Block, Filters, Recorded, Thinning

blueprint = Blueprint(
    "rows", __name__, url_prefix="/v1/experiments/<uuid:experiment_id>", description="What was recorded, row by row."
)

PAGE = 1000
LEVEL = 0.95

_EXAMPLE: dict[str, Any] = {
    "columns": {
        "arm": [0, 0],
        "label": ["relu", "relu"],
        "activation": ["relu", "relu"],
        "step": [0, 100],
        "dead_fraction": [0.0, 0.125],
        "dead_fraction_n": [10, 10],
        "dead_fraction_sd": [0.0, 0.04],
        "dead_fraction_low": [0.0, 0.096],
        "dead_fraction_high": [0.0, 0.154],
    },
    "next": None,
    "since": None,
    "removed": [],
    "more": False,
    "probe_size": 512,
}

Query = dict[str, Any]
Source = Callable[..., Block]
"""Takes a session, `limit` and `after`."""


def _streams(view: Any) -> Any:
    """Documents what `format` gives beside JSON."""
    for form, media_type in row_text.MEDIA_TYPES.items():
        told = {"schema": {"type": "string"}, "content_type": media_type, "description": f"With format={form}."}
        view = blueprint.alt_response(200, **told)(view)
    return view


@blueprint.route("/measurements")
@blueprint.arguments(MeasurementsQuery, location="query")
@_streams
@blueprint.response(200, RowsAnswer, example=_EXAMPLE)
def measurements(query: Query, experiment_id: Any) -> Response:
    """Rows of the statistics taken on the probe, by run, step and layer; or their means over networks."""
    return _answer(Measurement, query, str(experiment_id))


@blueprint.route("/curves")
@blueprint.arguments(CurvesQuery, location="query")
@_streams
@blueprint.response(200, RowsAnswer)
def curves(query: Query, experiment_id: Any) -> Response:
    """Rows of losses and accuracies, by run and step; or their means over networks."""
    return _answer(Curve, query, str(experiment_id))


@blueprint.route("/units")
@blueprint.arguments(UnitsQuery, location="query")
@_streams
@blueprint.response(200, RowsAnswer)
def units(query: Query, experiment_id: Any) -> Response:
    """Rows of the units that died or came back, by run, step and layer: a row where something changed.

    A unit counts as dead where no gradient reaches it from any input of the probe. `died` and `revived` list units,
    counted from 0; those that died at step 0 were born dead. When it happened is known to one recorded step.
    """
    return _answer(UnitChange, query, str(experiment_id))


def _answer(of: type[Recorded], query: Query, experiment_id: str) -> Response:
    with parts().database.reading() as session:
        submissions.get(session, experiment_id)
        arms = queries.arms(session, experiment_id)
        asked = rows.asked(experiment_id, of, arms, _filters(query), _fields(query))
        told = {"probe_size": smallest_probe(arms)}
        if query["since"] is not None:
            return _json(_news(session, asked, query) | told)
        source = _source(asked, query)
        if query["format"] == "json":
            block = source(session, limit=query["limit"] or PAGE, after=query["cursor"])
            return _json(_page(block) | told)
    return row_text.streamed(_in_turn(source), query["format"], filename=f"{of.__tablename__}-{experiment_id}")


def _filters(query: Query) -> Filters:
    return Filters(
        arms=query["arm"],
        activations=query["activation"],
        swept=query["swept"],
        layers=query.get("layer", ()),
        replicates=query["replicate"],
        step_min=query["step_min"],
        step_max=query["step_max"],
    )


def _fields(query: Query) -> tuple[str, ...]:
    fields: tuple[str, ...] = query["columns"]
    return tuple(field for field in fields if field != UNDEFINED) if query.get("aggregate") else fields


def _source(asked: Asked, query: Query) -> Source:
    thinning = None
    if query.get("thin"):
        by = query["thin_by"] or next(field for field in asked.fields if field != UNDEFINED)
        thinning = Thinning(query["thin"], by)
    if query.get("aggregate"):
        aggregation = Aggregation(query["level"] or LEVEL, over_layers=query.get("over") == "layers")
        return partial(aggregates.page, asked=asked, aggregation=aggregation, thinning=thinning)
    if thinning is not None:
        return partial(rows.thinned_page, asked=asked, thinning=thinning)
    return partial(rows.page, asked=asked)


def _in_turn(source: Source) -> row_text.Page:
    """One page, one transaction: a long download never holds the database's history."""

    def page(limit: int, after: str | None) -> Block:
        with parts().database.reading() as session:
            return source(session, limit=limit, after=after)

    return page


def _page(block: Block) -> dict[str, Any]:
    following = block.following
    told: dict[str, Any] = {"since": None, "removed": [], "more": following is not None}
    return {"columns": block.columns, "next": following} | told


def _news(session: Session, asked: Asked, query: Query) -> dict[str, Any]:
    now = marks.now(session, asked.experiment_id)
    seen = marks.read(query["since"], asked.experiment_id, now)
    found = news.page(session, asked, seen, now, limit=query["limit"] or PAGE)
    told = {"since": found.since, "removed": found.removed, "more": found.more}
    return {"columns": found.block.columns, "next": None} | told


def _json(answer: dict[str, Any]) -> Response:
    # A page has a quarter of a million numbers, which Flask's own JSON writes one by one.
    return Response(orjson.dumps(answer), mimetype="application/json")
