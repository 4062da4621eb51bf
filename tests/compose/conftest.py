"""A lab as the compose file makes it, on whatever engine `docker` reaches. Building its images takes minutes."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NAME = "lab.example"
"""Under which others on the network would come."""

_BUILD_S, _COMMAND_S = 1800, 180


@dataclass(frozen=True, slots=True)
class Composed:
    """A lab under compose, as its folder says."""

    url: str
    project: str
    folder: Path

    def run(self, *words: str, timeout_s: float = _COMMAND_S) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "compose", "--project-name", self.project, *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def health(self) -> dict[str, str]:
        """Of every service that runs, as its check has it; each has one container here."""
        shown = self.run("ps", "--format", "{{.Service}} {{.Health}}").stdout
        return {service: health for service, _, health in (line.partition(" ") for line in shown.splitlines())}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """Up and healthy, with one worker."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("NOT TESTED: no Docker engine answers")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = {
        "ACTLAB_POSTGRES_PASSWORD": secrets.token_hex(16),
        "ACTLAB_PORT": str(port),
        "ACTLAB_ALLOWED_HOSTS": NAME,
        "ACTLAB_AUTH": "off",
    }
    folder = _checked_out(tmp_path_factory.mktemp("lab"))
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    lab = Composed(f"http://127.0.0.1:{port}", f"actlab-test-{os.getpid()}", folder)
    try:
        up = lab.run("up", "--build", "--detach", "--wait", timeout_s=_BUILD_S)
        assert up.returncode == 0, up.stderr[-5000:] + lab.run("logs", "--tail", "50").stdout[-5000:]
        yield lab
    finally:
        lab.run("down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="session")
def token_file(lab: Composed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an admin's token, made as the README says."""
    made = lab.run("exec", "--no-TTY", "service", "actlab", "token", "create", "me", "--scope", "admin")
    assert made.returncode == 0, made.stderr
    path = tmp_path_factory.mktemp("token") / "me.token"
    path.write_text(made.stdout)
    path.chmod(0o600)
    return path


def _checked_out(folder: Path) -> Path:
    """What the images are made of and what says how, where a .env of somebody's own is not in the way."""
    names = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in (*names, ".dockerignore", "Dockerfile", "docker-compose.yml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder
