"""Files that commands write: whether one can be written is said before the work, not after it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


def writable(_ctx: click.Context, _param: click.Parameter, given: Any) -> Any:
    """An option's callback: the path, unchanged. Raises BadParameter where no file can be written there."""
    if given is None or str(given) == "-":
        return given
    path = Path(given)
    if not path.parent.is_dir():
        raise click.BadParameter(f"given {str(path)!r}, but there is no folder {str(path.parent)!r}.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise click.BadParameter(f"given {str(path)!r}, which cannot be written.")
    return given
