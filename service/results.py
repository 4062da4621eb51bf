"""What an experiment recorded: its arms, its runs, and the rows of measurements and curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, jsonify

from lab.spec import ExperimentSpec
from service import csv_text
from service.answers import ArmAnswer, RowsAnswer, RunAnswer, page_of
from service.blueprint import Blueprint
from service.findings import probe_size
from service.parts import parts
from service.queries import CurvesQuery, MeasurementsQuery, RunsQuery
from store import queries, submissions
from store.queries import MeasurementFilters, RunFilters, RunRow

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
        items = [
            {
                "position": arm.position,
                "label": arm.label,
                "activation": {"name": arm.activation, **arm.parameters},
                "swept": arm.swept,
                "baseline": arm.baseline_position,
            }
            for arm in found
        ]
    return {"items": items, "next": None}


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
        return {"items": [_shown(row) for row in found], "next": following}


@blueprint.route(f"/runs/<int(max={_MAX_RUN_ID}):run_id>")
@blueprint.response(200, RunAnswer)
def run(experiment_id: Any, run_id: int) -> dict[str, Any]:
    """Show one run."""
    with parts().database.reading() as session:
        return _shown(queries.run(session, str(experiment_id), run_id))


@blueprint.route("/measurements")
@blueprint.arguments(MeasurementsQuery, location="query")
@blueprint.alt_response(200, **_CSV)
@blueprint.response(200, RowsAnswer)
def measurements(query: dict[str, Any], experiment_id: Any) -> Response:
    """Rows of the statistics taken on the probe, by run, step and layer."""
    return _rows(queries.measurements, query, str(experiment_id), name="measurements")


@blueprint.route("/curves")
@blueprint.arguments(CurvesQuery, location="query")
@blueprint.alt_response(200, **_CSV)
@blueprint.response(200, RowsAnswer)
def curves(query: dict[str, Any], experiment_id: Any) -> Response:
    """Rows of losses and accuracies, by run and step."""
    return _rows(queries.curves, query, str(experiment_id), name="curves")


def _rows(read: Callable[..., Any], query: dict[str, Any], experiment_id: str, *, name: str) -> Response:
    filters = MeasurementFilters(
        arms=query["arm"],
        activations=query["activation"],
        layers=query.get("layer", ()),
        replicates=query["replicate"],
        step_min=query["step_min"],
        step_max=query["step_max"],
    )

    # One page, one transaction: a long download never holds the database's history.
    def page(limit: int, after: str | None) -> Any:
        with parts().database.reading() as session:
            return read(session, experiment_id, filters, query["columns"], limit=limit, after=after)

    with parts().database.reading() as session:
        experiment = submissions.get(session, experiment_id)
    if query["format"] == "csv":
        return csv_text.streamed(page, filename=f"{name}-{experiment_id}.csv")
    columns, following = page(query["limit"] or PAGE, query["cursor"])
    size = probe_size(ExperimentSpec.from_json(experiment.spec))
    return jsonify({"columns": columns, "next": following, "probe_size": size})


def _shown(row: RunRow) -> dict[str, Any]:
    run = row.run
    return {
        "id": run.id,
        "arm": row.arm.position,
        "label": row.arm.label,
        "replicate": run.replicate,
        "state": run.state,
        "stack": row.stack,
        "diverged_at": run.diverged_at,
        "train_loss": run.train_loss,
        "probe_loss": run.probe_loss,
        "test_loss": run.test_loss,
        "test_accuracy": run.test_accuracy,
        "loss_auc": run.loss_auc,
        "dead_fraction_start": run.dead_fraction_start,
        "dead_fraction_end": run.dead_fraction_end,
        "units_died": run.units_died,
        "units_revived": run.units_revived,
        "layers": run.layers,
    }
