"""`actlab token`: tokens are made and revoked beside the database, never over the network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from actlab.operate.errors import CannotStart
from actlab.operate.processes import check_parts

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# What keeps tokens.
_PARTS = ("store", "sqlalchemy")


def create(name: str, scopes: Sequence[str], *, days: int | None, out: Path | None, data: Path | None) -> None:
    """Prints the token, and only that, on standard output, or writes it to a new file of its owner's alone."""
    check_parts(_PARTS)
    from store import tokens

    with _kept(out) as file, _writing(data) as session:
        text = tokens.create(session, name, scopes, days=days)
        if file is not None:
            print(text, file=file, flush=True)
    said = f"Token {name!r} ({', '.join(scopes)}). It is shown this once"
    click.echo(f"{said}:" if out is None else f"{said}, in {out}.", err=True)
    if out is None:
        click.echo(text)


@contextmanager
def _kept(path: Path | None) -> Iterator[IO[str] | None]:
    """The file, made before there is a token to keep, and removed where there is none. Raises CannotStart."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CannotStart(f"The token cannot be written to {str(path)!r}: {error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "w") as file:
            yield file
    except BaseException:
        path.unlink()
        raise


def list_tokens(*, data: Path | None) -> None:
    check_parts(_PARTS)
    from store import tokens

    with _writing(data) as session:
        for token in tokens.list_tokens(session):
            ends = f"expires {token.expires_at:%Y-%m-%d %H:%M} UTC" if token.expires_at else "does not expire"
            state = f"revoked {token.revoked_at:%Y-%m-%d %H:%M} UTC" if token.revoked_at else ends
            click.echo(f"{token.name}\t{','.join(token.scopes)}\t{state}")


def revoke(name: str, *, data: Path | None) -> None:
    check_parts(_PARTS)
    from store import tokens

    with _writing(data) as session:
        tokens.revoke(session, name)
    click.echo(f"Token {name!r} is revoked; within 5 seconds no API process takes it any more.")


@contextmanager
def _writing(data: Path | None) -> Iterator[Session]:
    """A transaction on the record of the lab in the folder `data`, or of ACTLAB_DATABASE_URL. Raises CannotStart."""
    from sqlalchemy.exc import DBAPIError

    from lab.errors import LabError as ServerError
    from store.database import Database

    database = Database.connect(_url(data))
    try:
        with database.writing() as session:
            yield session
    except ServerError as error:
        raise CannotStart(str(error)) from error
    except DBAPIError as error:
        raise CannotStart(f"The lab's database cannot be used: {error.orig}") from error
    finally:
        database.close()


def _url(data: Path | None) -> str:
    from sqlalchemy import URL

    if data is None and (url := os.environ.get("ACTLAB_DATABASE_URL")):
        return url
    database = (data or Path("lab-data")) / "actlab.sqlite"
    if not database.is_file():
        raise CannotStart(f"There is no lab in {database.parent}. Say where it is with --data or ACTLAB_DATABASE_URL.")
    return URL.create("sqlite", database=str(database)).render_as_string()
