"""The parameters that a catalog entry takes: their defaults, and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.errors import FieldError, unknown

Value = float | int | str


@dataclass(frozen=True, slots=True)
class Number:
    """A finite real number within [minimum, maximum]."""

    name: str
    default: float
    minimum: float
    maximum: float
    description: str

    @property
    def allowed(self) -> str:
        return f"a number from {self.minimum:g} to {self.maximum:g}"

    def read(self, given: Any, field: str) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise _Refused(FieldError(field, given, self.allowed))
        # The comparison is with the number as given: an integer of 400 digits cannot become a float.
        if not (self.minimum <= given <= self.maximum) or not math.isfinite(given):
            raise _Refused(FieldError(field, given, self.allowed))
        return float(given)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within [minimum, maximum]."""

    name: str
    default: int
    minimum: int
    maximum: int
    description: str

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.minimum} to {self.maximum}"

    def read(self, given: Any, field: str) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or not (self.minimum <= given <= self.maximum):
            raise _Refused(FieldError(field, given, self.allowed))
        return given


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few names."""

    name: str
    default: str
    options: tuple[str, ...]
    description: str

    @property
    def allowed(self) -> str:
        return "one of " + ", ".join(self.options)

    def read(self, given: Any, field: str) -> str:
        if not isinstance(given, str) or given not in self.options:
            raise _Refused(FieldError(field, given, self.allowed))
        return given


Parameter = Number | Whole | Choice


class _Refused(Exception):
    def __init__(self, error: FieldError) -> None:
        self.error = error


def read_parameters(
    declared: tuple[Parameter, ...], given: Mapping[str, Any], *, path: str
) -> tuple[dict[str, Value], list[FieldError]]:
    """The value of every declared parameter, defaults filled in, and what is wrong with what was given.

    `path` leads the field's name in an error, such as `activations.2` or `dataset`.
    """
    names = [parameter.name for parameter in declared]
    errors = [unknown(f"{path}.{name}", name, names or ["no parameters"]) for name in given if name not in names]
    values: dict[str, Value] = {}
    for parameter in declared:
        try:
            values[parameter.name] = parameter.read(
                given.get(parameter.name, parameter.default), f"{path}.{parameter.name}"
            )
        except _Refused as refused:
            errors.append(refused.error)
    return values, errors
