"""The clients by which the service is measured, against a real server on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread, Timer
from typing import ClassVar

import pytest

from benchmarks.service.load import Address, Answer, Operation, Unexpected, closed, counted, paced


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections: ClassVar[set[tuple[str, int]]] = set()
    # One write an answer: the kernel would hold the second piece back for 40 ms.
    wbufsize = -1

    def do_GET(self) -> None:
        self.connections.add(self.client_address)
        if self.path == "/unchanged":
            self._head(304, ETag='W/"7"', Content_Length="5")
        elif self.path == "/chunks":
            self._head(200, Transfer_Encoding="chunked")
            self.wfile.write(b"5\r\nhello\r\n2\r\n\r\n\r\n0\r\n\r\n")
        else:
            time.sleep(0.05 if self.path == "/slow" else 0)
            self._head(200, Content_Length="5")
            self.wfile.write(b"hello")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._head(202, Content_Length=str(len(body)))
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass

    def _head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    request_queue_size = 32

    def handle_error(self, *_: object) -> None:
        """Clients leave in the middle of an answer when their time is over."""


@pytest.fixture
def address() -> Iterator[Address]:
    _Handler.connections.clear()
    with _Server(("127.0.0.1", 0), _Handler) as server:
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield Address("127.0.0.1", server.server_port)
        server.shutdown()
        serving.join()


def _getting(address: Address, path: str, status: int = 200) -> Operation:
    (yield address.get(path)).expect(status)


@pytest.mark.parametrize(("path", "status", "body"), [("/", 200, b"hello"), ("/unchanged", 304, b"")])
def test_an_answer_is_whole_when_its_length_is_there(address: Address, path: str, status: int, body: bytes) -> None:
    answer = address.ask(address.get(path))

    assert (answer.status, answer.body) == (status, body)


def test_an_answer_in_chunks_ends_with_the_last_one(address: Address) -> None:
    assert address.ask(address.get("/chunks")).body.endswith(b"0\r\n\r\n")


def test_what_is_posted_arrives_as_json(address: Address) -> None:
    assert address.ask(address.post("/", {"a": [1]})).expect(202).json() == {"a": [1]}


def test_operations_are_counted_and_share_a_connection(address: Address) -> None:
    measured = counted(address, lambda: _getting(address, "/"), n=20)

    assert measured.n == 20
    assert len(_Handler.connections) == 1


def test_an_operation_of_two_requests_counts_once(address: Address) -> None:
    seen: list[Answer] = []

    def twice() -> Operation:
        seen.append((yield address.get("/")))
        seen.append((yield address.get("/unchanged")))

    measured = counted(address, twice, n=3)

    assert (measured.n, [answer.status for answer in seen]) == (3, [200, 304] * 3)


def test_a_status_that_was_not_to_come_is_no_measurement(address: Address) -> None:
    with pytest.raises(Unexpected, match="304, not 200"):
        counted(address, lambda: _getting(address, "/unchanged"), n=1)


def test_as_many_requests_are_under_way_as_there_are_clients(address: Address) -> None:
    measured = closed(address, lambda: _getting(address, "/slow"), clients=8, warm_up_s=0.1, for_s=0.5)

    assert len(_Handler.connections) == 8
    # Each takes 50 ms: one after the other there would be 10 of them.
    assert measured.n > 24


def test_a_client_that_has_to_wait_is_late_from_when_its_turn_was(address: Address) -> None:
    ended = Event()
    Timer(0.5, ended.set).start()

    measured = paced(address, [lambda: _getting(address, "/slow")], every_s=0.01, until=ended)

    assert measured.seconds[-1] > 0.2
