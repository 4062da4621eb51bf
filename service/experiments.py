"""Experiments: submitted, listed, watched, cancelled, retried, deleted."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from flask import Response, jsonify, request, url_for
from sqlalchemy.orm import Session

from lab.errors import Conflict, FieldError, InvalidRequest, NotFound
from lab.forecast import Load, forecast
from lab.plan import Plan, plan
from lab.spec import ExperimentSpec, request_digest
from service.answers import CancelledAnswer, DryRunAnswer, EventAnswer, ExperimentAnswer, page_of
from service.auth import bearer, check_quotas, check_quotas_before, owner_filter
from service.blueprint import Blueprint
from service.parts import limits, parts
from service.query_strings import CancelQuery, ExperimentsQuery, HistoryQuery, SubmitHeaders, SubmitQuery
from service.rendered import Rendered
from service.rendering import arm_json, event_json, experiment_json, plan_json
from service.schemas import ChangeSchema, ExperimentSchema, ReplicatesSchema
from service.waking import wake
from store import deletions, pace, replicates, retries, submissions, work
from store.commits import keep, keep_once
from store.history import history
from store.models import Experiment
from store.submissions import ExperimentFilters

blueprint = Blueprint(
    "experiments", __name__, url_prefix="/v1/experiments", description="What was asked, and how far it is."
)

# Each takes some milliseconds: a request takes a second or two.
_MOST_CANCELLED = 200


@blueprint.route("", methods=["POST"])
@blueprint.arguments(ExperimentSchema, examples={"smallest": {"value": {"activations": ["relu", "tanh"]}}})
@blueprint.arguments(SubmitQuery, location="query")
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.alt_response(200, schema=DryRunAnswer, description="The plan of a dry run.")
@blueprint.response(202, ExperimentAnswer, headers={"Location": {"schema": {"type": "string"}}})
def submit(spec: ExperimentSpec, query: dict[str, Any], headers: dict[str, Any]) -> Any:
    """Ask for an experiment."""
    planned, key = plan(spec, limits()), headers["key"]
    if query["dry_run"]:
        return jsonify(DryRunAnswer().dump(_dry_run(spec, planned)))

    def write(session: Session) -> dict[str, Any]:
        check_quotas_before(session, planned, key)
        experiment = submissions.submit(session, spec, planned, owner=bearer().name, idempotency_key=key)
        _check_same(experiment, spec, key)
        check_quotas(session)
        counts = submissions.counts_when_new(experiment) or submissions.counts(session, experiment.id)
        return experiment_json(experiment, counts)

    def is_kept(session: Session, made: dict[str, Any]) -> bool:
        return submissions.are_kept(session, [made["id"]])

    answer = keep_once(parts().database, write, is_kept=is_kept)
    return _queued(answer, answer["plan"]["stacks"])


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
        return {
            "items": [experiment_json(experiment, counts[experiment.id]) for experiment in found],
            "next": following,
        }


@blueprint.route("/<uuid:experiment_id>", methods=["GET"])
@blueprint.alt_response(304, description="Nothing has changed since the answer with this ETag.", success=True)
@blueprint.response(200, ExperimentAnswer, headers={"ETag": {"schema": {"type": "string"}}})
def get(experiment_id: Any) -> Any:
    """Show an experiment: its state, and how far it is.

    Whoever asks again with the answer's ETag may be told of a change half a second late, and never of an older state.
    """
    # Looked at first: an answer newer than its tag is asked for once more, an older one would be kept.
    version = parts().versions.of(str(experiment_id))
    if request.if_none_match.contains_weak(version):
        return answered(version, None)
    return answered(version, shown(str(experiment_id), version))


def answered(version: str, text: bytes | None) -> Response:
    """The answer to `get`: `text` at `version`, None for whoever has it."""
    response = Response(status=304) if text is None else Response(text, mimetype="application/json")
    response.set_etag(version, weak=True)
    return response


def shown_already(rendered: Rendered, experiment_id: str, version: str) -> bytes | None:
    """The text that `shown` has made, where it has."""
    return rendered.kept((experiment_id,), version)


def shown(experiment_id: str, version: str) -> bytes:
    """The text of that answer, rendered once for all who ask for it at this version, which must have been read before.
    Raises NotFound.
    """
    return parts().rendered.of((experiment_id,), version, lambda: _render(experiment_id))


@blueprint.route("/<uuid:experiment_id>", methods=["PATCH"])
@blueprint.arguments(ChangeSchema, examples={"renamed": {"value": {"name": "Depth", "tags": ["tanh"]}}})
@blueprint.response(200, ExperimentAnswer)
def change(given: dict[str, Any], experiment_id: Any) -> dict[str, Any]:
    """Change the name, the tags or both. What is left out stays; the numbers have nothing to do with either."""

    def write(session: Session) -> dict[str, Any]:
        experiment = submissions.change(session, str(experiment_id), **given)
        return experiment_json(experiment, submissions.counts(session, experiment.id))

    return keep(parts().database, write)


@blueprint.route("/cancel", methods=["POST"])
@blueprint.arguments(CancelQuery, location="query")
@blueprint.response(202, CancelledAnswer)
def cancel_found(query: dict[str, Any]) -> dict[str, Any]:
    """Cancel every experiment that the list shows for these filters and that has not ended, a batch at a time.

    Where the answer says that there are more, ask again.
    """
    del query["everything"]
    with parts().database.reading() as session:
        found = submissions.still_open(
            session, ExperimentFilters(**query, owner=owner_filter()), limit=_MOST_CANCELLED + 1
        )
    cancelled = sum(_cancelled(experiment_id) for experiment_id in found[:_MOST_CANCELLED])
    return {"cancelled": cancelled, "more": len(found) > _MOST_CANCELLED}


@blueprint.route("/<uuid:experiment_id>/cancel", methods=["POST"])
@blueprint.alt_response(409, "CONFLICT")
@blueprint.response(202, ExperimentAnswer)
def cancel(experiment_id: Any) -> dict[str, Any]:
    """Cancel an experiment: queued work ends now, running work within seconds."""

    def write(session: Session) -> dict[str, Any]:
        experiment = submissions.cancel(session, str(experiment_id))
        return experiment_json(experiment, submissions.counts(session, experiment.id))

    return keep(parts().database, write)


@blueprint.route("/<uuid:experiment_id>/retry", methods=["POST"])
@blueprint.alt_response(409, "CONFLICT")
@blueprint.response(202, ExperimentAnswer, headers={"Location": {"schema": {"type": "string"}}})
def retry(experiment_id: Any) -> Any:
    """Run again what failed or was cancelled; what succeeded stays."""

    def write(session: Session) -> tuple[dict[str, Any], int]:
        experiment, n_stacks = retries.retry(session, str(experiment_id))
        check_quotas(session)
        return experiment_json(experiment, submissions.counts(session, experiment.id)), n_stacks

    # Asked of what was queued by the first, the second finds nothing that has ended.
    return _queued(*keep(parts().database, write, already=(Conflict,)))


@blueprint.route("/<uuid:experiment_id>/replicates", methods=["POST"])
@blueprint.arguments(ReplicatesSchema, examples={"as many in all": {"value": {"replicates": 20}}})
@blueprint.alt_response(409, "CONFLICT")
@blueprint.response(202, ExperimentAnswer, headers={"Location": {"schema": {"type": "string"}}})
def extend(given: dict[str, Any], experiment_id: Any) -> Any:
    """Train more replicates of an experiment that has ended. The number is of all, so that asking twice is asking once.

    What there is stays as it is, to the bit. The added networks get the seeds that they would have had from the start.
    """

    def write(session: Session) -> tuple[dict[str, Any], int]:
        experiment, n_stacks = replicates.extend(session, str(experiment_id), limits=limits(), **given)
        check_quotas(session)
        return experiment_json(experiment, submissions.counts(session, experiment.id)), n_stacks

    return _queued(*keep(parts().database, write))


@blueprint.route("/<uuid:experiment_id>/history", methods=["GET"])
@blueprint.arguments(HistoryQuery, location="query")
@blueprint.response(200, page_of(EventAnswer, "HistoryPage"))
def show_history(query: dict[str, Any], experiment_id: Any) -> dict[str, Any]:
    """List every change of state of the experiment and its stacks, in the order in which they happened."""
    with parts().database.reading() as session:
        submissions.get(session, str(experiment_id))
        found, following = history(session, str(experiment_id), limit=query["limit"], after=query["cursor"])
        return {"items": [event_json(event) for event in found], "next": following}


@blueprint.route("/<uuid:experiment_id>", methods=["DELETE"])
@blueprint.response(204)
def delete(experiment_id: Any) -> None:
    """Delete an experiment with all its results. It is gone at once; its work stops and its rows go soon after."""
    keep(parts().database, partial(deletions.delete, experiment_id=str(experiment_id)), already=(NotFound,))


def _render(experiment_id: str) -> bytes:
    with parts().database.reading() as session:
        experiment = submissions.get(session, experiment_id)
        counts = submissions.counts(session, experiment_id)
    return jsonify(_EXPERIMENT.dump(experiment_json(experiment, counts))).get_data()


# Made once: a schema is put together anew, with all that are nested in it, each time that it is called for.
_EXPERIMENT = ExperimentAnswer()


def _cancelled(experiment_id: str) -> bool:
    """Each in a transaction of its own, so that none waits for another's workers. One that has ended meanwhile, or is
    gone, is none of them.
    """
    try:
        keep(parts().database, partial(submissions.cancel, experiment_id=experiment_id))
    except (Conflict, NotFound):
        return False
    return True


def _queued(answer: dict[str, Any], n_stacks: int) -> Any:
    """What is said of work that was queued, once workers have been told."""
    wake(n_stacks)
    return answer, {"Location": url_for("experiments.get", experiment_id=answer["id"])}


def _check_same(experiment: Experiment, spec: ExperimentSpec, key: str | None) -> None:
    if key is not None and experiment.request_digest != request_digest(spec):
        allowed = "a new key: this one belongs to another request"
        raise InvalidRequest([FieldError("Idempotency-Key", key, allowed)])


def _dry_run(spec: ExperimentSpec, planned: Plan) -> dict[str, Any]:
    experiment = submissions.drafted(spec, planned)
    arms = [work.drafted_arm(arm) for arm in planned.arms]
    with parts().database.reading() as session:
        measured, processes = pace.measured(session), pace.processes(session)
    loads = [Load(stack.cost_flops, stack.shape.steps) for stack in planned.stacks]
    return {
        "plan": plan_json(experiment),
        "forecast": asdict(forecast(loads, measured, processes)),
        "spec": experiment.spec,
        "arms": [arm_json(arm) for arm in arms],
    }
