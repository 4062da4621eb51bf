"""Becomes a program that dies with its parent, however the parent dies.

Run by path, `python -IS leash.py PARENT COMMAND...`, between fork and the program; so it imports the standard library
only. Children of the program are not on the leash: `guard.py` ends those. Where the kernel is not Linux there is no
such promise to ask for, and the guard does it all.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the kernel was asked.
    if os.getppid() != parent:
        sys.exit("The process that started this one is gone.")
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the program is the point; no shell is wanted
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}.")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
