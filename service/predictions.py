"""Theory beside the measurement: what was predicted of every arm and layer at step 0, and whether networks agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import marshmallow as ma

from lab.agreement import LEVEL, OUTCOMES, Agreement, agreement, whole_network
from lab.catalog.predictions import PREDICTIONS
from lab.records import PredictedValue
from lab.statistics import FEWEST
from service.answers import Answer, EstimateAnswer, Number, Text, Whole, outcome, page_of
from service.blueprint import Blueprint
from service.parts import parts
from service.query_strings import PredictionsQuery
from store import predictions as kept
from store import queries, submissions
from store.models import Arm
from store.predictions import Measured

blueprint = Blueprint("predictions", __name__, url_prefix="/v1/experiments/<uuid:experiment_id>", description="Theory.")

_NONE_YET = "none is on record: the arm's first network has not begun, or began before predictions were kept"
_DEFINED = " ".join(f"{entry.name}: {entry.definition} Band: {entry.margin}" for entry in PREDICTIONS.values())
_MEASURED = f"Mean over networks with its {100 * LEVEL:g} % interval; of gradient_ratio the geometric mean."


def _number(description: str) -> Number:
    return Number(allow_none=True, metadata={"description": description})


class PredictionAnswer(Answer):
    layer = Whole(
        allow_none=True,
        metadata={
            "description": "Null for all layers together: the gradient ratio per layer of the network as a whole."
        },
    )
    quantity = Text(validate=ma.validate.OneOf(list(PREDICTIONS)), metadata={"description": _DEFINED})
    predicted = _number("Null where theory has no answer.")
    low = _number("Lower end of the band in which the mean over networks agrees.")
    high = _number("Upper end of the band.")
    measured = ma.fields.Nested(EstimateAnswer, metadata={"description": _MEASURED})
    missing = Whole(metadata={"description": "Planned networks without a value, but for cancelled ones."})
    ratio = _number("Measured over predicted.")
    margin = _number("How far the band reaches, where 0 and 1 do not cut it off; of gradient_ratio, in its logarithm.")
    agreement = outcome(
        f"agrees where the interval lies within the margin of the prediction, disagrees where it lies beyond, else "
        f"inconclusive; so too with fewer than {FEWEST} networks or a tenth of them missing."
    )
    reason = Text(metadata={"description": "Why there is no prediction, no comparison, or no conclusion."})


class OutcomesAnswer(Answer):
    agrees = Whole()
    disagrees = Whole()
    inconclusive = Whole()
    none = Whole(metadata={"description": "Nothing to compare: no prediction, or no network with a value."})


class PredictedArmAnswer(Answer):
    arm = Whole()
    label = Text()
    swept = ma.fields.Dict()
    probe_size = Whole(metadata={"description": "Inputs that prediction and measurement are of."})
    predictions = ma.fields.List(ma.fields.Nested(PredictionAnswer))
    outcomes = ma.fields.Nested(
        OutcomesAnswer, metadata={"description": "How many of the predictions came to each, the whole network's too."}
    )
    note = Text(metadata={"description": "Why there are no predictions."})


@blueprint.route("/predictions")
@blueprint.arguments(PredictionsQuery, location="query")
@blueprint.response(200, page_of(PredictedArmAnswer, "PredictedArmPage"))
def predictions(query: dict[str, Any], experiment_id: Any) -> dict[str, Any]:
    """Theory of wide networks beside what the experiment's networks show at step 0."""
    with parts().database.reading() as session:
        submissions.get(session, str(experiment_id))
        arms, following = queries.page_of_arms(
            session, str(experiment_id), positions=query["arm"], limit=query["limit"], after=query["cursor"]
        )
        positions = [arm.position for arm in arms]
        predicted = kept.predictions(session, str(experiment_id), positions)
        measured = kept.measured(session, str(experiment_id), positions)
    items = [_beside(arm, predicted[arm.position], measured[arm.position]) for arm in arms]
    return {"items": items, "next": following}


def _beside(arm: Arm, predicted: Sequence[PredictedValue], measured: Measured) -> dict[str, Any]:
    every = [*predicted, whole_network(predicted)] if predicted else []
    found = [agreement(each, measured.of(each.layer, each.quantity)) for each in every]
    came_to = Counter(each.outcome or "none" for each in found)
    return {
        "arm": arm.position,
        "label": arm.label,
        "swept": arm.swept,
        "probe_size": arm.probe_size,
        "predictions": [_shown(each) for each in found],
        "outcomes": {outcome: came_to[outcome] for outcome in (*OUTCOMES, "none")},
        "note": "" if predicted else _NONE_YET,
    }


def _shown(found: Agreement) -> dict[str, Any]:
    predicted, measured = found.prediction, found.measured
    return {
        "layer": predicted.layer,
        "quantity": predicted.quantity,
        "predicted": predicted.predicted,
        "low": predicted.low,
        "high": predicted.high,
        "measured": {"mean": measured.mean, "low": measured.low, "high": measured.high, "n": measured.n},
        "missing": found.missing,
        "ratio": found.ratio,
        "margin": found.margin,
        "agreement": found.outcome,
        "reason": found.reason,
    }
