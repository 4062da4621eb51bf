"""Many HTTP clients in one thread, light beside the server that they ask: requests are bytes that were made before,
sockets stay open, and of an answer no more is read than its head and its length.

A client does one operation after the other. An operation is a generator: it yields requests and is sent their answers.
"""

from __future__ import annotations

import heapq
import json
import re
import select
import socket
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import numpy as np

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ETAG = re.compile(rb"\r\netag: *([^\r]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_PIECE = 2**18
# A server that is silent for so long has failed.
_PATIENCE_S = 60.0


class Unexpected(Exception):
    """An answer has another status than was to come."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    @property
    def etag(self) -> bytes:
        """Raises Unexpected where there is none."""
        found = _ETAG.search(self.head)
        if found is None:
            raise Unexpected(f"No ETag: {self.head!r}")
        return found[1]

    def json(self) -> Any:
        return json.loads(self.body)

    def expect(self, status: int) -> Answer:
        """Itself. Raises Unexpected where its status is another."""
        if self.status != status:
            raise Unexpected(f"{self.status}, not {status}: {self.body[:500]!r}")
        return self


Operation = Generator[bytes, Answer, None]
Operations = Callable[[], Operation]


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of `n` operations in `wall_s`; `seconds` has how long each took, the shortest first."""

    seconds: np.ndarray[Any, np.dtype[np.float64]]
    wall_s: float

    @property
    def n(self) -> int:
        return len(self.seconds)

    @property
    def rate(self) -> float:
        return self.n / self.wall_s

    def ms(self, percent: float) -> float:
        """The percentile, of all operations, in milliseconds."""
        return float(np.percentile(self.seconds, percent)) * 1e3

    def __add__(self, other: Measured) -> Measured:
        return Measured(np.sort(np.concatenate([self.seconds, other.seconds])), self.wall_s + other.wall_s)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and the requests that can be made of it."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Address:
        parts = urlsplit(url)
        return cls(str(parts.hostname), int(parts.port or 80))

    def get(self, path: str, **headers: str) -> bytes:
        return self._request("GET", path, b"", headers)

    def post(self, path: str, content: Any) -> bytes:
        return self._request("POST", path, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}"] if body else []
        return "\r\n".join([*lines, "", ""]).encode() + body

    def ask(self, request: bytes) -> Answer:
        """One answer, on a connection of its own."""
        answers: list[Answer] = []

        def operation() -> Operation:
            answers.append((yield request))

        counted(self, operation, n=1)
        return answers[0]


def closed(address: Address, operations: Operations, *, clients: int, warm_up_s: float, for_s: float) -> Measured:
    """Each client begins the next operation when the last one ends: as many are under way as there are clients."""
    return _run(address, [operations] * clients, lambda after_s: after_s >= warm_up_s + for_s, warm_up_s=warm_up_s)


def paced(address: Address, each: Sequence[Operations], *, every_s: float, until: Event) -> Measured:
    """A client for `each`, which begins an operation every `every_s`, evenly spread over clients. One that has to wait
    because the last is not done yet is late from the moment at which it was due.
    """
    return _run(address, each, lambda _: until.is_set(), every_s=every_s)


def counted(address: Address, operations: Operations, *, n: int) -> Measured:
    """`n` operations, by one client."""
    client = _Client(address, operations)
    seconds = []
    try:
        began = time.perf_counter()
        for _ in range(n):
            client.begin()
            client.finish()
            seconds.append(client.took_s)
        return Measured(np.sort(np.array(seconds)), time.perf_counter() - began)
    finally:
        client.close()


def _run(
    address: Address,
    each: Sequence[Operations],
    is_over: Callable[[float], bool],
    *,
    warm_up_s: float = 0.0,
    every_s: float | None = None,
) -> Measured:
    clients = {client.socket.fileno(): client for client in (_Client(address, operations) for operations in each)}
    start = time.perf_counter()
    spread_s = (every_s or 0.0) / len(clients)
    # Whose turn comes when, the soonest first: the file stands for the client, and decides between equals.
    turns = [(start + i * spread_s, file) for i, file in enumerate(clients)]
    seconds: list[float] = []
    try:
        with select.epoll() as poll:
            for file in clients:
                poll.register(file, select.EPOLLIN)
            while not is_over(time.perf_counter() - start):
                _begin_those_due(turns, clients, paced=every_s is not None)
                for file in _ready(poll, turns):
                    client = clients[file]
                    if not client.read():
                        continue
                    if client.began >= start + warm_up_s:
                        seconds.append(client.took_s)
                    heapq.heappush(turns, (client.began + every_s if every_s else 0.0, file))
        wall_s = time.perf_counter() - start - warm_up_s
        # What is still under way is not counted, but must not go on beside what comes next.
        for client in clients.values():
            client.finish()
        return Measured(np.sort(np.array(seconds)), wall_s)
    finally:
        for client in clients.values():
            client.close()


def _begin_those_due(turns: list[tuple[float, int]], clients: Mapping[int, _Client], *, paced: bool) -> None:
    while turns and turns[0][0] <= time.perf_counter():
        due, file = heapq.heappop(turns)
        clients[file].begin(due if paced else None)


def _ready(poll: select.epoll, turns: Sequence[tuple[float, int]]) -> list[int]:
    """Files that have something to read by the time of the next turn. Raises TimeoutError where none comes."""
    if turns:
        return [file for file, _ in poll.poll(max(turns[0][0] - time.perf_counter(), 0.0))]
    events = poll.poll(_PATIENCE_S)
    if not events:
        raise TimeoutError(f"The server has been silent for {_PATIENCE_S:g} s.")
    return [file for file, _ in events]


class _Client:
    """A connection, and the operation that is under way on it."""

    def __init__(self, address: Address, operations: Operations) -> None:
        self.socket = socket.create_connection((address.host, address.port), timeout=_PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._operations = operations
        self._busy = False
        self._got = bytearray()
        self._length: int | None = None
        """Of the whole answer, once its head is there; -1 where chunks end it."""

    def begin(self, due: float | None = None) -> None:
        """The next operation, late since `due` where that is given."""
        self.began = time.perf_counter() if due is None else due
        self._busy = True
        self._operation = self._operations()
        self._send(next(self._operation))

    def read(self) -> bool:
        """Takes what there is of an answer, and goes on once it is whole. Whether the operation is done."""
        piece = self.socket.recv(_PIECE)
        if not piece:
            raise ConnectionError("The server closed the connection.")
        self._got += piece
        if not self._is_whole():
            return False
        head, _, body = bytes(self._got).partition(b"\r\n\r\n")
        try:
            self._send(self._operation.send(Answer(int(head[9:12]), head, body)))
        except StopIteration:
            self.took_s = time.perf_counter() - self.began
            self._busy = False
            return True
        return False

    def finish(self) -> None:
        """Waits for the end of what is under way, if anything."""
        while self._busy:
            self.read()

    def close(self) -> None:
        self.socket.close()

    def _send(self, request: bytes) -> None:
        self._got.clear()
        self._length = None
        self.socket.sendall(request)

    def _is_whole(self) -> bool:
        if self._length is None:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = bytes(self._got[:end])
            length = _LENGTH.search(head)
            chunked = length is None and _CHUNKED.search(head) is not None
            self._length = -1 if chunked else end + 4 + (int(length[1]) if length and head[9:12] != b"304" else 0)
        if self._length < 0:
            return self._got.endswith(b"\r\n0\r\n\r\n")
        return len(self._got) >= self._length
