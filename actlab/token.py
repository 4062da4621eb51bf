"""Where a client has its token from. A token is a password: in a file it is for its owner alone."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from actlab.errors import LabError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MOST_BYTES = 4096


def found(file: str | Path | None = None) -> str | None:
    """What `file` holds, else ACTLAB_TOKEN, else what the file ACTLAB_TOKEN_FILE holds; None where there is none of
    them. Raises LabError where a file cannot be read, or others may read it too.
    """
    if file is not None:
        return _read(str(file), "The token file")
    if token := os.environ.get("ACTLAB_TOKEN"):
        return token.strip()
    named = os.environ.get("ACTLAB_TOKEN_FILE")
    return _read(named, "ACTLAB_TOKEN_FILE") if named else None


def _read(path: str, named_by: str) -> str:
    try:
        with Path(path).open("rb") as file:
            _check_private(path, os.fstat(file.fileno()))
            return file.read(_MOST_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{named_by}: {path!r} cannot be read: {error}.") from error


def _check_private(path: str, status: os.stat_result) -> None:
    """As ssh does with keys: the files of others, such as secrets that are mounted into a container, are theirs."""
    if os.name == "posix" and status.st_uid == os.getuid() and status.st_mode & _OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise LabError(
            f"Others may read or change the token in {path!r} (its mode is {mode:04o}), so it is not used. "
            f"Keep it to yourself: chmod 600 {shlex.quote(path)}"
        )
