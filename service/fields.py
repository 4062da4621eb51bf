"""The fields of a request: strict about JSON's types, and each able to say what it allows, in words and in OpenAPI.

The message of every error is what is allowed; `service.refusals` adds what was given. An upper bound that a deployment
decides is named (`Whole(1, "depth")`) and looked up in the limits of the app that serves the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import marshmallow as ma

from lab.catalog.parameters import Choice as ChoiceParameter
from lab.catalog.parameters import Number, Parameter
from lab.catalog.parameters import Whole as WholeParameter
from lab.errors import InvalidRequest
from service.allowed import OneOf
from service.parts import limits

Described = dict[str, Any]

WITHOUT_NUL = r"^[^\u0000]*$"
"""Text that can be kept, in a document's own words."""


class Field(ma.fields.Field[Any]):
    """A field with one error message: what it allows. Null is a value like any other: refused unless allowed."""

    def __init__(self, *, allow_none: bool = False, **options: Any) -> None:
        # Left to marshmallow, null would be allowed wherever it is also what stands for "not given".
        super().__init__(allow_none=allow_none, **options)

    @property
    def allowed(self) -> str:
        raise NotImplementedError

    def described(self) -> Described:
        """The field as JSON Schema."""
        raise NotImplementedError

    def make_error(self, key: str, **_: Any) -> ma.ValidationError:  # noqa: ARG002 - the reason makes no difference
        return ma.ValidationError(self.allowed)


class Whole(Field):
    """A JSON integer within bounds: not 13.0, not "5", not true."""

    def __init__(self, minimum: int, maximum: int | str, **options: Any) -> None:
        super().__init__(**options)
        self.minimum, self._maximum = minimum, maximum

    @property
    def maximum(self) -> int:
        return int(_bound(self._maximum))

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.minimum} to {self.maximum}"

    def described(self) -> Described:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.minimum <= value <= self.maximum:
            raise self.make_error("invalid")
        return value


class Real(Field):
    """A JSON number above one bound and at most another: not "0.1", not true."""

    def __init__(self, above: float, maximum: float | str, **options: Any) -> None:
        super().__init__(**options)
        self.above, self._maximum = above, maximum

    @property
    def maximum(self) -> float:
        return _bound(self._maximum)

    @property
    def allowed(self) -> str:
        return f"a number above {self.above:g} and at most {self.maximum:g}"

    def described(self) -> Described:
        return {"type": "number", "exclusiveMinimum": self.above, "maximum": self.maximum}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.above < value <= self.maximum:
            raise self.make_error("invalid")
        return float(value)


class RealOrNull(Real):
    """Such a number, or null."""

    def __init__(self, above: float, maximum: float | str, **options: Any) -> None:
        super().__init__(above, maximum, allow_none=True, **options)

    @property
    def allowed(self) -> str:
        return f"{super().allowed}, or null"

    def described(self) -> Described:
        return super().described() | {"type": ["number", "null"]}


class NotNegative(Field):
    """A JSON number from 0 to a bound."""

    def __init__(self, maximum: float | str, **options: Any) -> None:
        super().__init__(**options)
        self._maximum = maximum

    @property
    def maximum(self) -> float:
        return _bound(self._maximum)

    @property
    def allowed(self) -> str:
        return f"a number from 0 to {self.maximum:g}"

    def described(self) -> Described:
        return {"type": "number", "minimum": 0, "maximum": self.maximum}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= self.maximum:
            raise self.make_error("invalid")
        # A zero of either sign is one value: JSON's -0.0 would make another digest.
        return float(value) or 0.0


class Flag(Field):
    """A JSON boolean: not 1, not "yes"."""

    allowed = "true or false"

    def described(self) -> Described:
        return {"type": "boolean"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Text(Field):
    """Text of bounded length. A character that Postgres cannot keep is refused."""

    def __init__(self, minimum: int, maximum: int, **options: Any) -> None:
        super().__init__(**options)
        self.minimum, self.maximum = minimum, maximum

    @property
    def allowed(self) -> str:
        return f"text of {self.minimum} to {self.maximum} characters"

    def described(self) -> Described:
        return {"type": "string", "minLength": self.minimum, "maxLength": self.maximum, "pattern": WITHOUT_NUL}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str) or not self.minimum <= len(value) <= self.maximum or "\0" in value:
            raise self.make_error("invalid")
        return value


class Choice(Field):
    """One of a few names."""

    def __init__(self, names: Iterable[str], **options: Any) -> None:
        super().__init__(**options)
        self.names = tuple(names)

    @property
    def allowed(self) -> str:
        return OneOf(self.names)

    def described(self) -> Described:
        return {"type": "string", "enum": list(self.names)}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str) or value not in self.names:
            raise self.make_error("invalid")
        return value


class ListOf(Field):
    """A list of bounded length, as a tuple; `distinct` refuses a value that stands there already."""

    # A query may repeat such a parameter.
    is_multiple = True

    def __init__(
        self, inner: Field, minimum: int, maximum: int | str, *, distinct: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self.inner, self.minimum, self._maximum, self.distinct = inner, minimum, maximum, distinct

    @property
    def maximum(self) -> int:
        return int(_bound(self._maximum))

    @property
    def allowed(self) -> str:
        return f"a list of {self.minimum} to {self.maximum} entries"

    def described(self) -> Described:
        items = {"type": "array", "items": self.inner.described(), "minItems": self.minimum, "maxItems": self.maximum}
        return items | ({"uniqueItems": True} if self.distinct else {})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not self.minimum <= len(value) <= self.maximum:
            raise self.make_error("invalid")
        read: dict[int, Any] = {}
        errors: dict[int, Any] = {}
        for i, entry in enumerate(value):
            try:
                read[i] = self.inner.deserialize(entry)
            except ma.ValidationError as error:
                errors[i] = error.messages
        if self.distinct:
            errors |= {i: ["each value once"] for i in _repeated(read)}
        if errors:
            raise ma.ValidationError(errors)
        return tuple(read.values())


class ParameterValue(Field):
    """The value of one parameter that a catalog entry declares."""

    def __init__(self, parameter: Parameter, **options: Any) -> None:
        super().__init__(**options)
        self.parameter = parameter

    @property
    def allowed(self) -> str:
        return OneOf(self.parameter.options) if isinstance(self.parameter, ChoiceParameter) else self.parameter.allowed

    def described(self) -> Described:
        said = {"default": self.parameter.default, "description": self.parameter.description}
        match self.parameter:
            case Number(minimum=minimum, maximum=maximum):
                return {"type": "number", "minimum": minimum, "maximum": maximum, **said}
            case WholeParameter(minimum=minimum, maximum=maximum):
                return {"type": "integer", "minimum": minimum, "maximum": maximum, **said}
            case ChoiceParameter(options=options):
                return {"type": "string", "enum": list(options), **said}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        try:
            return self.parameter.read(value)
        except InvalidRequest:
            # The field knows its path in the request; the parameter does not.
            raise self.make_error("invalid") from None


class _Nothing:
    """What is given where nothing is."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()


def given_value(data: Any, path: Iterable[Any]) -> Any:
    """What `data` holds at `path`; NOTHING where it holds nothing there."""
    for key in path:
        if isinstance(data, Mapping):
            data = data.get(key, NOTHING)
        elif isinstance(data, list | tuple) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            return NOTHING
    # A query's parameters answer so for one that is not there.
    return NOTHING if data is ma.missing else data


def _bound(maximum: float | str) -> float:
    return getattr(limits(), maximum) if isinstance(maximum, str) else maximum


def _repeated(values: Mapping[int, Any]) -> list[int]:
    first: dict[Any, int] = {}
    return [i for i, value in values.items() if first.setdefault(value, i) != i]
