from __future__ import annotations

import pytest
import sqlalchemy as sa

from lab.errors import Conflict, InvalidRequest, NotFound
from store import tokens
from store.database import Database
from store.models import Token


def test_a_token_is_found_by_its_text_and_kept_as_a_hash_alone(database: Database) -> None:
    with database.writing() as session:
        text = tokens.create(session, "ada", ["read"])

    with database.reading() as session:
        assert tokens.find(session, text) == tokens.Bearer("ada", frozenset(["read"]))
        kept = session.execute(sa.select(Token.__table__)).one()
    assert len(text) == len("actlab_") + 43 + 8
    assert text[7:50] not in str(kept)


def test_a_mistyped_token_is_known_by_its_checksum(database: Database) -> None:
    with database.writing() as session:
        text = tokens.create(session, "ada", ["read"])

    assert tokens.is_well_formed(text)
    for at in range(len(text)):
        assert not tokens.is_well_formed(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
    assert not tokens.is_well_formed(text[:-1])
    assert not tokens.is_well_formed(text + "\n")


def test_a_name_is_never_given_twice_not_even_after_a_revocation(database: Database) -> None:
    with database.writing() as session:
        text = tokens.create(session, "ada", ["read"])
        tokens.revoke(session, "ada")
        tokens.revoke(session, "ada")

    with database.writing() as session:
        assert tokens.find(session, text) is None
        with pytest.raises(Conflict, match="'ada'"):
            tokens.create(session, "ada", ["read"])


@pytest.mark.parametrize("name", ["", "local", "a b", "-x", "x" * 51, "a\n", "é"])
def test_a_name_that_cannot_be_used_is_refused(name: str, sqlite_database: Database) -> None:
    with sqlite_database.writing() as session, pytest.raises(InvalidRequest, match="name: given"):
        tokens.create(session, name, ["read"])


@pytest.mark.parametrize("scopes", [[], ["root"]])
def test_an_unknown_scope_is_refused(scopes: list[str], sqlite_database: Database) -> None:
    with sqlite_database.writing() as session, pytest.raises(InvalidRequest, match="read, submit, admin"):
        tokens.create(session, "ada", scopes)


def test_what_is_not_there_cannot_be_revoked(sqlite_database: Database) -> None:
    with sqlite_database.writing() as session, pytest.raises(NotFound):
        tokens.revoke(session, "nobody")
