"""Commands on experiments as a whole: list, show, wait, cancel, retry, delete, and their history."""

from __future__ import annotations

import sys
from typing import Any

import click

from actlab.cli import tables
from actlab.cli.follow import following
from actlab.cli.frame import console, find, id_argument, json_option, lab_options, print_json
from actlab.cli.score import score
from actlab.client import Json, Lab
from actlab.command import command

INTERRUPTED = 130


@click.command("list")
@click.option("--state", help="queued, running, succeeded, failed or cancelled.")
@click.option("--tag")
@click.option("--name", help="A part of the name.")
@click.option("--activation", help="Experiments that have this activation.")
@click.option("--dataset")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@json_option
@lab_options
def list_experiments(*, limit: int, as_json: bool, lab: Lab, **filters: str | None) -> None:
    """List experiments, the newest first.

    \b
    actlab list --state running
    actlab list --activation sigmoid --json
    """
    items = lab.list(limit=limit, **{key: value for key, value in filters.items() if value is not None})
    if as_json:
        print_json(items)
    elif items:
        console().print(tables.experiments(items))
    else:
        click.echo("There are no such experiments.", err=True)


@click.command()
@id_argument
@json_option
@lab_options
def show(experiment_id: str, *, as_json: bool, lab: Lab) -> None:
    """Show what was asked, how far it is, and what came out so far.

    \b
    actlab show last
    """
    experiment = find(lab, experiment_id)
    if as_json:
        print_json(experiment)
        return
    console().print(tables.experiment(experiment, lab.waits_for(experiment)))
    if experiment["runs"]["succeeded"]:
        click.echo()
        console().print(tables.summary(lab.summary(experiment["id"]), score(lab, experiment)))


@click.command()
@id_argument
@click.option("--timeout", "timeout_s", type=float, help="Give up waiting after so many seconds, with exit code 1.")
@json_option
@lab_options
def wait(experiment_id: str, *, timeout_s: float | None, as_json: bool, lab: Lab) -> None:
    """Wait until an experiment has ended. The exit code is 0 if it succeeded, else 1.

    \b
    actlab wait last --timeout 600
    """
    end = follow(lab, find(lab, experiment_id)["id"], quiet=as_json, timeout_s=timeout_s)
    end_with(lab, end, as_json=as_json)
    sys.exit(0 if end["state"] == "succeeded" else 1)


@click.command()
@id_argument
@json_option
@lab_options
def cancel(experiment_id: str, *, as_json: bool, lab: Lab) -> None:
    """Cancel what still runs or waits; what is measured stays.

    \b
    actlab cancel last
    """
    found = find(lab, experiment_id)
    experiment = lab.cancel(found["id"])
    done = "is cancelled" if experiment["state"] == "cancelled" else "is being cancelled"
    told = "was cancelled already" if found["state"] == "cancelled" else done
    print_json(experiment) if as_json else click.echo(f"Experiment {experiment['id']} {told}.")


@click.command()
@id_argument
@json_option
@lab_options
def retry(experiment_id: str, *, as_json: bool, lab: Lab) -> None:
    """Run again what failed or was cancelled; what succeeded stays.

    \b
    actlab retry last
    """
    experiment = lab.retry(find(lab, experiment_id)["id"])
    n_runs = experiment["runs"]["queued"]
    print_json(experiment) if as_json else click.echo(f"Experiment {experiment['id']} runs again: {n_runs} runs.")


@click.command()
@id_argument
@click.option("--add", type=click.IntRange(1), required=True, help="How many more networks of each arm.")
@json_option
@lab_options
def replicates(experiment_id: str, *, add: int, as_json: bool, lab: Lab) -> None:
    """Train more replicates of an experiment that has ended: the cure for an interval that is too wide.

    \b
    actlab replicates last --add 5
    """
    found = find(lab, experiment_id)
    experiment = lab.extend(found["id"], found["spec"]["replicates"] + add)
    n_runs, total = experiment["runs"]["queued"], experiment["spec"]["replicates"]
    told = f"Experiment {experiment['id']} goes on to {total} replicates: {n_runs} more runs."
    print_json(experiment) if as_json else click.echo(told)


@click.command()
@id_argument
@json_option
@lab_options
def history(experiment_id: str, *, as_json: bool, lab: Lab) -> None:
    """Show every change of state of an experiment and its stacks: when, from what to what, by whom, why.

    \b
    actlab history last
    """
    events = lab.history(find(lab, experiment_id)["id"])
    print_json(events) if as_json else console().print(tables.history(events))


@click.command()
@id_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@lab_options
def delete(experiment_id: str, *, yes: bool, as_json: bool, lab: Lab) -> None:
    """Delete an experiment and all its results, for good.

    \b
    actlab delete 1f6c2b8e --yes
    """
    experiment = find(lab, experiment_id)
    if not yes:
        question = f"Delete experiment {experiment['id']} ({tables.told(experiment)}) and all its results?"
        click.confirm(question, abort=True, err=True)
    lab.delete(experiment["id"])
    print_json({"deleted": experiment["id"]}) if as_json else click.echo(f"Experiment {experiment['id']} is deleted.")


def follow(lab: Lab, experiment_id: str, *, quiet: bool, **options: Any) -> Json:
    """Watches an experiment to its end. Ctrl-C ends the command and says that the experiment goes on."""
    try:
        with following(lab, quiet=quiet) as look:
            return lab.wait(experiment_id, on_progress=look, **options)
    except KeyboardInterrupt:
        short = experiment_id[:8]
        click.echo(
            f"\nThe experiment goes on. Follow it: {command('wait', short)}; stop it: {command('cancel', short)}",
            err=True,
        )
        sys.exit(INTERRUPTED)


def end_with(lab: Lab, end: Json, *, as_json: bool) -> None:
    """Prints how an experiment ended: its answer, and what failed."""
    if as_json:
        print_json(end)
        return
    if end["runs"]["succeeded"]:
        console().print(tables.summary(lab.summary(end["id"]), score(lab, end)))
    for failure in tables.failures(end):
        click.echo(failure, err=True)
    if end["state"] != "succeeded":
        click.echo(f"Experiment {end['id']} is {end['state']}.", err=True)
