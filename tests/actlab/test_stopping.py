"""The wish to stop is seen once, whatever it comes from."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest

from actlab.operate.errors import Stopped
from actlab.operate.stopping import STOPPING, StopWish

# Its own session, without a controlling terminal: no signal tells it that the terminal is gone.
AT_A_TERMINAL = """
from actlab.operate.errors import Stopped
from actlab.operate.stopping import StopWish
with StopWish() as wish:
    print("ready", flush=True)
    try:
        wish.wait(30)
    except Stopped:
        print("stopped", wish.times)
"""


def test_a_terminal_that_is_closed_is_a_wish_to_stop() -> None:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-c", AT_A_TERMINAL]
    with subprocess.Popen(
        command, stdin=terminal, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        os.close(terminal)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        os.close(controller)

        assert process.communicate(timeout=10)[0] == "stopped 1\n"


def test_a_wish_is_said_at_once_and_only_once() -> None:
    said: list[str] = []

    with StopWish(said.append) as wish:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(2):
            with pytest.raises(Stopped):
                wish.check()

    assert said == [STOPPING]


def test_a_hang_up_does_not_hurry_but_a_second_interrupt_does() -> None:
    with StopWish() as wish:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        assert wish.times == 1

        os.kill(os.getpid(), signal.SIGINT)
        assert wish.times == 2
