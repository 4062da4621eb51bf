"""`actlab up`: a lab on this machine until it is told to stop."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from actlab.client import DEFAULT_URL
from actlab.command import command
from actlab.operate.errors import Stopped
from actlab.operate.place import held
from actlab.operate.processes import check_parts
from actlab.operate.running import RunningLab, running_lab
from actlab.operate.stopping import StopWish

TEND_S = 0.25
INTERRUPTED = 130


def up(*, host: str, port: int, data: Path, workers: int | None) -> None:
    """Returns when a signal has stopped the lab. Raises CannotStart or ProgramFailed where it does not come up."""
    check_parts()
    with held(data) as place, StopWish(_say) as wish:
        try:
            _say("Starting the lab ...")
            with running_lab(place, host=host, port=port, workers=workers, wish=wish) as lab:
                lab.supervisor.say = _say
                _say(f"The lab is up at {lab.url}")
                _say(f"Its data are in {place.folder}, its logs in {place.logs}. Ctrl-C stops it; the data stay.")
                if lab.url != DEFAULT_URL:
                    _say(f"For other terminals: export ACTLAB_URL={lab.url}")
                if lab.asks_for_tokens:
                    _say(f"It asks for tokens: {command('token', 'create', 'me', '--data', str(data))}")
                _keep_up(lab, wish)
        except Stopped:
            _say("Stopped before the lab was up.")
            raise SystemExit(INTERRUPTED) from None
        else:
            _say("The lab has stopped.")


def _keep_up(lab: RunningLab, wish: StopWish) -> None:
    with suppress(Stopped):
        while True:
            wish.wait(TEND_S)
            lab.tend()


def _say(line: str) -> None:
    # The terminal may be gone; that is no reason to leave programs behind.
    with suppress(OSError):
        print(line, flush=True)
