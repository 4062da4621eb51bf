"""`actlab claims` and `actlab claim`: what is said of activations, and what is so."""

from __future__ import annotations

import click

from actlab.cli import claim_tables
from actlab.cli.experiments import follow
from actlab.cli.frame import console, json_option, lab_options, print_json
from actlab.client import Lab


@click.command()
@json_option
@lab_options
def claims(*, as_json: bool, lab: Lab) -> None:
    """List the claims, and how each stands on this lab.

    \b
    actlab claims
    """
    items = lab.claims()
    verdicts = {item["name"]: lab.verdict(item["name"]) for item in items}
    if as_json:
        print_json(list(verdicts.values()))
    else:
        console().print(claim_tables.claims(items, verdicts))


@click.command()
@click.argument("name")
@click.option("--run", is_flag=True, help="Ask for its experiments, follow them, and judge what they found.")
@click.option("--quick", is_flag=True, help="Fewer settings and five seeds: it may well be inconclusive.")
@json_option
@lab_options
def claim(name: str, *, run: bool, quick: bool, as_json: bool, lab: Lab) -> None:
    """Show a claim part by part: the numbers, the verdicts, and what is missing.

    Without --run, by the latest round that is whole. Ctrl-C stops only the watching: run it again to go on.

    \b
    actlab claim C4
    actlab claim C4 --run --quick
    """
    effort = "quick" if quick else "full"
    if run:
        answer = lab.run_claim(name.upper(), effort=effort, wait=lambda each: follow(lab, each, quiet=as_json))
    else:
        answer = lab.verdict(name.upper(), **({"effort": effort} if quick else {}))
    print_json(answer) if as_json else console().print(claim_tables.verdict(answer))
