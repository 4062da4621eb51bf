"""`actlab demo`: the question the lab was made for, asked over HTTP of a lab that is started for it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from actlab.cli import tables
from actlab.cli.follow import following
from actlab.cli.frame import console
from actlab.cli.score import score
from actlab.client import ENDED, Json, Lab
from actlab.command import command
from actlab.errors import Unreachable
from actlab.operate.errors import CannotStart, Stopped, tail
from actlab.operate.place import Place, held
from actlab.operate.processes import check_parts
from actlab.operate.running import running_lab
from actlab.operate.stopping import StopWish

MARK = "made-by-actlab-demo"
REPORT = "report.html"
PROGRAMS = ("worker", "api", "sweeper")
POLL_S = 0.5

QUESTION: dict[str, Any] = {
    "name": "Why ReLU?",
    "tags": ["demo"],
    "dataset": {"name": "digits"},
    "network": {"depth": 6, "width": 64, "initialization": "pytorch"},
    "training": {"epochs": 20},
    "activations": ["relu", "leaky_relu", "tanh", "sigmoid", "gelu", "identity"],
    "baseline": "relu",
    "replicates": 5,
}
QUICK: dict[str, Any] = {**QUESTION, "network": {"depth": 3, "width": 16}, "training": {"epochs": 2}, "replicates": 2}


class DemoFailed(CannotStart):
    """The demo's experiment did not succeed."""


def demo(*, data: Path, workers: int | None, quick: bool) -> None:
    """Raises CannotStart, ProgramFailed or DemoFailed where there is no answer; exits with 130 at a signal."""
    check_parts()
    _check_ours(data)
    with held(data) as place, StopWish(_say) as wish:
        (place.folder / MARK).touch()
        place.clear()
        (place.folder / REPORT).unlink(missing_ok=True)
        try:
            _ask(place, wish, QUICK if quick else QUESTION, workers)
        except Stopped:
            _say("The demo was interrupted; all it started is stopped.")
            raise SystemExit(130) from None


def _ask(place: Place, wish: StopWish, question: Json, workers: int | None) -> None:
    _say("Starting a lab for the demo ...")
    with running_lab(place, host="127.0.0.1", port=0, workers=workers, wish=wish) as running, Lab(running.url) as lab:
        running.supervisor.say = _say
        experiment = lab.submit(question)
        _say(f"Asked {running.url}: {question['name']} ({experiment['plan']['runs']} networks)")
        with following(lab) as look:
            while experiment["state"] not in ENDED:
                wish.wait(POLL_S)
                running.tend()
                # An API that has died is not there until it was tended to.
                with suppress(Unreachable):
                    experiment = lab.get(experiment["id"])
                look(experiment)
            end = experiment
        if end["state"] != "succeeded":
            raise DemoFailed(_what_failed(end, place))
        console().print(tables.conditions(end), tables.summary(lab.summary(end["id"]), score(lab, end)), sep="\n")
        report = lab.report(end["id"], place.folder / REPORT)
        click.echo(f"\nThe report is in {report}")
    reopened = command("up", "--data", os.path.relpath(place.folder))
    click.echo(f"The demo's lab has stopped. To reopen it with what it found: {reopened}")
    click.echo(f"Then, to ask the same from an initialization that keeps ReLU's gradients: {_from_he(question)}")


def _from_he(question: Json) -> str:
    """The command that asks the question of networks with He's initialization."""
    options = {
        "--activations": ",".join(question["activations"]),
        "--depth": question["network"]["depth"],
        "--width": question["network"]["width"],
        "--initialization": "he_normal",
        "--epochs": question["training"]["epochs"],
        "--replicates": question["replicates"],
    }
    return command("run", *(str(word) for option in options.items() for word in option))


def _check_ours(folder: Path) -> None:
    """What another demo left is removed; anything else is not touched."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise CannotStart(f"The folder {folder} holds something that is not a demo's. Choose another with --data.")


def _say(line: str) -> None:
    # The terminal may be gone; that is no reason to leave programs behind.
    with suppress(OSError):
        click.echo(line, err=True)


def _what_failed(end: Json, place: Place) -> str:
    logs = [f"{program}.log ends with:\n{tail(place.logs / f'{program}.log')}" for program in PROGRAMS]
    return "\n".join([f"The demo's experiment is {end['state']}.", *tables.failures(end), *logs])
