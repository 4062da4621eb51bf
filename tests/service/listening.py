"""A real gunicorn, and readers of its streams and long polls."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from store import results
from store.database import Database
from store.leases import Claim
from tests.store.builders import a_record

SERVING = (sys.executable, "-m", "gunicorn", "--config", "python:service.gunicorn", "service.wsgi:app")
PATIENCE_S = 20.0
FULL = 3
"""Streams that one process holds open here: one that was left keeps its place until its next heartbeat."""


@dataclass(frozen=True, slots=True)
class Api:
    url: str
    process: subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    cursor: str
    data: dict[str, Any]


@contextmanager
def serving(database_url: str, *options: str, **settings: str) -> Iterator[Api]:
    """One process, so that places are counted in one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environ = {
            "ACTLAB_DATABASE_URL": database_url,
            "ACTLAB_BIND": f"fd://{listener.fileno()}",
            "ACTLAB_MAX_STREAMS": str(FULL),
            "ACTLAB_STREAM_HEARTBEAT_S": "0.2",
        }
        process = subprocess.Popen(
            [*SERVING, "--workers", "1", *options],
            env=os.environ | environ | settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
        try:
            yield Api("http://{}:{}".format(*listener.getsockname()), process)
        finally:
            process.terminate()
            process.wait(timeout=30)


class Stream:
    """An open stream, read event by event."""

    def __init__(self, api: Api, experiment_id: str, last: str | None = None) -> None:
        headers = {} if last is None else {"Last-Event-ID": last}
        self.client = httpx.Client(base_url=api.url, timeout=PATIENCE_S)
        request = self.client.build_request("GET", f"/v1/experiments/{experiment_id}/events", headers=headers)
        self.answer = self.client.send(request, stream=True)
        self._lines = self.answer.iter_lines()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.answer.close()
        self.client.close()

    def __iter__(self) -> Iterator[Event]:
        told: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            told |= {name: value}
            if not line and "event" in told:
                yield Event(told["event"], told["id"], json.loads(told["data"]))
                told = {}

    def until(self, is_it: Callable[[Event], bool]) -> list[Event]:
        """All events up to the first that is it."""
        events = []
        for event in self:
            events.append(event)
            if is_it(event):
                return events
        raise AssertionError(f"The stream ended: {events}")

    def heartbeat(self) -> None:
        """Reads up to the next one."""
        for line in self._lines:
            if line.startswith(":"):
                return
        raise AssertionError("The stream ended.")


def recorded(database: Database, claim: Claim, *steps: int) -> None:
    for step in steps:
        with database.writing() as session:
            results.record(session, claim, a_record(step), results.begin(session, claim, recorded_step=step - 1))


def states(events: list[Event]) -> list[tuple[int | None, str]]:
    return [(event.data["stack"], event.data["to_state"]) for event in events if event.name == "state"]


def poll(api: Api, experiment_id: str, since: str, wait_s: int) -> httpx.Response:
    path = f"{api.url}/v1/experiments/{experiment_id}/events"
    return httpx.get(path, params={"since": since, "wait_s": wait_s}, timeout=PATIENCE_S)


def refused(api: Api, experiment_id: str, last: str | None = None) -> httpx.Response:
    """What is said in place of a stream."""
    with Stream(api, experiment_id, last) as stream:
        stream.answer.read()
        return stream.answer


def opened(api: Api, experiment_id: str) -> Stream:
    """One that has told how things stand."""
    stream = Stream(api, experiment_id)
    stream.until(lambda event: event.name == "measurements" or event.data.get("state") == "queued")
    return stream
