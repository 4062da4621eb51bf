"""What all commands share: where the lab is, how an answer is printed, and how an error becomes a sentence."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from actlab.client import Json, Lab
from actlab.errors import LabError

Command = TypeVar("Command", bound=Callable[..., Any])

_UNESCAPED = re.compile("[\x7f-\x9f]")

# In a file or a pipe there is no width to keep to, and a folded table cannot be searched.
WIDE = 200
# `last` and the beginning of an id are looked for among this many experiments.
RECENT = 200

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")
id_argument = click.argument("experiment_id", metavar="ID")


def lab_options(command: Command) -> Command:
    """Where the lab is, and with which token; the command gets it as `lab`, open until it ends."""

    @functools.wraps(command)
    def with_lab(*arguments: Any, url: str | None, token_file: Path | None, **options: Any) -> Any:
        with Lab(url, token_file=token_file) as lab:
            return command(*arguments, lab=lab, **options)

    in_file = click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        help="Holds the token for a lab that asks for one.  [default: ACTLAB_TOKEN, or the file ACTLAB_TOKEN_FILE]",
    )
    at = click.option("--url", help="The lab's address.  [default: ACTLAB_URL, or http://127.0.0.1:8000]")
    return at(in_file(with_lab))  # type: ignore[return-value]  # called with the options that make the lab


class Speaking(click.Group):
    """A group whose commands end with a sentence on stderr and exit code 1 where the lab, or the way to it, says no."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the name is click's
        """In the order they were added, which is the order a person needs them in."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LabError as error:
            click.echo(str(error), err=True)
            sys.exit(1)
        except BrokenPipeError:
            # The reader, such as `head`, has enough. Python would complain once more while it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)


def console(*, err: bool = False) -> Console:
    terminal = (sys.stderr if err else sys.stdout).isatty()
    return Console(stderr=err, width=None if terminal else WIDE, highlight=False, soft_wrap=not terminal)


def print_json(data: Any) -> None:
    # JSON escapes most of what would move a terminal's cursor, and may escape the rest.
    text = json.dumps(data, indent=2, ensure_ascii=False)
    click.echo(_UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def find(lab: Lab, given: str) -> Json:
    """The experiment that a person means: by its id, by the beginning of it, or `last`. Raises LabError."""
    if len(given) >= len("00000000-0000-0000-0000-000000000000"):
        return lab.get(given)
    recent = lab.list(limit=1 if given == "last" else RECENT)
    matches = [experiment for experiment in recent if given == "last" or experiment["id"].startswith(given)]
    if not matches:
        raise LabError(
            "There are no experiments yet." if given == "last" else f"No recent experiment's id begins with {given!r}."
        )
    if len(matches) > 1:
        raise LabError(f"{len(matches)} experiments' ids begin with {given!r}; give more of it.")
    return matches[0]
