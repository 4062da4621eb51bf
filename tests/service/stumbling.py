"""The API's worker where what it does without a thread fails, at once or at its end."""

from __future__ import annotations

from typing import Any

from tests.service.lasting import Lasting


class Failing(Lasting):
    def _again(self, arrived: bytes) -> bytes | None:
        assert super()._again(arrived) is None, "whatever"
        return None


class Unlike(Lasting):
    """As over a gunicorn that keeps its connections in another way."""

    def _keep_open(self, conn: Any) -> None:
        conn.whatever()
