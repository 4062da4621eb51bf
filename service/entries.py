"""Entries of a catalog in a request: a bare name, or an object of the name and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import marshmallow as ma

from lab.catalog.parameters import Parameter
from lab.spec import ActivationSpec, DatasetSpec
from service.allowed import Keys, OneOf
from service.fields import NOTHING, WITHOUT_NUL, Described, Field, ParameterValue


class Catalogued(Protocol):
    """What activations and data sets have in common."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> tuple[Parameter, ...]: ...


Spec = Callable[[str, tuple[tuple[str, Any], ...]], ActivationSpec | DatasetSpec]


class Entry(Field):
    """An entry of `catalog`, read as a `spec` with every parameter's default filled in."""

    def __init__(self, catalog: Mapping[str, Catalogued], spec: Spec, **options: Any) -> None:
        super().__init__(**options)
        self.catalog, self.spec = catalog, spec

    @property
    def allowed(self) -> str:
        return OneOf(self.catalog, more="; or an object with such a name and its parameters")

    def described(self) -> Described:
        return {"anyOf": [{"type": "string", "enum": list(self.catalog)}, *map(_described, self.catalog.values())]}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> ActivationSpec | DatasetSpec:
        if isinstance(value, str):
            if value not in self.catalog:
                raise self.make_error("invalid")
            value = {"name": value}
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        name = value.get("name")
        if not isinstance(name, str) or name not in self.catalog:
            raise ma.ValidationError({"name": [OneOf(self.catalog)]})
        given = {key: part for key, part in value.items() if key != "name"}
        return self.spec(name, _parameters(self.catalog[name].parameters, given))


class Baseline(Entry):
    """An entry of the request's own `activations`, as it stands there, or its name or label. Text is left as it is."""

    def described(self) -> Described:
        text = {"type": "string", "maxLength": 200, "pattern": WITHOUT_NUL}
        return {"anyOf": [text, *map(_described, self.catalog.values())]}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return value if isinstance(value, str) else super()._deserialize(value)


def dataset_entry(value: Any, catalog: Mapping[str, Catalogued], default: str) -> Catalogued | None:
    """The catalog's entry that a request's `dataset` names, however wrong its parameters; None where it names none."""
    if value is NOTHING:
        return catalog[default]
    name = value.get("name") if isinstance(value, dict) else value
    return catalog.get(name) if isinstance(name, str) else None


def _parameters(declared: tuple[Parameter, ...], given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    fields = {parameter.name: ParameterValue(parameter) for parameter in declared}
    errors: dict[str, Any] = {key: [Keys(fields or ("no parameters",))] for key in given if key not in fields}
    values = {}
    for name, field in fields.items():
        try:
            values[name] = field.deserialize(given.get(name, field.parameter.default))
        except ma.ValidationError as error:
            errors[name] = error.messages
    if errors:
        raise ma.ValidationError(errors)
    return tuple(sorted(values.items()))


def _described(entry: Catalogued) -> Described:
    parameters = {parameter.name: ParameterValue(parameter).described() for parameter in entry.parameters}
    return {
        "type": "object",
        "description": entry.description,
        "properties": {"name": {"const": entry.name}, **parameters},
        "required": ["name"],
        "additionalProperties": False,
    }
