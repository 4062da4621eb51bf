"""`actlab run`: from a question to its answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import click

from actlab.cli import tables
from actlab.cli.experiments import end_with, follow
from actlab.cli.frame import console, json_option, lab_options, print_json
from actlab.cli.output import writable
from actlab.cli.request import request
from actlab.client import Lab


def _request_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that set one field of the request each."""
    options = (
        click.option("--activations", help="By commas, as in relu,tanh or 'relu,leaky_relu(negative_slope=0.1)'."),
        click.option("--dataset", help="digits, xor, ...: the lab's /v1/datasets has them all."),
        click.option("--depth", type=int, help="Number of hidden layers."),
        click.option("--width", type=int, help="Units in each hidden layer."),
        click.option("--initialization", help="pytorch, he_normal, ...: see /v1/initializations."),
        click.option("--normalization", help="none, batch, ...: see /v1/normalizations."),
        click.option("--optimizer", help="sgd, adam, ...: see /v1/optimizers."),
        click.option("--learning-rate", type=float),
        click.option("--schedule", help="constant, cosine, ...: see /v1/schedules."),
        click.option("--weight-decay", type=float),
        click.option("--clip-norm", type=float, help="Shorten longer gradients to this norm.  [default: none]"),
        click.option("--batch-size", type=int),
        click.option("--epochs", type=int, help="Length of the training; or --steps."),
        click.option("--steps", type=int, help="Length of the training in updates; or --epochs."),
        click.option("--replicates", type=int, help="Networks of each arm, each with its own seed."),
        click.option("--seed", type=int),
        click.option("--baseline", help="The activation that the others are compared with.  [default: the first]"),
        click.option("--name"),
        click.option("--tag", multiple=True, help="May be repeated."),
        click.option(
            "--set", "set_values", metavar="PATH=VALUE", multiple=True, help="Any other field, as recording.points=20."
        ),
        click.option("--sweep", metavar="PATH=V1,V2", multiple=True, help="Every combination, as network.depth=2,4,8."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("spec", type=click.File("r", encoding="utf-8"), required=False)
@_request_options
@click.option("--dry-run", is_flag=True, help="Show what would be done and what it would cost; do nothing.")
@click.option("--no-follow", is_flag=True, help="Submit, say the id, and do not wait.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=writable,
    help="Write the report to this file at the end.",
)
@json_option
@lab_options
def run(
    spec: IO[str] | None,
    *,
    dry_run: bool,
    no_follow: bool,
    report: Path | None,
    as_json: bool,
    lab: Lab,
    **options: Any,
) -> None:
    """Submit an experiment, follow it, and show what came out.

    SPEC is a request in JSON, a file or - for standard input; options change single fields of it. What neither says has
    a default, which `actlab run --dry-run --json` shows. Ctrl-C stops only the watching: the experiment goes on.

    \b
    actlab run --activations relu,tanh,sigmoid --depth 8 --replicates 10
    actlab run question.json --sweep training.learning_rate=0.03,0.3 --report answer.html
    """
    wanted = request(_read(spec), options)
    if dry_run:
        answer = lab.plan(wanted)
        print_json(answer) if as_json else console().print(tables.plan(answer))
        return
    experiment = lab.submit(wanted)
    if no_follow:
        print_json(experiment) if as_json else click.echo(experiment["id"])
        return
    if not as_json:
        click.echo(f"Experiment {experiment['id']}: {experiment['plan']['runs']} runs.", err=True)
    end = follow(lab, experiment["id"], quiet=as_json)
    end_with(lab, end, as_json=as_json)
    if report is not None:
        lab.report(end["id"], report)
        if not as_json:
            click.echo(f"The report is in {report}.")
    sys.exit(0 if end["state"] == "succeeded" else 1)


def _read(file: IO[str] | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        spec = json.load(file)
    except ValueError as error:
        raise click.UsageError(f"{file.name} is not JSON: {error}.") from error
    if not isinstance(spec, dict):
        raise click.UsageError(f"{file.name} holds no request: that is a JSON object, with at least `activations`.")
    return spec
