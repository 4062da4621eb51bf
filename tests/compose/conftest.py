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
    """A lab under compose. `environ` are its settings, as .env would give them."""

    url: str
    project: str
    environ: dict[str, str]

    def run(self, *words: str, timeout_s: float = _COMMAND_S) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "compose", "--project-name", self.project, "--env-file", os.devnull, *words],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


@pytest.fixture(scope="session")
def lab() -> Iterator[Composed]:
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
    }
    lab = Composed(f"http://127.0.0.1:{port}", f"actlab-test-{os.getpid()}", os.environ | settings)
    try:
        up = lab.run("up", "--build", "--detach", "--wait", timeout_s=_BUILD_S)
        assert up.returncode == 0, up.stderr[-5000:] + lab.run("logs", "--tail", "50").stdout[-5000:]
        yield lab
    finally:
        lab.run("down", "--volumes", "--timeout", "5")
