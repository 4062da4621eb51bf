from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from actlab import Lab, LabError
from actlab.cli import main
from store import tokens
from store.database import Database


def test_a_token_is_made_alone_on_standard_output_listed_and_revoked(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTLAB_DATABASE_URL", sqlite_database.url)
    run = CliRunner().invoke

    made = run(main, ["token", "create", "ada", "--scope", "read", "--days", "2"])

    assert made.exit_code == 0
    text = made.stdout.strip()
    with sqlite_database.reading() as session:
        assert tokens.find(session, text) == tokens.Bearer("ada", frozenset(["read"]))
    assert "ada\tread\texpires" in run(main, ["token", "list"]).stdout
    assert text not in run(main, ["token", "list"]).stdout
    assert run(main, ["token", "revoke", "ada"]).exit_code == 0
    with sqlite_database.reading() as session:
        assert tokens.find(session, text) is None


@pytest.mark.parametrize("words", [["revoke", "nobody"], ["create", "local"]])
def test_what_cannot_be_done_is_a_sentence(
    words: list[str], sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTLAB_DATABASE_URL", sqlite_database.url)

    result = CliRunner().invoke(main, ["token", *words])

    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_where_there_is_no_lab_no_database_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTLAB_DATABASE_URL", raising=False)

    result = CliRunner().invoke(main, ["token", "list", "--data", str(tmp_path)])

    assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_the_client_takes_its_token_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTLAB_TOKEN", raising=False)
    monkeypatch.setenv("ACTLAB_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(LabError, match="ACTLAB_TOKEN_FILE"):
        Lab()

    (tmp_path / "token").write_text("two words\n")
    with pytest.raises(LabError, match="token is not one"):
        Lab()
