"""What can be asked for: activations, data sets, the smaller choices, measurements, and how much of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import marshmallow as ma

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.choices import NORMALIZATIONS, OPTIMIZERS
from lab.catalog.datasets import DATASETS
from lab.catalog.initializations import INITIALIZATIONS
from lab.catalog.measurements import CURVES, DERIVED, MEASUREMENTS, Measurement
from lab.catalog.parameters import Parameter
from lab.catalog.schedules import SCHEDULES
from lab.limits import Limits
from service.answers import Answer, Number, Text, Whole, page_of
from service.blueprint import Blueprint
from service.parts import limits

blueprint = Blueprint("catalog", __name__, url_prefix="/v1", description="What can be asked for.")


class ParameterAnswer(ma.Schema):
    name = Text(required=True)
    description = Text(required=True)
    default = ma.fields.Raw(required=True)
    minimum = Number()
    maximum = Number()
    options = ma.fields.List(Text())


class ActivationAnswer(Answer):
    name = Text()
    formula = Text()
    description = Text()
    kinks = ma.fields.List(
        Number(), metadata={"description": "Where the derivative jumps, with the default parameters."}
    )
    parameters = ma.fields.List(ma.fields.Nested(ParameterAnswer))


class DatasetAnswer(Answer):
    name = Text()
    description = Text()
    task = Text()
    n_inputs = Whole(metadata={"description": "With the default parameters."})
    n_outputs = Whole(metadata={"description": "Classes, or values to predict; with the default parameters."})
    n_train = Whole(metadata={"description": "With the default parameters."})
    n_test = Whole(metadata={"description": "With the default parameters."})
    parameters = ma.fields.List(ma.fields.Nested(ParameterAnswer))


class ChoiceAnswer(Answer):
    name = Text()
    description = Text()


class MeasurementAnswer(Answer):
    name = Text()
    kind = Text(metadata={"description": "measurement (by layer and step), curve (by step), or derived."})
    definition = Text()
    undefined = Text(metadata={"description": "When it is null by definition; empty where it never is."})


ChoicePage = page_of(ChoiceAnswer, "ChoicePage")
LimitsAnswer = Answer.from_dict(
    {field.name: Number() if isinstance(field.default, float) else Whole() for field in fields(Limits)}, name="Limits"
)


@blueprint.route("/activations")
@blueprint.response(200, page_of(ActivationAnswer, "ActivationPage"))
def activations() -> dict[str, Any]:
    """The activation functions, with their parameters."""
    return _page(
        {
            "name": entry.name,
            "formula": entry.formula,
            "description": entry.description,
            "kinks": entry.kinks(**entry.defaults),
            "parameters": _parameters(entry.parameters),
        }
        for entry in ACTIVATIONS.values()
    )


@blueprint.route("/datasets")
@blueprint.response(200, page_of(DatasetAnswer, "DatasetPage"))
def datasets() -> dict[str, Any]:
    """The data sets, with their sizes and parameters."""
    items = []
    for entry in DATASETS.values():
        n_train, n_test = entry.sizes(entry.defaults)
        items.append(
            {
                "name": entry.name,
                "description": entry.description,
                "task": entry.task,
                "n_inputs": entry.n_inputs(entry.defaults),
                "n_outputs": entry.n_outputs(entry.defaults),
                "n_train": n_train,
                "n_test": n_test,
                "parameters": _parameters(entry.parameters),
            }
        )
    return _page(items)


@blueprint.route("/initializations")
@blueprint.response(200, ChoicePage)
def initializations() -> dict[str, Any]:
    """How weights and biases may start."""
    return _page({"name": entry.name, "description": entry.description} for entry in INITIALIZATIONS.values())


@blueprint.route("/normalizations")
@blueprint.response(200, ChoicePage)
def normalizations() -> dict[str, Any]:
    """The normalizations."""
    return _choices(NORMALIZATIONS)


@blueprint.route("/optimizers")
@blueprint.response(200, ChoicePage)
def optimizers() -> dict[str, Any]:
    """The optimizers."""
    return _choices(OPTIMIZERS)


@blueprint.route("/schedules")
@blueprint.response(200, ChoicePage)
def schedules() -> dict[str, Any]:
    """How the learning rate may change over a run."""
    return _page({"name": entry.name, "description": entry.description} for entry in SCHEDULES.values())


@blueprint.route("/measurement-definitions")
@blueprint.response(200, page_of(MeasurementAnswer, "MeasurementPage"))
def measurement_definitions() -> dict[str, Any]:
    """What every number means."""
    kinds = {"measurement": MEASUREMENTS, "curve": CURVES, "derived": DERIVED}
    return _page(_measurement(kind, entry) for kind, entries in kinds.items() for entry in entries.values())


@blueprint.route("/limits")
@blueprint.response(200, LimitsAnswer)
def show_limits() -> dict[str, Any]:
    """How much one request may ask for."""
    return asdict(limits())


def _page(items: Any) -> dict[str, Any]:
    return {"items": list(items), "next": None}


def _choices(names: Mapping[str, str]) -> dict[str, Any]:
    return _page({"name": name, "description": description} for name, description in names.items())


def _measurement(kind: str, entry: Measurement) -> dict[str, Any]:
    return {"name": entry.name, "kind": kind, "definition": entry.definition, "undefined": entry.undefined}


def _parameters(declared: tuple[Parameter, ...]) -> list[dict[str, Any]]:
    return [asdict(parameter) for parameter in declared]
