"""A hint to call the command again is one that works."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import actlab
from actlab.command import command


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_command_on_the_path_needs_no_way(path: Path) -> None:
    (path / "actlab").touch(mode=0o755)

    assert command("up", "--data", "my lab") == "actlab up --data 'my lab'"


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        (".venv/bin/actlab", ".venv/bin/actlab up"),
        (str(Path(actlab.__file__).with_name("__main__.py")), f"{sys.executable} -m actlab up"),
        ("ipykernel_launcher.py", "actlab up"),
    ],
)
@pytest.mark.usefixtures("path")
def test_elsewhere_it_is_called_as_it_was(called: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [called])

    assert command("up") == expected
