"""A small server that answers as it is told to: for what a real lab does too seldom to be tested."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """One answer; status 0 hangs up without any."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Stumbling:
    """Gives `answers` one after the other, the last one for ever; `requests` are those that came."""

    url: str
    answers: list[Answer]
    requests: list[Request] = field(default_factory=list)

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def stumbling(*answers: Answer) -> Iterator[Stumbling]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    told = server.told = Stumbling(f"http://127.0.0.1:{server.server_port}", list(answers))  # type: ignore[attr-defined]  # for _Handler
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        told: Stumbling = self.server.told  # type: ignore[attr-defined]  # set by stumbling()
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        told.requests.append(Request(self.command, self.path, dict(self.headers), json.loads(text) if text else None))
        answer = told.next()
        if not answer.status:
            return
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names are http.server's

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""
