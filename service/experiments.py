"""Experiments: submitted, listed, watched, cancelled, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import jsonify, request, url_for

from lab.errors import FieldError, InvalidRequest
from lab.plan import Arm as PlannedArm
from lab.plan import Plan, plan
from lab.spec import ExperimentSpec
from service.answers import DryRunAnswer, ExperimentAnswer, page_of
from service.blueprint import Blueprint
from service.parts import limits, parts
from service.queries import ExperimentsQuery, SubmitHeaders, SubmitQuery
from service.schemas import ExperimentSchema
from store import submissions
from store.models import RUNNING, STATES, Experiment
from store.submissions import Counts, ExperimentFilters

blueprint = Blueprint(
    "experiments", __name__, url_prefix="/v1/experiments", description="What was asked, and how far it is."
)

# One hint a stack wakes as many workers as can be of use; a worker that finds more queued sends the next hint itself.
MOST_HINTS = 16


@blueprint.route("", methods=["POST"])
@blueprint.arguments(ExperimentSchema, examples={"smallest": {"value": {"activations": ["relu", "tanh"]}}})
@blueprint.arguments(SubmitQuery, location="query")
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.alt_response(200, schema=DryRunAnswer, description="The plan of a dry run.")
@blueprint.response(202, ExperimentAnswer, headers={"Location": {"schema": {"type": "string"}}})
def submit(spec: ExperimentSpec, query: dict[str, Any], headers: dict[str, Any]) -> Any:
    """Ask for an experiment."""
    planned = plan(spec, limits())
    if query["dry_run"]:
        return jsonify(DryRunAnswer().dump(_dry_run(spec, planned)))
    with parts().database.writing() as session:
        experiment = submissions.submit(session, spec, planned, idempotency_key=headers["key"])
        _check_same(experiment, spec, headers["key"])
        answer = shown(experiment, submissions.counts(session, experiment.id))
    parts().hints.send(min(experiment.n_stacks, MOST_HINTS))
    return answer, {"Location": url_for("experiments.get", experiment_id=experiment.id)}


@blueprint.route("", methods=["GET"])
@blueprint.arguments(ExperimentsQuery, location="query")
@blueprint.response(200, page_of(ExperimentAnswer, "ExperimentPage"))
def find(query: dict[str, Any]) -> dict[str, Any]:
    """List experiments, newest first."""
    limit, after, descending = query.pop("limit"), query.pop("cursor"), query.pop("sort") == "-created_at"
    with parts().database.reading() as session:
        found, following = submissions.list_experiments(
            session, ExperimentFilters(**query), limit=limit, after=after, descending=descending
        )
        counts = submissions.counts_of(session, [experiment.id for experiment in found])
        return {"items": [shown(experiment, counts[experiment.id]) for experiment in found], "next": following}


@blueprint.route("/<uuid:experiment_id>", methods=["GET"])
@blueprint.alt_response(304, description="Nothing has changed since the answer with this ETag.", success=True)
@blueprint.response(200, ExperimentAnswer, headers={"ETag": {"schema": {"type": "string"}}})
def get(experiment_id: Any) -> Any:
    """Show an experiment: its state, and how far it is."""
    with parts().database.reading() as session:
        experiment = submissions.get(session, str(experiment_id))
        counts = submissions.counts(session, experiment.id)
        response = jsonify(ExperimentAnswer().dump(shown(experiment, counts)))
    response.set_etag(f"{experiment.version}-{counts.steps}", weak=True)
    return response.make_conditional(request)


@blueprint.route("/<uuid:experiment_id>/cancel", methods=["POST"])
@blueprint.alt_response(409, "CONFLICT")
@blueprint.response(202, ExperimentAnswer)
def cancel(experiment_id: Any) -> dict[str, Any]:
    """Cancel an experiment: queued work ends now, running work within seconds."""
    with parts().database.writing() as session:
        experiment = submissions.cancel(session, str(experiment_id))
        return shown(experiment, submissions.counts(session, experiment.id))


@blueprint.route("/<uuid:experiment_id>", methods=["DELETE"])
@blueprint.response(204)
def delete(experiment_id: Any) -> None:
    """Delete an experiment with all its results."""
    with parts().database.writing() as session:
        submissions.delete(session, str(experiment_id))


def shown(experiment: Experiment, counts: Counts) -> dict[str, Any]:
    """The experiment as the API shows it."""
    progress = counts.steps / experiment.steps_total
    return {
        "id": experiment.id,
        "name": experiment.name,
        "tags": experiment.tags,
        "state": experiment.state,
        "version": experiment.version,
        "progress": min(progress, 1.0),
        "eta_s": _eta_s(experiment, progress),
        "created_at": experiment.created_at,
        "started_at": experiment.started_at,
        "finished_at": experiment.finished_at,
        "plan": {
            "arms": experiment.n_arms,
            "runs": experiment.n_runs,
            "stacks": experiment.n_stacks,
            "cost_flops": experiment.cost_flops,
            "steps": experiment.steps_total,
        },
        "runs": {state: counts.runs.get(state, 0) for state in STATES} | {"diverged": counts.diverged},
        "failures": [asdict(failure) for failure in counts.failures],
        "spec": experiment.spec,
        "spec_digest": experiment.spec_digest,
    }


def _eta_s(experiment: Experiment, progress: float) -> float | None:
    if experiment.state != RUNNING or experiment.started_at is None or progress <= 0:
        return None
    elapsed_s = (datetime.now(UTC) - experiment.started_at).total_seconds()
    return max(0.0, elapsed_s * (1 - progress) / progress)


def _check_same(experiment: Experiment, spec: ExperimentSpec, key: str | None) -> None:
    asked = (spec.digest, spec.name, list(spec.tags))
    if (experiment.spec_digest, experiment.name, experiment.tags) != asked:
        allowed = "a new key: this one belongs to another request"
        raise InvalidRequest([FieldError("Idempotency-Key", key, allowed)])


def _dry_run(spec: ExperimentSpec, planned: Plan) -> dict[str, Any]:
    return {
        "plan": {
            "arms": len(planned.arms),
            "runs": planned.n_runs,
            "stacks": len(planned.stacks),
            "cost_flops": planned.cost_flops,
            "steps": sum(len(stack.runs) * stack.shape.steps for stack in planned.stacks),
        },
        "spec": spec.to_json(),
        "arms": _planned_arms(planned.arms),
    }


def _planned_arms(arms: Sequence[PlannedArm]) -> list[dict[str, Any]]:
    return [
        {
            "position": arm.position,
            "label": arm.label,
            "activation": {"name": arm.activation.name, **dict(arm.activation.parameters)},
            "swept": dict(arm.swept),
            "baseline": arm.baseline,
        }
        for arm in arms
    ]
