"""A wire between programs and Postgres that can lose the answer to a COMMIT: it was done, and nobody hears of it."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

_HEADER = 5
_COMMIT = re.compile(r"\s*COMMIT\b", re.IGNORECASE)
_BEGIN = re.compile(r"\s*BEGIN\b", re.IGNORECASE)


class Wire:
    """A socket in `folder` that stands for the server's in `server`. It follows what programs say: the messages of
    PostgreSQL's protocol, version 3 (https://www.postgresql.org/docs/current/protocol-message-formats.html).
    """

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self._server = str(server / ".s.PGSQL.5432")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen(64)
        self._lock = threading.Lock()
        self._transaction, self._left = re.compile("$^"), 0
        threading.Thread(target=self._accept, name="wire", daemon=True).start()

    def lose_answers(self, transaction: str, n: int) -> None:
        """The answers to the next `n` commits of transactions that say something like this."""
        with self._lock:
            self._transaction, self._left = re.compile(transaction, re.DOTALL), n

    @property
    def left(self) -> int:
        """How many answers are still to be lost."""
        with self._lock:
            return self._left

    def takes(self, transaction: str) -> bool:
        """Whether the answer to this transaction's commit is to be lost; then it is counted as lost."""
        with self._lock:
            lost = self._left > 0 and self._transaction.search(transaction) is not None
            self._left -= lost
            return lost

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self._server)
                except OSError:
                    # The server is away: so is this one.
                    client.close()
                    server.close()
                    continue
                _Line(self, client, server).start()


class _Line:
    """One connection, in two threads: what the program says is read message by message, answers pass as they come."""

    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire, self._client, self._server = wire, client, server
        self._prepared: dict[bytes, str] = {}
        self._said: list[str] = []
        self._is_losing = False

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with self._client, self._server:
            answers = threading.Thread(target=self._pump, args=(self._answer,), daemon=True)
            answers.start()
            self._pump(self._say)
            answers.join()

    def _pump(self, pump: Callable[[], None]) -> None:
        # Either side hangs up when it likes; then the other does.
        with contextlib.suppress(OSError):
            pump()
        for each in (self._client, self._server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _say(self) -> None:
        # The first message has no type.
        length = self._read(4)
        self._server.sendall(length + self._read(int.from_bytes(length, "big") - 4))
        while True:
            header = self._read(_HEADER)
            body = self._read(int.from_bytes(header[1:], "big") - 4)
            self._follow(header[:1], body)
            self._server.sendall(header + body)

    def _follow(self, kind: bytes, body: bytes) -> None:
        text = None
        if kind == b"Q":
            text = body.rstrip(b"\0").decode()
        elif kind == b"P":
            name, query = body.split(b"\0", 2)[:2]
            self._prepared[name] = query.decode()
        elif kind == b"B":
            text = self._prepared.get(body.split(b"\0", 2)[1])
        if text is None:
            return
        if _BEGIN.match(text):
            self._said = []
        self._said.append(text)
        if _COMMIT.match(text) and self._wire.takes("\n".join(self._said)):
            self._is_losing = True

    def _answer(self) -> None:
        while data := self._server.recv(65536):
            if self._is_losing:
                # The server answers a COMMIT when it is done.
                return
            self._client.sendall(data)

    def _read(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            piece = self._client.recv(n - len(data))
            if not piece:
                raise ConnectionResetError
            data += piece
        return data
