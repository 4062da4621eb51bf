"""The sweep of a request: paths to fields of its sections, each with the values to go through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma

from lab.catalog.datasets import DATASETS
from lab.spec import DatasetSpec
from service.allowed import Keys
from service.entries import dataset_entry
from service.fields import Described, Field, ListOf, ParameterValue, given_value

LENGTHS = ("training.steps", "training.epochs")


class Sweep(Field):
    """Path to a list of distinct values, each read by the very field that the path names."""

    allowed = "an object of paths, such as network.depth, each with a list of values"

    def __init__(self, sections: Mapping[str, type[ma.Schema]], **options: Any) -> None:
        super().__init__(**options)
        self._fields: dict[str, Field] = {
            f"{section}.{name}": field
            for section, schema in sections.items()
            for name, field in schema().load_fields.items()
            if isinstance(field, Field)
        }

    def described(self) -> Described:
        paths = {path: _values(field).described() for path, field in self._fields.items()}
        return {
            "type": "object",
            "properties": paths | _any_dataset(),
            "additionalProperties": False,
            "example": {"network.depth": [2, 4, 8]},
        }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> tuple[tuple[str, Any], ...]:  # noqa: ARG002
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        known = self._fields | _of_dataset(given_value(data, ["dataset"]))
        errors: dict[str, Any] = {}
        swept: list[tuple[str, Any]] = []
        for path, values in value.items():
            if path not in known:
                errors[path] = [Keys(known)]
                continue
            try:
                swept.append((path, _values(known[path]).deserialize(values)))
            except ma.ValidationError as error:
                errors[path] = error.messages
        errors |= _two_lengths(value, given_value(data, ["training"]))
        if errors:
            raise ma.ValidationError(errors)
        return tuple(swept)


def _values(field: Field) -> ListOf:
    return ListOf(field, 1, "arms", distinct=True)


def _of_dataset(dataset: Any) -> dict[str, Field]:
    entry = dataset_entry(dataset, DATASETS, DatasetSpec().name)
    parameters = () if entry is None else entry.parameters
    return {f"dataset.{parameter.name}": ParameterValue(parameter) for parameter in parameters}


def _any_dataset() -> Described:
    """A path for every parameter of every data set. What it allows depends on the data set: any of these."""
    found: dict[str, list[Described]] = {}
    for entry in DATASETS.values():
        for parameter in entry.parameters:
            described = ParameterValue(parameter).described()
            kinds = found.setdefault(f"dataset.{parameter.name}", [])
            kinds += [described] if described not in kinds else []
    return {
        path: {"type": "array", "items": {"anyOf": kinds}, "minItems": 1, "uniqueItems": True}
        for path, kinds in found.items()
    }


def _two_lengths(sweep: Mapping[str, Any], training: Any) -> dict[str, list[str]]:
    given = {f"training.{name}" for name in training} if isinstance(training, dict) else set()
    swept = [path for path in LENGTHS if path in sweep]
    if len(swept) == 2:
        return {swept[1]: ["steps or epochs, not both"]}
    other = {*LENGTHS} - {*swept}
    return {swept[0]: [f"steps or epochs, not both: {other.pop()} is given"]} if swept and other & given else {}
