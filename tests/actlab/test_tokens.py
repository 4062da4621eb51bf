from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from actlab import Lab, LabError, token
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


def test_a_token_is_written_to_a_file_that_only_its_owner_can_read(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTLAB_DATABASE_URL", sqlite_database.url)
    path = tmp_path / "ada.token"

    made = CliRunner().invoke(main, ["token", "create", "ada", "--out", str(path)])

    assert (made.exit_code, made.stdout) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite_database.reading() as session:
        assert tokens.find(session, path.read_text().strip()) is not None
    assert path.read_text().strip() not in made.output


@pytest.mark.parametrize(("name", "there"), [("ada", True), ("local", False)])
def test_where_no_token_is_made_no_file_is(
    name: str, there: bool, sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTLAB_DATABASE_URL", sqlite_database.url)
    path = tmp_path / "a.token"
    if there:
        path.write_text("mine")

    made = CliRunner().invoke(main, ["token", "create", name, "--out", str(path)])

    assert made.exit_code == 1
    assert "Traceback" not in made.output
    assert [each.read_text() for each in tmp_path.glob("*.token")] == (["mine"] if there else [])
    with sqlite_database.reading() as session:
        assert tokens.list_tokens(session) == []


def test_the_client_takes_its_token_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTLAB_TOKEN", raising=False)
    monkeypatch.setenv("ACTLAB_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(LabError, match="ACTLAB_TOKEN_FILE"):
        Lab()

    a_file(tmp_path / "token", "two words\n")
    with pytest.raises(LabError, match="token is not one"):
        Lab()


def test_the_nearest_word_on_the_token_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, in_environ = (a_file(tmp_path / name, f" {name}\n") for name in ("named", "in_environ"))

    monkeypatch.delenv("ACTLAB_TOKEN", raising=False)
    monkeypatch.delenv("ACTLAB_TOKEN_FILE", raising=False)
    assert token.found() is None
    monkeypatch.setenv("ACTLAB_TOKEN_FILE", str(in_environ))
    assert token.found() == "in_environ"
    monkeypatch.setenv("ACTLAB_TOKEN", "said")
    assert token.found() == "said"
    assert token.found(named) == "named"
    with pytest.raises(LabError, match="not both"):
        Lab(token="actlab_x", token_file=named)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_read_is_refused_with_the_cure(mode: int, tmp_path: Path) -> None:
    path = a_file(tmp_path / "ada.token", "actlab_x", mode)

    with pytest.raises(LabError, match=f"mode is {mode:04o}.*chmod 600 {path}"):
        token.found(path)

    path.chmod(0o400)
    assert token.found(path) == "actlab_x"


def test_a_file_of_somebody_else_is_theirs_to_keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that is mounted into a container belongs to root, and all may read it there."""
    path = a_file(tmp_path / "secret", "actlab_x", 0o444)
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)

    assert token.found(path) == "actlab_x"


def test_every_command_that_talks_to_a_lab_takes_a_token_file(tmp_path: Path) -> None:
    path = a_file(tmp_path / "ada.token", "actlab_x", 0o644)
    elsewhere = {"up", "demo", "token"}

    for name, command in main.commands.items():
        if name in elsewhere:
            continue
        assert {"url", "token_file"} <= {parameter.name for parameter in command.params}, name
    refused = CliRunner().invoke(main, ["list", "--token-file", str(path)])
    assert refused.exit_code == 1
    assert "chmod 600" in refused.stderr


def a_file(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path
