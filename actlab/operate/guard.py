"""Outlives a supervisor that was killed, to end the process groups it left and to remove its private folder.

Run by path, `python -IS guard.py FOLDER`, with a pipe from the supervisor as standard input: `+N` says that process
group N has started, `-N` that it has ended. The pipe closes when the supervisor ends, for whatever reason.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterable


def main(folder: str, lines: Iterable[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        groups.add(group) if line.startswith("+") else groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin)
