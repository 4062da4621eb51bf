"""The request for an experiment: JSON in, a frozen `ExperimentSpec` out. Defaults are those of `lab.spec`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

import marshmallow as ma

from lab.bounds import MOST_UNITS
from lab.catalog.activations import ACTIVATIONS
from lab.catalog.choices import DTYPES, NORMALIZATIONS, OPTIMIZERS, SPACINGS
from lab.catalog.datasets import DATASETS
from lab.catalog.initializations import INITIALIZATIONS
from lab.catalog.measurements import GEOMETRY
from lab.catalog.schedules import SCHEDULES
from lab.spec import (
    ActivationSpec,
    DatasetSpec,
    ExperimentSpec,
    NetworkSpec,
    RecordingSpec,
    TrainingSpec,
    with_value,
)
from service.allowed import Keys
from service.entries import Baseline, Entry
from service.fields import Choice, Flag, ListOf, NotNegative, Real, RealOrNull, Text, Whole
from service.sweep import LENGTHS, Sweep


class Strict(ma.Schema):
    """A JSON object of known keys; the message for any other says which are known."""

    elsewhere: ClassVar[tuple[str, ...]] = ()
    """Paths of keys that the request takes elsewhere, such as network.depth: who sends a key that is not known here may
    mean one of them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.error_messages |= {"type": "an object", "unknown": Keys(_keys(self), elsewhere=self.elsewhere)}


def _keys(schema: ma.Schema) -> list[str]:
    """As a request spells them."""
    return [field.data_key or name for name, field in schema.load_fields.items()]


class SpecSchema(Strict):
    """An object that becomes the dataclass `spec`, whose defaults are the fields' defaults."""

    spec: ClassVar[type]
    elsewhere = (
        *(f"network.{field.name}" for field in fields(NetworkSpec)),
        *(f"training.{field.name}" for field in fields(TrainingSpec)),
        *(f"recording.{field.name}" for field in fields(RecordingSpec)),
        *dict.fromkeys(f"dataset.{each.name}" for entry in DATASETS.values() for each in entry.parameters),
    )

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        # For the document only: a key that is left out is left to the dataclass.
        default = next(field.default for field in fields(self.spec) if field.name == field_name)
        if isinstance(default, bool | int | float | str):
            field_obj.metadata = {"default": default, **field_obj.metadata}

    @ma.post_load
    def made(self, data: dict[str, Any], **_: Any) -> Any:
        return self.spec(**data)


class Section(ma.fields.Nested):
    """A part of the request that is an object of its own; left out, it has every default."""

    def __init__(self, schema: type[SpecSchema], **options: Any) -> None:
        super().__init__(schema, load_default=schema.spec, **options)

    def make_error(self, key: str, **_: Any) -> ma.ValidationError:  # noqa: ARG002 - the reason makes no difference
        return ma.ValidationError("an object")


class NetworkSchema(SpecSchema):
    spec = NetworkSpec
    depth = Whole(1, "depth", metadata={"description": "Number of hidden layers."})
    width = Whole(1, "width", metadata={"description": "Units in each hidden layer."})
    normalization = Choice(NORMALIZATIONS)
    initialization = Choice(INITIALIZATIONS)
    gain = Real(0, 1000, metadata={"description": "Multiplies the weights' standard deviation at the start."})
    residual = Flag(metadata={"description": "Each hidden layer of equal width adds its input to its output."})


class TrainingSchema(SpecSchema):
    spec = TrainingSpec
    optimizer = Choice(OPTIMIZERS)
    learning_rate = Real(0, "learning_rate")
    schedule = Choice(SCHEDULES, metadata={"description": "How the learning rate changes over the run."})
    weight_decay = NotNegative(
        "weight_decay",
        metadata={"description": "Adds weight_decay * w to the gradient of every parameter; in adamw it is decoupled."},
    )
    clip_norm = RealOrNull(
        0,
        "clip_norm",
        metadata={
            "default": None,
            "description": "Longer gradients, over all parameters of a network, are shortened to this norm; "
            "null: none are.",
        },
    )
    batch_size = Whole(1, "batch_size", metadata={"description": "At most the training set is used."})
    steps = Whole(1, "steps", metadata={"description": "Number of updates. Not together with epochs."})
    epochs = Whole(1, "epochs", metadata={"description": "Not together with steps, which has no default."})
    dtype = Choice(DTYPES)

    @ma.validates_schema
    def one_length(self, data: dict[str, Any], **_: Any) -> None:
        if "steps" in data and "epochs" in data:
            raise ma.ValidationError("steps or epochs, not both", "epochs")

    @ma.post_load
    def made(self, data: dict[str, Any], **_: Any) -> TrainingSpec:
        return TrainingSpec(**({"epochs": None} | data if "steps" in data else data))


class RecordingSchema(SpecSchema):
    spec = RecordingSpec
    points = Whole(2, "points", metadata={"description": "Steps at which to measure, 0 and the last among them."})
    spacing = Choice(SPACINGS)
    probe_size = Whole(1, "probe_size", metadata={"description": "Training inputs on which statistics are taken."})
    geometry = Flag(
        metadata={
            "description": f"Also {', '.join(GEOMETRY)}, at step 0 and the last step. For networks of at most "
            f"{MOST_UNITS} hidden units."
        }
    )


class ExperimentSchema(SpecSchema):
    """The whole request. Only `activations` has no default."""

    spec = ExperimentSpec
    name = Text(0, 200)
    tags = ListOf(Text(1, 50), 0, 20, distinct=True, metadata={"default": []})
    dataset = Entry(DATASETS, DatasetSpec, load_default=DatasetSpec, metadata={"default": {"name": DatasetSpec().name}})
    network = Section(NetworkSchema)
    training = Section(TrainingSchema)
    activations = ListOf(Entry(ACTIVATIONS, ActivationSpec), 1, "arms", required=True)
    sweep = Sweep({"network": NetworkSchema, "training": TrainingSchema}, metadata={"default": {}})
    replicates = Whole(1, "replicates", metadata={"description": "Networks trained for each arm, one seed each."})
    seed = Whole(0, 2**63 - 1)
    baseline = Baseline(
        ACTIVATIONS,
        ActivationSpec,
        metadata={"description": "The activation that the others are compared with: the first unless given."},
    )
    recording = Section(RecordingSchema)

    @ma.post_load
    def made(self, data: dict[str, Any], **_: Any) -> ExperimentSpec:
        spec = ExperimentSpec(**data | {"baseline": _position(data.get("baseline"), data["activations"])})
        # The base value of a swept length is never used: a swept one takes its place, so that what the answer shows
        # can be asked again.
        for path, values in spec.sweep:
            if path in LENGTHS:
                spec = with_value(spec, path, values[0])
        return spec


class ChangeSchema(Strict):
    """What may change of an experiment on record."""

    name = Text(0, 200, load_default=None)
    tags = ListOf(Text(1, 50), 0, 20, distinct=True, load_default=None)

    @ma.validates_schema(pass_original=True)
    def something(self, data: dict[str, Any], original: Any, **_: Any) -> None:  # noqa: ARG002
        if not original:
            raise ma.ValidationError("an object with a name, tags or both")


class ReplicatesSchema(Strict):
    replicates = Whole(
        1,
        "replicates",
        required=True,
        metadata={"description": "Networks of each arm, those there are too."},
    )


def _position(baseline: str | ActivationSpec | None, activations: tuple[ActivationSpec, ...]) -> int:
    """Where in `activations` the baseline stands. A bare name will do where one entry has it."""
    if baseline is None:
        return 0
    matches = [i for i, entry in enumerate(activations) if baseline in (entry, entry.label)]
    named = [i for i, entry in enumerate(activations) if baseline == entry.name]
    if matches or len(named) == 1:
        return (matches or named)[0]
    labels = ", ".join(activation.label for activation in activations)
    raise ma.ValidationError(f"one of this request's activations: {labels}", "baseline")
