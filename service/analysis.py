"""What follows from an experiment: comparisons with the baseline, the summary in words, figures."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from lab.catalog.measurements import CURVES, DERIVED, MEASUREMENTS
from lab.errors import FieldError, InvalidRequest
from lab.plan import arms_of
from lab.spec import ExperimentSpec
from lab.statistics import ArmComparison, Estimate, adjustment
from service.answers import ComparisonAnswer, FigureAnswer, SummaryAnswer
from service.blueprint import Blueprint
from service.conclusions import concluded
from service.drawing import FIGURES, draw
from service.findings import Findings, compared, find, smallest_probe
from service.parts import parts
from service.query_strings import ComparisonQuery
from store import queries, submissions
from store.metrics import REVIVED_SHARE, WITHOUT_A_STEP, MetricValues, metric_values
from store.models import Arm, Experiment

blueprint = Blueprint(
    "analysis", __name__, url_prefix="/v1/experiments/<uuid:experiment_id>", description="What follows."
)

_TAG = {"ETag": {"schema": {"type": "string"}}}
_not_modified = blueprint.alt_response(304, description="The answer with this ETag still holds.", success=True)
_FIGURE = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "enum": list(FIGURES)}}


@blueprint.route("/comparison")
@blueprint.arguments(ComparisonQuery, location="query")
@_not_modified
@blueprint.response(200, ComparisonAnswer, headers=_TAG)
def comparison(query: dict[str, Any], experiment_id: Any) -> Response:
    """Compare the arms in one metric, each with the baseline, in pairs of equal seeds."""
    asked = (query["metric"], query["layer"], query["at"], query["level"])
    with parts().database.reading() as session:
        experiment = submissions.get(session, str(experiment_id))

        def make() -> Any:
            return ComparisonAnswer().dump(_comparison(session, experiment, query))

        return concluded(experiment, "comparison", *asked, make=make)


def _comparison(session: Session, experiment: Experiment, query: dict[str, Any]) -> dict[str, Any]:
    metric, level = query["metric"], query["level"]
    spec = ExperimentSpec.from_json(experiment.spec)
    _check_layer(query["layer"], spec)
    arms = queries.arms(session, experiment.id)
    values = metric_values(session, experiment.id, metric, layer=query["layer"], at=query["at"])
    results = compared(arms, values, level=level)
    labels = {arm.position: arm.label for arm in arms}
    return {
        "metric": metric,
        "definition": (CURVES | DERIVED | MEASUREMENTS)[metric].definition,
        "layer": (query["layer"] or "mean") if metric in (*MEASUREMENTS, REVIVED_SHARE) else None,
        "at": None if metric in WITHOUT_A_STEP else query["at"],
        "level": level,
        "probe_size": smallest_probe(arms),
        "baseline": spec.activations[spec.baseline].label,
        "arms": [_compared(arm, results[arm.position], values, labels) for arm in arms],
        "note": adjustment({labels[position]: found for position, found in results.items()}, level=level),
    }


@blueprint.route("/summary")
@_not_modified
@blueprint.response(200, SummaryAnswer, headers=_TAG)
def summary(experiment_id: Any) -> Response:
    """The experiment in one table and a few sentences."""
    with parts().database.reading() as session:
        experiment = submissions.get(session, str(experiment_id))

        def make() -> Any:
            return SummaryAnswer().dump(table(find(session, experiment.id)))

        return concluded(experiment, "summary", make=make)


@blueprint.route("/figures/<name>", parameters=[_FIGURE])
@_not_modified
@blueprint.response(200, FigureAnswer, headers=_TAG)
def figure(experiment_id: Any, name: str) -> Response:
    """A figure, as Plotly draws it."""
    with parts().database.reading() as session:
        experiment = submissions.get(session, str(experiment_id))
        return concluded(experiment, "figure", name, make=lambda: draw(session, experiment.id, name))


def table(findings: Findings) -> dict[str, Any]:
    """The summary as the API shows it."""
    probe_sizes = {arm.position: arm.probe_size for arm in findings.arms}
    rows = [
        {
            "arm": arm,
            "label": summary.label,
            "test_accuracy": _estimated(findings.test_accuracy[arm]),
            "test_loss": _estimated(findings.test_loss[arm]),
            "dead_fraction_start": summary.dead_fraction_start.mean,
            "dead_fraction_end": summary.dead_fraction_end.mean,
            "gradient_ratio": summary.gradient_ratio.mean,
            "gradient_ratio_predicted": summary.theory and summary.theory.prediction.predicted,
            "gradient_ratio_agreement": summary.theory and summary.theory.outcome,
            "activation_mean": summary.activation_mean.mean,
            "n": summary.score.estimate.n,
            "failed": summary.failed,
            "cancelled": len(summary.cancelled),
            "diverged": summary.diverged,
            "probe_size": probe_sizes[arm],
        }
        for arm, summary in findings.summaries.items()
    ]
    return {"table": rows, "answer": findings.answer, "probe_size": findings.probe_size}


def _check_layer(layer: int | None, spec: ExperimentSpec) -> None:
    deepest = max(arm.network.depth for arm in arms_of(spec))
    if layer is not None and layer > deepest:
        raise InvalidRequest([FieldError("layer", layer, f"mean, or a whole number from 1 to {deepest}")])


def _estimated(estimate: Estimate) -> dict[str, Any]:
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high, "n": estimate.n}


def _compared(arm: Arm, result: ArmComparison, values: MetricValues, labels: dict[int, str]) -> dict[str, Any]:
    difference = result.difference
    return {
        "arm": arm.position,
        "label": arm.label,
        "swept": arm.swept,
        **asdict(result.estimate),
        "failed": values.failed[arm.position],
        "cancelled": len(values.cancelled[arm.position]),
        "diverged": values.diverged[arm.position],
        "probe_size": arm.probe_size,
        "difference": None if difference is None else {"to": labels[arm.baseline_position], **asdict(difference)},
    }
