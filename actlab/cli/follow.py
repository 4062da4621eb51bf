"""Progress of an experiment on stderr: a live bar at a terminal, now and then a plain line in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from actlab.cli.frame import console
from actlab.client import Json

# A plain line at a change of state, at every tenth, and at least this often.
LINE_EVERY_S = 30.0


@contextmanager
def following(*, quiet: bool = False) -> Iterator[Callable[[Json], None]]:
    """What to call with the experiment at every look at it."""
    if quiet:
        yield lambda experiment: None
    elif sys.stderr.isatty():
        with _live() as look:
            yield look
    else:
        yield _Lines().look


def counts(experiment: Json) -> str:
    """`12 of 30 runs done, 1 failed`: what happened to the runs."""
    runs = experiment["runs"]
    total = experiment["plan"]["runs"]
    said = [f"{runs['succeeded']} of {total} runs done"]
    said += [f"{runs[key]} {key}" for key in ("running", "failed", "cancelled", "diverged") if runs.get(key)]
    return ", ".join(said)


@contextmanager
def _live() -> Iterator[Callable[[Json], None]]:
    columns = (
        TextColumn("{task.fields[state]:<9}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=console(err=True)) as progress:
        bar = progress.add_task("", total=1.0, state="")

        def look(experiment: Json) -> None:
            description = counts(experiment) + remaining(experiment)
            progress.update(bar, completed=experiment["progress"], description=description, state=experiment["state"])

        yield look


class _Lines:
    """Remembers what was said last, so that a log gets a line only when there is something to say."""

    def __init__(self) -> None:
        self._said: tuple[str, int] = ("", -1)
        self._said_at = 0.0

    def look(self, experiment: Json) -> None:
        now = (experiment["state"], int(experiment["progress"] * 10))
        if now == self._said and time.monotonic() - self._said_at < LINE_EVERY_S:
            return
        self._said, self._said_at = now, time.monotonic()
        click.echo(f"{now[0]} {experiment['progress']:.0%}: {counts(experiment)}{remaining(experiment)}", err=True)


def remaining(experiment: Json) -> str:
    eta_s = experiment.get("eta_s")
    if not eta_s or experiment["state"] != "running":
        return ""
    return f", about {eta_s:.0f} s to go" if eta_s < 90 else f", about {eta_s / 60:.0f} min to go"
