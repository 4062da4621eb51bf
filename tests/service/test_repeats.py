"""Over a real gunicorn: what is answered without a thread is what was answered before, for a moment."""

from __future__ import annotations

import re
import socket
import struct
import time
from urllib.parse import urlsplit

from store import submissions
from store.database import Database
from tests.service.listening import PATIENCE_S, Api, serving
from tests.store.builders import submitted
from tests.waiting import until

LASTING = ("--worker-class", "tests.service.lasting.Lasting")
"""A change that is not seen there was not looked for."""
_END = b"\r\n\r\n"


class Poller:
    """Sends the same bytes again and again on one connection, as dashboards do."""

    def __init__(self, api: Api, experiment_id: str) -> None:
        address = urlsplit(api.url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S)
        self._path, self._host = f"/v1/experiments/{experiment_id}", address.netloc
        self.request = self._request()
        self.request = self._request(f"If-None-Match: {tag_of(self.ask())}\r\n")

    def __enter__(self) -> Poller:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, more: str = "") -> str:
        """Polls. With `more` in its head a request is read as any other is."""
        self.socket.sendall(self.request.replace(_END, f"\r\n{more}".encode() + _END) if more else self.request)
        return self.read()

    def read(self) -> str:
        got = b""
        while _END not in got:
            got += self._piece()
        head, _, body = got.partition(_END)
        length = re.search(rb"Content-Length: ([0-9]+)", head)
        while length and len(body) < int(length[1]):
            body += self._piece()
        return head.decode() + "\r\n\r\n" + body.decode()

    def _piece(self) -> bytes:
        piece = self.socket.recv(2**16)
        assert piece, "closed"
        return piece

    def _request(self, tag: str = "") -> bytes:
        return f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\n{tag}\r\n".encode()


def renamed(database: Database, experiment_id: str) -> None:
    with database.writing() as session:
        submissions.change(session, experiment_id, name="another", tags=None)


def test_a_poll_that_comes_again_is_answered_as_before_without_a_look(database: Database) -> None:
    experiment_id = submitted(database).id
    with serving(database.url, *LASTING) as api, Poller(api, experiment_id) as poller:
        read = poller.ask()
        before = poller.ask()
        renamed(database, experiment_id)
        after = poller.ask()

    assert status_of(read) == 304
    assert undated(after) == undated(before) == undated(read)


def test_what_another_request_has_seen_is_told_whole_as_that_was(sqlite_database: Database) -> None:
    experiment_id = submitted(sqlite_database).id
    with serving(sqlite_database.url, *LASTING) as api, Poller(api, experiment_id) as poller:
        poller.ask()
        renamed(sqlite_database, experiment_id)
        looked = poller.ask("X-More: 1")
        with sqlite_database.writing() as session:
            submissions.change(session, experiment_id, name="a third", tags=None)
        again = poller.ask()

    assert (status_of(looked), status_of(again)) == (200, 200)
    assert '"name":"another"' in again.replace(" ", "")
    assert undated(again) == undated(looked)


def test_who_was_told_what_is_new_asks_with_its_tag_from_then_on(sqlite_database: Database) -> None:
    experiment_id = submitted(sqlite_database).id
    with serving(sqlite_database.url, *LASTING) as api, Poller(api, experiment_id) as poller:
        poller.ask()
        renamed(sqlite_database, experiment_id)
        poller.ask("X-More: 1")
        told = tag_of(poller.ask())
        poller.request = poller.request.replace(b'W/"1-0"', told.encode())
        renamed(sqlite_database, experiment_id)

        assert told != 'W/"1-0"'
        assert status_of(poller.ask()) == 304


def test_nobody_is_told_what_is_older_than_he_knows(sqlite_database: Database) -> None:
    """A later answer came from another process."""
    experiment_id = submitted(sqlite_database).id
    with (
        serving(sqlite_database.url, *LASTING) as api,
        serving(sqlite_database.url) as other,
        Poller(api, experiment_id) as poller,
    ):
        poller.ask()
        renamed(sqlite_database, experiment_id)
        with Poller(other, experiment_id) as elsewhere:
            poller.request = elsewhere.request.replace(netloc(other), netloc(api))

        assert [status_of(poller.ask()) for _ in range(3)] == [304] * 3


def test_a_change_is_told_soon(database: Database) -> None:
    experiment_id = submitted(database).id
    with serving(database.url) as api, Poller(api, experiment_id) as poller:
        assert [status_of(poller.ask()) for _ in range(5)] == [304] * 5
        renamed(database, experiment_id)

        until(lambda: status_of(poller.ask()) == 200, within_s=5)


def test_polls_that_come_together_or_in_pieces_are_all_answered(sqlite_database: Database) -> None:
    experiment_id = submitted(sqlite_database).id
    with serving(sqlite_database.url, *LASTING) as api, Poller(api, experiment_id) as poller:
        poller.ask()
        for _ in range(3):
            poller.socket.sendall(poller.request * 2)
            assert [status_of(poller.read()) for _ in range(2)] == [304, 304]
        for piece in (poller.request[:50], poller.request[50:]):
            poller.socket.sendall(piece)
            time.sleep(0.1)
        assert status_of(poller.read()) == 304


def test_who_polls_and_is_gone_leaves_the_others_alone(sqlite_database: Database) -> None:
    experiment_id = submitted(sqlite_database).id
    with serving(sqlite_database.url, *LASTING) as api, Poller(api, experiment_id) as poller:
        poller.ask()
        for _ in range(5):
            with Poller(api, experiment_id) as gone:
                gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                gone.socket.sendall(gone.request)

        assert status_of(poller.ask()) == 304


def netloc(api: Api) -> bytes:
    return urlsplit(api.url).netloc.encode()


def status_of(answer: str) -> int:
    return int(answer.split()[1])


def tag_of(answer: str) -> str:
    found = re.search("ETag: (.*)\r\n", answer)
    assert found is not None, answer
    return found[1]


def undated(answer: str) -> str:
    return re.sub("Date: .*", "Date", answer)
