"""The way to the lab: requests that may be repeated are, and what the lab refuses is raised as a sentence."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from actlab.command import command
from actlab.errors import LabError, Unreachable, refusal

# A lab that is restarting answers again after about a second; one that is not there should be said so soon.
PATIENCE_S = 3.0
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
BUSY = (429, 502, 503, 504)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Connection:
    """A pool of connections to one lab. Every request it sends may be repeated: those that create carry their key."""

    def __init__(self, url: str, *, timeout_s: float, token: str | None = None) -> None:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise LabError(f"The lab's address {url!r} is not one: it reads like http://127.0.0.1:8000.")
        self._url = url
        # A proxy for the world outside does not know this machine's own addresses.
        self._client = httpx.Client(
            base_url=url,
            timeout=timeout_s,
            trust_env=address.hostname not in LOOPBACK,
            headers={"Accept": "application/json, application/problem+json", **_authorization(token)},
        )

    def close(self) -> None:
        self._client.close()

    def json(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> dict[str, Any]:
        """The data of what `send` is answered."""
        answer = self.send(method, path, body=body, params=params, headers=headers, patience_s=patience_s)
        try:
            data: dict[str, Any] = answer.json()
        except ValueError as error:
            raise Unreachable(f"What answers at {self._url} is not a lab: it did not answer with JSON.") from error
        return data

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> httpx.Response:
        """The answer, 2xx or 304. Repeats for `patience_s` what the network or a busy lab has cut short.

        Raises Refused for any other status, Unreachable where no lab answers in that time.
        """
        until = time.monotonic() + patience_s
        pause_s = FIRST_PAUSE_S
        tried = False
        while True:
            try:
                answer = self._client.request(method, path, json=body, params=params, headers=headers)
            except httpx.TransportError as error:
                if time.monotonic() + pause_s > until:
                    raise self._unreachable(error) from error
            else:
                if tried and method == "DELETE" and answer.status_code == httpx.codes.NOT_FOUND:
                    # The first try did it, and its answer was lost.
                    return answer
                if answer.status_code not in BUSY or time.monotonic() + pause_s > until:
                    return _accepted(answer)
            tried = True
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def text(self, path: str, *, params: Mapping[str, Any] | None = None) -> Iterator[str]:
        """An answer of any size, piece by piece. Is not repeated: the reader has the first pieces already."""
        try:
            with self._client.stream("GET", path, params=params, headers={"Accept": "*/*"}) as answer:
                if not answer.is_success:
                    answer.read()
                    _accepted(answer)
                yield from answer.iter_text()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.TransportError) -> Unreachable:
        if isinstance(error, httpx.ConnectError):
            return Unreachable(
                f"No lab answers at {self._url}; start one with `{command('up')}`, "
                "or say with --url or ACTLAB_URL where one is."
            )
        return Unreachable(f"The lab at {self._url} stopped answering ({str(error) or type(error).__name__}).")


def _authorization(token: str | None) -> dict[str, str]:
    if token is None:
        return {}
    if not token.isascii() or not token.isprintable() or " " in token:
        raise LabError("The token is not one: it is a word of letters and digits that begins with actlab_.")
    return {"Authorization": f"Bearer {token}"}


def _accepted(answer: httpx.Response) -> httpx.Response:
    if answer.is_success or answer.status_code == httpx.codes.NOT_MODIFIED:
        return answer
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    raise refusal(problem if isinstance(problem, dict) else {}, answer.status_code)
