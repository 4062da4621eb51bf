"""Over a real gunicorn: what is answered without a thread is what was answered before, for a moment."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import time
from urllib.parse import urlsplit

import pytest

from service.repeats import _peeked
from store import submissions, tokens
from store.database import Database
from tests.service.listening import PATIENCE_S, Api, serving
from tests.store.builders import submitted
from tests.waiting import until

LASTING = ("--worker-class", "tests.service.lasting.Lasting")
"""A change that is not seen there was not looked for."""
_END = b"\r\n\r\n"


class Poller:
    """Sends the same bytes again and again on one connection, as dashboards do."""

    def __init__(self, api: Api, experiment_id: str, token: str | None = None) -> None:
        address = urlsplit(api.url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S)
        self._path, self._host = f"/v1/experiments/{experiment_id}", address.netloc
        bearer = "" if token is None else f"Authorization: Bearer {token}\r\n"
        self.request = self._request(bearer)
        self.request = self._request(f"{bearer}If-None-Match: {tag_of(self.ask())}\r\n")

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

    def _request(self, fields: str) -> bytes:
        return f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\n{fields}\r\n".encode()


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
        for cut in range(1, len(poller.request), 5):
            for piece in (poller.request[:cut], poller.request[cut:]):
                poller.socket.sendall(piece)
                time.sleep(0.005)
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


@pytest.mark.parametrize("worker", ["Failing", "Unlike"])
def test_what_fails_there_is_left_to_a_thread(worker: str, sqlite_database: Database) -> None:
    experiment_id = submitted(sqlite_database).id
    stumbling = ("--worker-class", f"tests.service.stumbling.{worker}")
    with serving(sqlite_database.url, *stumbling) as api, Poller(api, experiment_id) as poller:
        before = [status_of(poller.ask()) for _ in range(3)]
        renamed(sqlite_database, experiment_id)

        assert (before, status_of(poller.ask())) == ([304] * 3, 200)


DIFFERING = {
    "method": ("GET", "HEAD"),
    "version": ("1.1", "1.0"),
    "another case": ("If-None-Match", "if-none-match"),
    "no tag": ('If-None-Match: W/"1-0"\r\n', ""),
    "two tags": ('"1-0"', '"1-0", "0-0"'),
    "a tag that is none": ('"1-0"', '"1-"'),
    "two fields": (_END.decode(), '\r\nIf-None-Match: "0-0"' + _END.decode()),
    "its tag elsewhere": (_END.decode(), '\r\nX: "1-0"' + _END.decode()),
    "a query": (" HTTP", "?x=1 HTTP"),
    "another path": (" HTTP", "/arms HTTP"),
    "another host": ("localhost", "evil.example"),
    "two hosts": (_END.decode(), "\r\nHost: localhost" + _END.decode()),
    "the last": (_END.decode(), "\r\nConnection: close" + _END.decode()),
    "a proxy": (_END.decode(), "\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Prefix: /lab" + _END.decode()),
    "a body": (_END.decode(), "\r\nContent-Length: 5" + _END.decode() + "hello"),
    "chunks": (_END.decode(), "\r\nTransfer-Encoding: chunked" + _END.decode() + "5\r\nhello\r\n0" + _END.decode()),
    "much": (_END.decode(), f"\r\nX: {'y' * 5000}" + _END.decode()),
    "too much": (_END.decode(), "\r\nX: y" * 200 + _END.decode()),
    "NUL": (_END.decode(), "\r\nX: \0" + _END.decode()),
    "other ends of lines": ("\r\n", "\n"),
}


def test_whatever_differs_is_answered_as_by_gunicorn_itself(sqlite_database: Database) -> None:
    """Each comes after polls on the same connection, and is the first to see a change."""
    experiment_id = submitted(sqlite_database).id
    poll = f'GET /v1/experiments/{experiment_id} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: W/"1-0"\r\n\r\n'
    with (
        serving(sqlite_database.url, *LASTING, PYTHONHASHSEED="0") as api,
        serving(sqlite_database.url, "--worker-class", "gthread", PYTHONHASHSEED="0") as own,
    ):
        for name, (given, instead) in DIFFERING.items():
            differing = poll.replace(given, instead)
            with Poller(api, experiment_id) as poller, Poller(own, experiment_id) as plain:
                for each in (poller, plain):
                    each.request = poll.encode()
                    assert {status_of(each.ask()) for _ in range(3)} <= {200, 304}
                renamed(sqlite_database, experiment_id)

                assert differing != poll
                assert all_that_is_told(poller, differing) == all_that_is_told(plain, differing), name


def all_that_is_told(poller: Poller, differing: str) -> str:
    """To what differs, and to one more request."""
    last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    poller.socket.sendall((differing + last).encode())
    with poller.socket.makefile("rb") as answers:
        return undated(answers.read().decode())


def test_a_token_that_is_revoked_while_it_polls_is_refused_within_seconds(sqlite_database: Database) -> None:
    experiment_id = submitted(sqlite_database).id
    with sqlite_database.writing() as session:
        token, another = (tokens.create(session, name, (tokens.READ,)) for name in ("one", "another"))
    with (
        serving(sqlite_database.url, *LASTING, ACTLAB_AUTH="tokens") as api,
        Poller(api, experiment_id, token) as poller,
        Poller(api, experiment_id, another) as other,
    ):
        known = [status_of(each.ask()) for each in (poller, other) for _ in range(3)]
        poller.request, request = poller.request.replace(token.encode(), b"actlab_made-up"), poller.request
        unknown, poller.request = status_of(poller.ask()), request
        with sqlite_database.writing() as session:
            tokens.revoke(session, "one")

        assert (known, unknown) == ([304] * 6, 401)
        until(lambda: [status_of(each.ask()) for each in (poller, other)] == [401, 304], within_s=5.5)


def test_who_polls_stays_connected_and_who_does_not_is_let_go(sqlite_database: Database) -> None:
    experiment_id = submitted(sqlite_database).id
    with serving(sqlite_database.url, *LASTING, "--keep-alive", "1") as api, Poller(api, experiment_id) as idle:
        with Poller(api, experiment_id) as poller:
            for _ in range(8):
                assert status_of(poller.ask()) == 304
                time.sleep(0.25)

        assert idle.socket.recv(1) == b""


def test_who_polls_a_server_that_ends_is_told_so_in_a_whole_answer(sqlite_database: Database) -> None:
    experiment_id = submitted(sqlite_database).id
    with serving(sqlite_database.url, *LASTING) as api, Poller(api, experiment_id) as poller:
        poller.ask()
        api.process.terminate()
        last = until(lambda: answer if "Connection: close" in (answer := poller.ask()) else None)

        assert status_of(last) == 304
        assert poller.socket.recv(1) == b""


def test_a_socket_that_ciphers_shows_nothing() -> None:
    ours, theirs = socket.socketpair()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with theirs, context.wrap_socket(ours, do_handshake_on_connect=False) as ciphering:
        theirs.sendall(b"whatever")

        assert _peeked(ciphering) == b""


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
