"""`actlab token`: who may use a lab that asks for tokens. Runs where the lab's database is."""

from __future__ import annotations

from pathlib import Path

import click

from actlab.cli.frame import Speaking

SCOPES = ("read", "submit", "admin")
_data = click.option(
    "--data", type=click.Path(path_type=Path), help="The lab's folder.  [default: ACTLAB_DATABASE_URL, or lab-data]"
)


@click.group(cls=Speaking)
def token() -> None:
    """Make, list and revoke the tokens of a lab. Runs where its database is.

    \b
    actlab token create ada --scope read --scope submit
    """


@token.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), default=("read", "submit"))
@click.option("--days", type=click.IntRange(1, 36_500), help="Expires after so many days.  [default: never]")
@click.option("--out", type=click.Path(path_type=Path), help="Write it to this new file, which only you can read.")
@_data
def create(*, name: str, scopes: tuple[str, ...], days: int | None, out: Path | None, data: Path | None) -> None:
    """Make a token and print it, this once. NAME owns what is asked for with it.

    `read` sees the whole lab, `submit` asks for experiments and changes its own, `admin` does everything.

    \b
    actlab token create ada --out ada.token
    actlab list --token-file ada.token
    """
    from actlab.operate import tokens

    tokens.create(name, scopes, days=days, out=out, data=data)


@token.command("list")
@_data
def list_tokens(*, data: Path | None) -> None:
    """List the tokens: name, scopes, whether they work. The tokens themselves are not kept.

    \b
    actlab token list
    """
    from actlab.operate import tokens

    tokens.list_tokens(data=data)


@token.command()
@click.argument("name")
@_data
def revoke(*, name: str, data: Path | None) -> None:
    """Revoke a token, for good. Its experiments stay, and its name stays taken.

    \b
    actlab token revoke ada
    """
    from actlab.operate import tokens

    tokens.revoke(name, data=data)
