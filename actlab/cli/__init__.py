"""The command `actlab`: one file per group of commands. Everything but `up`, `demo` and `token` talks HTTP to a lab."""

from __future__ import annotations

import click

from actlab.cli.claims import claim, claims
from actlab.cli.experiments import cancel, delete, history, list_experiments, replicates, retry, show, wait
from actlab.cli.frame import Speaking
from actlab.cli.local import demo, up
from actlab.cli.results import compare, export, predictions, report
from actlab.cli.run import run
from actlab.cli.tokens import token


@click.group(cls=Speaking, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="actlab", message="actlab %(version)s")
def main() -> None:
    """Find out, by experiment, what activation functions do to neural networks.

    \b
    Start a lab on this machine, then ask it something:
      actlab up
      actlab run --activations relu,tanh,sigmoid --depth 8

    Commands talk to the lab at --url, or ACTLAB_URL, or http://127.0.0.1:8000. Where a command takes an ID, the
    beginning of one does, and so does `last`.
    """


for command in (
    up,
    demo,
    run,
    list_experiments,
    show,
    wait,
    compare,
    predictions,
    export,
    report,
    claims,
    claim,
    history,
    cancel,
    retry,
    replicates,
    delete,
    token,
):
    main.add_command(command)
