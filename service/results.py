"""What an experiment is made of: its arms and its runs."""

from __future__ import annotations

from typing import Any

from service.answers import ArmAnswer, RunAnswer, page_of
from service.blueprint import Blueprint
from service.parts import parts
from service.query_strings import RunsQuery
from service.rendering import arm_json, run_json
from store import queries, submissions
from store.queries import RunFilters

blueprint = Blueprint(
    "results", __name__, url_prefix="/v1/experiments/<uuid:experiment_id>", description="What was recorded."
)

_MAX_RUN_ID = 2**63 - 1


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
