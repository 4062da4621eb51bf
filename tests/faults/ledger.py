"""The client's own book: what it asked for, and every 202 it was given."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass
class Entry:
    """One wish. Its id is None until a 202 says it is accepted."""

    key: str
    body: dict[str, Any]
    experiment_id: str | None = None
    cancelled: bool = False
    """Whether a cancel was asked for: then it may end either way."""
    deleted: bool = False


class Ledger:
    """Every wish has a key of its own, so that a client that heard no answer may ask again."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self.entries: list[Entry] = []

    def submit(self, body: dict[str, Any], *, within_s: float = 30.0, timeout_s: float = 10.0) -> Entry:
        """Asks until it is accepted, and at most for `within_s`."""
        entry = Entry(str(uuid.uuid4()), body)
        self.entries.append(entry)
        until = time.monotonic() + within_s
        while not self.ask(entry, timeout_s=timeout_s) and time.monotonic() < until:
            time.sleep(0.1)
        return entry

    def ask(self, entry: Entry, *, timeout_s: float = 10.0) -> bool:
        """Asks once; whether the answer was a 202."""
        try:
            headers = {"Idempotency-Key": entry.key}
            answer = httpx.post(f"{self._base_url}/v1/experiments", json=entry.body, headers=headers, timeout=timeout_s)
        except httpx.TransportError:
            return False
        assert answer.status_code == 202 or answer.status_code >= 500, answer.text
        if answer.status_code != 202:
            return False
        given = str(answer.json()["id"])
        assert entry.experiment_id in (None, given), f"one key, two experiments: {entry.experiment_id} and {given}"
        entry.experiment_id = given
        return True

    def cancel(self, entry: Entry) -> None:
        """409 says that it had ended already."""
        entry.cancelled = True
        url = f"{self._base_url}/v1/experiments/{entry.experiment_id}/cancel"
        assert httpx.post(url, timeout=30).status_code in (202, 409)

    def retry(self, entry: Entry) -> None:
        """409 says that it had succeeded."""
        url = f"{self._base_url}/v1/experiments/{entry.experiment_id}/retry"
        assert httpx.post(url, timeout=30).status_code in (202, 409)

    def delete(self, entry: Entry) -> None:
        entry.cancelled = entry.deleted = True
        url = f"{self._base_url}/v1/experiments/{entry.experiment_id}"
        assert httpx.delete(url, timeout=30).status_code == 204

    def accepted(self) -> dict[str, Entry]:
        """Every 202 by its id, but for what was deleted since."""
        kept = [entry for entry in self.entries if not entry.deleted]
        return {entry.experiment_id: entry for entry in kept if entry.experiment_id is not None}
