"""Progress of an experiment on stderr: a live bar at a terminal, now and then a plain line in a log."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from actlab.cli.frame import console
from actlab.client import Json, Lab
from actlab.progress import LINE_EVERY_S, Lines, counts, remaining


@contextmanager
def following(lab: Lab, *, quiet: bool = False) -> Iterator[Callable[[Json], None]]:
    """What to call with the experiment at every look at it."""
    if quiet:
        yield lambda experiment: None
    elif sys.stderr.isatty():
        with _live(lab) as look:
            yield look
    else:
        yield Lines(partial(click.echo, err=True), lab.waits_for).look


@contextmanager
def _live(lab: Lab) -> Iterator[Callable[[Json], None]]:
    columns = (
        TextColumn("{task.fields[state]:<9}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=console(err=True)) as progress:
        bar = progress.add_task("", total=1.0, state="")
        waits = _Sentences(progress.console.print, lab.waits_for)

        def look(experiment: Json) -> None:
            description = counts(experiment) + remaining(experiment)
            progress.update(bar, completed=experiment["progress"], description=description, state=experiment["state"])
            waits.look(experiment)

        yield look


class _Sentences:
    """What an experiment waits for, above its bar: now and then, and nothing twice in a row."""

    def __init__(self, say: Callable[[str], object], waits_for: Callable[[Json], str]) -> None:
        self._say, self._waits_for = say, waits_for
        self._said, self._said_at = "", -math.inf

    def look(self, experiment: Json) -> None:
        if time.monotonic() - self._said_at < LINE_EVERY_S:
            return
        waits = self._waits_for(experiment)
        if waits not in ("", self._said):
            self._say(waits)
            self._said, self._said_at = waits, time.monotonic()
