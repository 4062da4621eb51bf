"""What people install: the client, and nothing that would take a name of theirs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Without hatchling here, pip fetches it into a place of its own, which needs a package index.
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *isolation, "-w", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No matching distribution found for hatchling" in built.stderr:
        pytest.skip("hatchling is neither installed nor to be fetched")
    assert built.returncode == 0, built.stderr
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and what it declares to need, as `pip install` would make it."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    [metadata] = folder.glob("*.dist-info/METADATA")
    asked = [line.partition(": ")[2] for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist")]
    _link(folder, asked)
    return folder


def _link(folder: Path, requirements: list[str]) -> None:
    for requirement in requirements:
        wanted = Requirement(requirement)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        package = distribution(wanted.name)
        for top in {file.parts[0] for file in package.files or () if file.parts[0] != ".."} - {"__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(str(package.locate_file(top)))
        _link(folder, package.requires or [])


def actlab(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # -S leaves out the packages that are installed here.
    command = [sys.executable, "-S", "-m", "actlab", *arguments]
    environ = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(command, cwd=installed, env=environ, capture_output=True, text=True, check=False)


def test_the_wheel_holds_the_client_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        top = {name.partition("/")[0] for name in archive.namelist()}

    assert {name for name in top if not name.endswith(".dist-info")} == {"actlab"}


def test_the_wheel_alone_talks_to_labs(installed: Path) -> None:
    done = actlab(installed, "list", "--url", "http://127.0.0.1:1")

    assert done.stderr.startswith("No lab answers at http://127.0.0.1:1; start one with `")


@pytest.mark.parametrize("command", ["up", "demo"])
def test_the_wheel_alone_says_what_it_lacks_to_run_a_lab(installed: Path, command: str) -> None:
    done = actlab(installed, command, "--data", str(installed / "data"))

    assert done.returncode == 1
    assert "it lacks store, service, worker" in done.stderr
    assert "pip install -e '.[service,worker,data,local]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (installed / "data").exists()
