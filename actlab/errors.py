"""What can go wrong between a client and a lab. Each message is for the person who asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class LabError(Exception):
    """Something the lab, or the way to it, refuses or cannot do."""


class Unreachable(LabError):
    """No lab answers at the address, or it stopped answering."""


class TimedOut(LabError):
    """What was waited for has not happened in the time given. The experiment goes on."""


class Refused(LabError):
    """The lab answered with a problem. `fields` holds one entry per offending field: field, given, allowed, message."""

    def __init__(self, problem: Mapping[str, Any], status: int) -> None:
        self.status = status
        self.title = str(problem.get("title") or f"HTTP status {status}")
        self.detail = str(problem.get("detail") or "")
        self.fields: Sequence[Mapping[str, Any]] = problem.get("errors") or ()
        super().__init__(self._message())

    def _message(self) -> str:
        said = f"{self.title}: {self.detail}" if self.detail else self.title
        # A problem's detail often is the fields' messages joined: don't say them twice.
        messages = [_of_field(entry) for entry in self.fields]
        return "\n".join([said, *(f"  {message}" for message in messages if message not in self.detail)])


class NotFound(Refused):
    """There is nothing under that id."""


class Conflict(Refused):
    """The experiment's state does not allow what was asked."""


def refusal(problem: Mapping[str, Any], status: int) -> Refused:
    kind = {404: NotFound, 409: Conflict}.get(status, Refused)
    return kind(problem, status)


def _of_field(entry: Mapping[str, Any]) -> str:
    if entry.get("message"):
        return str(entry["message"])
    allowed = f"; allowed: {entry['allowed']}" if entry.get("allowed") else ""
    return f"{entry.get('field', 'the request')}: given {entry.get('given')!r}{allowed}."
