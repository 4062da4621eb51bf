"""The parameters that a catalog entry takes: their defaults, and what is allowed. `read` raises InvalidRequest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lab.errors import FieldError, InvalidRequest

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

    def read(self, given: Any) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise InvalidRequest([FieldError(self.name, given, self.allowed)])
        # The comparison is with the number as given: an integer of 400 digits cannot become a float.
        if not (self.minimum <= given <= self.maximum) or not math.isfinite(given):
            raise InvalidRequest([FieldError(self.name, given, self.allowed)])
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

    def read(self, given: Any) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or not (self.minimum <= given <= self.maximum):
            raise InvalidRequest([FieldError(self.name, given, self.allowed)])
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

    def read(self, given: Any) -> str:
        if not isinstance(given, str) or given not in self.options:
            raise InvalidRequest([FieldError(self.name, given, self.allowed)])
        return given


Parameter = Number | Whole | Choice
