"""What stops a lab from starting or staying up, as a sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

from actlab.errors import LabError


class CannotStart(LabError):
    """The lab was not started: something asked for is not allowed or not there."""


class ProgramFailed(LabError):
    """One of the lab's programs ended when it had to run. Carries the end of its log."""

    def __init__(self, message: str, log: Path) -> None:
        self.log = log
        super().__init__(f"{message} Its log, {log}, ends with:\n{tail(log)}")


class Stopped(BaseException):
    """The person, or the system, asked the lab to stop. Not an error, and no `except Exception` should hold it."""


def tail(log: Path, lines: int = 20) -> str:
    """The last `lines` lines of a log, indented."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return "  (there is none)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (it is empty)"
