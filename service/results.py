"""What an experiment recorded: its arms, its runs, and the rows of measurements, curves and units."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from service import csv_text
from service.answers import ArmAnswer, RowsAnswer, RunAnswer, page_of
from service.blueprint import Blueprint
from service.findings import smallest_probe
from service.parts import parts
from service.query_strings import CurvesQuery, MeasurementsQuery, RunsQuery, UnitsQuery
from service.rendering import arm_json, run_json
from store import queries, submissions
from store.models import Curve, Measurement, UnitChange
from store.queries import MeasurementFilters, Recorded, RunFilters

blueprint = Blueprint(
    "results", __name__, url_prefix="/v1/experiments/<uuid:experiment_id>", description="What was recorded."
)

PAGE = 1000
_MAX_RUN_ID = 2**63 - 1

_CSV = {"schema": {"type": "string"}, "content_type": csv_text.MEDIA_TYPE, "description": "With format=csv."}


@blueprint.route("/arms")
@blueprint.response(200, page_of(ArmAnswer, "ArmPage"))
def arms(experiment_id: Any) -> dict[str, Any]:
    """List the arms: activations times the points of the sweep."""
    with parts().database.reading() as session:
        submissions.get(session, str(experiment_id))
        found = queries.arms(session, str(experiment_id))
    return {"items": [arm_json(arm) for arm in found], "next": None}


@blueprint.route("/runs")
@blueprint.arguments(RunsQuery, location="query")
@blueprint.response(200, page_of(RunAnswer, "RunPage"))
def runs(query: dict[str, Any], experiment_id: Any) -> dict[str, Any]:
    """List the runs and how each ended."""
    with parts().database.reading() as session:
        submissions.get(session, str(experiment_id))
        found, following = queries.runs(
            session,
            str(experiment_id),
            filters=RunFilters(arms=query["arm"], state=query["state"]),
            limit=query["limit"],
            after=query["cursor"],
        )
        return {"items": [run_json(row) for row in found], "next": following}


@blueprint.route(f"/runs/<int(max={_MAX_RUN_ID}):run_id>")
@blueprint.response(200, RunAnswer)
def run(experiment_id: Any, run_id: int) -> dict[str, Any]:
    """Show one run."""
    with parts().database.reading() as session:
        submissions.get(session, str(experiment_id))
        return run_json(queries.run(session, str(experiment_id), run_id))


@blueprint.route("/measurements")
@blueprint.arguments(MeasurementsQuery, location="query")
@blueprint.alt_response(200, **_CSV)
@blueprint.response(200, RowsAnswer)
def measurements(query: dict[str, Any], experiment_id: Any) -> Response:
    """Rows of the statistics taken on the probe, by run, step and layer."""
    return _rows(Measurement, query, str(experiment_id))


@blueprint.route("/curves")
@blueprint.arguments(CurvesQuery, location="query")
@blueprint.alt_response(200, **_CSV)
@blueprint.response(200, RowsAnswer)
def curves(query: dict[str, Any], experiment_id: Any) -> Response:
    """Rows of losses and accuracies, by run and step."""
    return _rows(Curve, query, str(experiment_id))


@blueprint.route("/units")
@blueprint.arguments(UnitsQuery, location="query")
@blueprint.alt_response(200, **_CSV)
@blueprint.response(200, RowsAnswer)
def units(query: dict[str, Any], experiment_id: Any) -> Response:
    """Rows of the units that died or came back, by run, step and layer: a row where something changed.

    A unit counts as dead where no gradient reaches it from any input of the probe. `died` and `revived` list units,
    counted from 0; those that died at step 0 were born dead. When it happened is known to one recorded step.
    """
    return _rows(UnitChange, query, str(experiment_id))


def _rows(of: type[Recorded], query: dict[str, Any], experiment_id: str) -> Response:
    filters = MeasurementFilters(
        arms=query["arm"],
        activations=query["activation"],
        layers=query.get("layer", ()),
        replicates=query["replicate"],
        step_min=query["step_min"],
        step_max=query["step_max"],
    )

    # One page, one transaction: a long download never holds the database's history.
    def page(limit: int, after: str | None) -> tuple[queries.Columns, str | None]:
        with parts().database.reading() as session:
            return queries.rows(session, experiment_id, of, filters, query["columns"], limit=limit, after=after)

    with parts().database.reading() as session:
        submissions.get(session, experiment_id)
        probe_size = smallest_probe(queries.arms(session, experiment_id))
    if query["format"] == "csv":
        return csv_text.streamed(page, filename=f"{of.__tablename__}-{experiment_id}.csv")
    columns, following = page(query["limit"] or PAGE, query["cursor"])
    return jsonify({"columns": columns, "next": following, "probe_size": probe_size})
