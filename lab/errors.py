"""The one family of errors. Each says what was given and what is allowed; the doors translate it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a request. `field` is a dotted path, such as `network.depth`; `meant` is what was
    probably meant, as far as that can be guessed.
    """

    field: str
    given: Any
    allowed: str
    meant: str = ""

    @property
    def message(self) -> str:
        question = f" Did you mean {self.meant}?" if self.meant else ""
        return f"{self.field}: given {shown(self.given)}; allowed: {self.allowed}.{question}"


class LabError(Exception):
    """Something the lab refuses or cannot do."""


class InvalidRequest(LabError):
    """The request asks for something that is not allowed. Carries one entry per offending field."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__(" ".join(error.message for error in self.errors))


class NotFound(LabError):
    """There is nothing under that name or id."""


class Conflict(LabError):
    """The thing exists, but its state does not allow what was asked."""


class LeaseLost(LabError):
    """The stack is no longer this attempt's: another worker has it, or it has ended. Write nothing more."""


class NotInstalled(LabError):
    """The work needs a package that is not installed where it runs."""


class QuotaReached(LabError):
    """Whoever asks has as much under way as they may; `retry_after_s` says when to ask again."""

    def __init__(self, sentence: str, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(sentence)


class Unavailable(LabError):
    """A part the lab needs cannot be reached now."""


def shown(value: Any, length: int = 80) -> str:
    """`value` as a reader should see it in a message: quoted, on one line, cut at `length` characters."""
    text = repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"
