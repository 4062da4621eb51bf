"""Nobody on a network is served by mistake: the API does not ask who they are."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

COMMAND = (sys.executable, "-m", "gunicorn", "--config", "python:service.gunicorn")


def started(*options: str, handed: tuple[int, ...] = (), **environ: str) -> subprocess.CompletedProcess[str]:
    """gunicorn, which has refused within seconds, or is taken to serve and is stopped."""
    return subprocess.run(
        [*COMMAND, *options, "service.wsgi:app"],
        env=os.environ | {"ACTLAB_DATABASE_URL": "sqlite://"} | environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        pass_fds=handed,
    )


@pytest.fixture(scope="module")
def lab() -> Iterator[tuple[str, int]]:
    """The address of a gunicorn that serves. Its socket listens before it starts, so that the first request waits."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environ = {"ACTLAB_DATABASE_URL": "sqlite://", "ACTLAB_BIND": f"fd://{listener.fileno()}"}
        server = subprocess.Popen(
            [*COMMAND, "service.wsgi:app"],
            env=os.environ | environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
        try:
            yield listener.getsockname()
        finally:
            server.terminate()
            server.wait(timeout=30)


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0"])
def test_an_address_of_a_network_is_refused_in_one_sentence(bind: str) -> None:
    refused = started(ACTLAB_BIND=bind)

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"ACTLAB_BIND: given {bind!r}; allowed: ")
    assert refused.stderr.count("\n") == 1


def test_a_setting_that_cannot_be_used_is_said_in_one_sentence() -> None:
    refused = started("--check-config", ACTLAB_LEASE_S="soon")

    assert refused.returncode == 1
    assert refused.stderr == "ACTLAB_LEASE_S: given 'soon'; allowed: a number above 0.\n"


def test_an_address_of_a_network_on_the_command_line_is_refused_too() -> None:
    refused = started("--bind", "0.0.0.0:0")

    assert refused.returncode == 1
    assert "Booting worker" not in refused.stderr
    assert refused.stderr.splitlines()[-1].startswith("The API asks nobody who they are")


def test_a_socket_of_a_network_that_is_handed_over_is_refused_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104 - nothing answers on it
        refused = started(ACTLAB_BIND=f"fd://{listener.fileno()}", handed=(listener.fileno(),))

    assert refused.returncode == 1
    assert "Booting worker" not in refused.stderr


@pytest.mark.parametrize(
    ("bind", "name", "value"),
    [
        ("127.0.0.1:0", "AUTH", "off"),
        ("[::1]:0", "AUTH", "off"),
        ("0.0.0.0:0", "AUTH", "tokens"),
        ("0.0.0.0:0", "TRUST_NETWORK", "yes"),
    ],
)
def test_loopback_or_tokens_or_a_trusted_network_may_be_configured(bind: str, name: str, value: str) -> None:
    environ = {"ACTLAB_BIND": bind, f"ACTLAB_{name}": value}

    assert started("--check-config", handed=(), **environ).returncode == 0


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"zz\r\n{}\r\n0\r\n\r\n", id="a size that is no number"),
        pytest.param(b"-1\r\n{}\r\n0\r\n\r\n", id="a size below zero"),
        pytest.param(b"2\r\n{}}}\r\n0\r\n\r\n", id="more than the size"),
        pytest.param(b"5\r\n{}", id="cut short"),
    ],
)
def test_a_body_of_malformed_chunks_is_refused_and_no_failure(lab: tuple[str, int], body: bytes) -> None:
    head = b"POST /v1/experiments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(lab, timeout=30) as connection:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            status, text = answer.readline(), answer.read()

    assert status == b"HTTP/1.1 400 BAD REQUEST\r\n"
    assert b"application/problem+json" in text
    # What follows on the connection is no request of anybody's.
    assert b"HTTP/1.1" not in text


def test_what_a_proxy_would_say_is_nobodys_to_say(lab: tuple[str, int]) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    with socket.create_connection(lab, timeout=30) as connection:
        connection.sendall(head + b"SCRIPT_NAME: /v1\r\nPATH_INFO: /nowhere\r\n\r\n")
        with connection.makefile("rb") as answer:
            status = answer.readline()

    assert status == b"HTTP/1.1 200 OK\r\n"
