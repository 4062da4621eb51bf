"""What the command line says before it asks a lab, and where none answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from actlab.cli import main

NO_PORT = "http://127.0.0.1:1"


def test_where_no_lab_answers_the_sentence_says_how_to_start_one() -> None:
    result = CliRunner().invoke(main, ["list", "--url", NO_PORT])

    assert result.exit_code == 1
    assert f"No lab answers at {NO_PORT}; start one with `" in result.stderr
    assert "--url or ACTLAB_URL" in result.stderr


def test_a_file_that_holds_no_json_is_named(tmp_path: Path) -> None:
    file = tmp_path / "question.json"
    file.write_text("{relu}")

    result = CliRunner().invoke(main, ["run", str(file)])

    assert result.exit_code == 2
    assert "question.json is not JSON" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--activations", "relu", "--report", "/nowhere/report.html"),
        ("export", "last", "runs", "-o", "/nowhere/runs.csv"),
        ("report", "last", "-o", "/nowhere/report.html"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_before_the_lab_is_asked(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*arguments, "--url", NO_PORT])

    assert result.exit_code == 2
    assert "there is no folder '/nowhere'" in result.stderr


def test_a_number_that_is_not_finite_is_a_sentence() -> None:
    result = CliRunner().invoke(main, ["run", "--activations", "relu", "--learning-rate", "nan", "--url", NO_PORT])

    assert result.exit_code == 2
    assert "training.learning_rate: given nan; it must be a finite number." in result.stderr
