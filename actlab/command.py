"""How a person calls this command here: what a hint says has to work when it is typed."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

NAME = "actlab"


def command(*words: str) -> str:
    """`actlab WORDS`, with the way to it where the shell would not find it, as in `.venv/bin/actlab up`."""
    return shlex.join((*_way(sys.argv[0]), *words))


def _way(called: str) -> tuple[str, ...]:
    if shutil.which(NAME) is not None:
        return (NAME,)
    if Path(called).name == NAME:
        return (called,)
    if Path(called) == Path(__file__).with_name("__main__.py"):
        return (sys.executable, "-m", NAME)
    # A notebook: nobody knows what its reader types.
    return (NAME,)
