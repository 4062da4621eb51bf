"""Over a real gunicorn: requests that never end take the API from nobody."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from tests.service.listening import PATIENCE_S, Api, serving

THREADS = 8
HALF = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Never: "
BODILESS = (
    b"POST /v1/experiments HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
)


@pytest.fixture(scope="module")
def small() -> Iterator[Api]:
    with serving("sqlite://", "--threads", str(THREADS)) as api:
        assert healthy(api) == 200
        yield api


@pytest.mark.parametrize(
    "begun",
    [HALF, b"G", b"", BODILESS],
    ids=["half a header", "one letter", "nothing", "a body that never comes"],
)
def test_many_that_never_finish_asking_hold_nobody_up(begun: bytes, small: Api) -> None:
    with ExitStack() as stack:
        for _ in range(5 * THREADS):
            stack.enter_context(connected(small)).sendall(begun)
        time.sleep(0.5)

        began = time.monotonic()
        statuses = {healthy(small) for _ in range(10)}

    assert statuses == {200}
    assert time.monotonic() - began < PATIENCE_S / 4


def test_many_that_connect_before_they_ask_are_all_answered(small: Api) -> None:
    with ExitStack() as stack:
        waiting = [stack.enter_context(connected(small)) for _ in range(5 * THREADS)]
        time.sleep(0.5)
        for connection in waiting:
            connection.sendall(HALF + b"x\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_bodies_that_never_come_hold_nobody_up_where_a_token_is_asked_for() -> None:
    with (
        serving("sqlite://", "--threads", str(THREADS), ACTLAB_AUTH="tokens") as guarded,
        ExitStack() as stack,
    ):
        assert healthy(guarded) == 200
        for _ in range(5 * THREADS):
            stack.enter_context(connected(guarded)).sendall(BODILESS)
        began = time.monotonic()
        statuses = {healthy(guarded) for _ in range(10)}

    assert statuses == {200}
    assert time.monotonic() - began < PATIENCE_S / 4


def test_a_request_that_does_not_arrive_in_time_is_cut_off() -> None:
    with serving("sqlite://", "--worker-class", "tests.service.hasty.Hasty") as api:
        healthy(api)
        with connected(api) as dribbling:
            dribbling.sendall(HALF)
            began = time.monotonic()
            while not ended(dribbling) and time.monotonic() - began < PATIENCE_S:
                time.sleep(0.05)

    assert 0.5 <= time.monotonic() - began < PATIENCE_S / 2


def test_a_request_in_pieces_is_answered(small: Api) -> None:
    with connected(small) as slow:
        for piece in (HALF[:10], HALF[10:], b"x\r\n", b"Connection: close\r\n\r\n"):
            slow.sendall(piece)
            time.sleep(0.2)
        answer = slow.recv(1000)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def connected(api: Api) -> socket.socket:
    address = urlsplit(api.url)
    return socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S)


def healthy(api: Api) -> int:
    return httpx.get(f"{api.url}/healthz", timeout=PATIENCE_S).status_code


def ended(dribbling: socket.socket) -> bool:
    """Whether nobody takes one more letter."""
    try:
        dribbling.sendall(b"x")
    except OSError:
        return True
    return False
