"""The lab from Python: submit an experiment, wait for it, read what came out. Made for notebooks and the command line.

    from actlab import Lab

    lab = Lab()
    experiment = lab.submit({"activations": ["relu", "tanh"]})
    lab.wait(experiment["id"])
    lab.summary(experiment["id"])["answer"]

Everything is plain JSON data, as the API documents it at /docs. Tables come as columns, ready for a data frame.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from actlab.errors import LabError, TimedOut
from actlab.http import Connection
from actlab.news import LONGEST_S, News
from actlab.progress import Lines
from actlab.token import found

# A method below is called `list`, so these types need names.
Json = dict[str, Any]
Items = list[Json]
Columns = dict[str, list[Any]]

DEFAULT_URL = "http://127.0.0.1:8000"
ENDED = ("succeeded", "failed", "cancelled")
PAGE = 10_000

SHORTEST_POLL_S = 0.3
LONGEST_POLL_S = 2.0
# While one waits for an experiment the lab may well restart: it goes on where it was.
OUTAGE_S = 120.0


class Lab:
    """A lab at an address: `url`, or ACTLAB_URL, or this machine's port 8000. Where it asks for a token: `token`, or
    what `token_file` holds, or ACTLAB_TOKEN, or what the file ACTLAB_TOKEN_FILE holds. A file of yours that others may
    read is refused.

    Methods raise `actlab.errors.Refused` where the lab says no, and `Unreachable` where none answers.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        token_file: str | Path | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        self.url = (url or os.environ.get("ACTLAB_URL") or DEFAULT_URL).rstrip("/")
        if token is not None and token_file is not None:
            raise LabError("Give a token or a token file, not both.")
        self._timeout_s = timeout_s
        self._connection = Connection(self.url, token=token or found(token_file), timeout_s=timeout_s)

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        """Submits an experiment and returns it; it runs whether or not anyone waits.

        One call is one experiment, however often the network made it try; with a key of your own, so are several calls.
        """
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return self._connection.json("POST", "/v1/experiments", body=spec, headers=headers)

    def plan(self, spec: Mapping[str, Any]) -> Json:
        """What `submit` would do: the plan, the arms, and the request with every default. Stores nothing."""
        return self._connection.json("POST", "/v1/experiments", body=spec, params={"dry_run": "true"})

    def get(self, experiment_id: str) -> Json:
        return self._connection.json("GET", _path(experiment_id))

    def list(self, *, limit: int = 50, **filters: str) -> Items:
        """Newest first. Filters: state, tag, name, activation, dataset, created_after, created_before."""
        items: Items = []
        for page in self._pages("/v1/experiments", {"limit": min(limit, 200), **filters}):
            items += page["items"]
            if len(items) >= limit:
                break
        return items[:limit]

    def wait(
        self,
        experiment_id: str,
        *,
        progress: bool = False,
        on_progress: Callable[[Json], None] | None = None,
        timeout_s: float | None = None,
    ) -> Json:
        """The experiment once it has ended, however it did. With `progress` it prints now and then how far that is, and
        what it waits for. `on_progress` gets the experiment at every look, changed or not.

        It looks when the lab says that something happened, and by itself where the lab does not say. Raises TimedOut
        after `timeout_s`. Rides out a lab that is away for less than two minutes.
        """
        until = math.inf if timeout_s is None else time.monotonic() + timeout_s
        news = News(self._connection, _path(experiment_id, "events"), longest_s=min(LONGEST_S, self._timeout_s / 2))
        lines = Lines(print, self.waits_for) if progress else None
        pause_s = SHORTEST_POLL_S
        experiment: Json = {}
        etag: str | None = None
        while True:
            seen, etag = self._look(experiment_id, etag)
            pause_s = SHORTEST_POLL_S if seen else min(pause_s * 1.3, LONGEST_POLL_S)
            experiment = seen or experiment
            if lines is not None:
                lines.look(experiment)
            if on_progress is not None:
                on_progress(experiment)
            if experiment["state"] in ENDED:
                return experiment
            left_s = until - time.monotonic()
            if pause_s > left_s:
                raise TimedOut(f"Experiment {experiment_id} has not ended after {timeout_s:g} s; it goes on.")
            news.pause(pause_s, most_s=left_s)

    def queue(self) -> Json:
        """How many experiments wait and run, in how many training processes, and what the waiting ones wait for."""
        return self._connection.json("GET", "/v1/queue", patience_s=0.0)

    def waits_for(self, experiment: Json) -> str:
        """What the experiment waits for, in a sentence: empty where something of it runs, where it has ended, and where
        the lab does not say.
        """
        if experiment["runs"]["running"] or not experiment["runs"]["queued"]:
            return ""
        try:
            return self.queue()["answer"] or ""
        except LabError:
            return ""

    def cancel(self, experiment_id: str) -> Json:
        """Asks for the end of what still runs or waits; what is measured stays."""
        return self._connection.json("POST", _path(experiment_id, "cancel"), body={})

    def retry(self, experiment_id: str) -> Json:
        """Runs again what failed or was cancelled; what succeeded stays."""
        return self._connection.json("POST", _path(experiment_id, "retry"), body={})

    def extend(self, experiment_id: str, replicates: int) -> Json:
        """Trains more replicates of an experiment that has ended, `replicates` in all; what is measured stays as it is.

        Asking twice is asking once.
        """
        return self._connection.json("POST", _path(experiment_id, "replicates"), body={"replicates": replicates})

    def change(self, experiment_id: str, *, name: str | None = None, tags: Iterable[str] | None = None) -> Json:
        """Another name, other tags; None leaves what there is."""
        body = ({} if name is None else {"name": name}) | ({} if tags is None else {"tags": [*tags]})
        return self._connection.json("PATCH", _path(experiment_id), body=body)

    def cancel_found(self, **filters: str) -> int:
        """Cancels every experiment that `list` shows for these filters and that has not ended; says how many.

        Without a filter it takes all="true".
        """
        cancelled, more = 0, True
        while more:
            answer = self._connection.json("POST", "/v1/experiments/cancel", body={}, params=filters)
            cancelled, more = cancelled + answer["cancelled"], answer["more"]
        return cancelled

    def history(self, experiment_id: str) -> Items:
        """Every change of state of the experiment and its stacks, in the order in which they happened."""
        return self._items(_path(experiment_id, "history"), {"limit": 200})

    def delete(self, experiment_id: str) -> None:
        """Removes the experiment and all its results, for good."""
        self._connection.send("DELETE", _path(experiment_id))

    def arms(self, experiment_id: str) -> Items:
        return self._items(_path(experiment_id, "arms"))

    def runs(self, experiment_id: str, **filters: Any) -> Items:
        """How every network ended; filters are arm and state."""
        return self._items(_path(experiment_id, "runs"), {"limit": 200, **filters})

    def measurements(self, experiment_id: str, **filters: Any) -> Columns:
        """The statistics of every layer at every recorded step, as columns: `pandas.DataFrame(lab.measurements(id))`.

        Filters are arm, activation, swept ("network.depth:8"), layer, replicate (each a value or a list), step_min,
        step_max, and fields (a list). `aggregate="mean"` gives means over networks with intervals, `over="layers"` also
        over layers, `thin=100` at most so many steps of each series, with its extremes.
        """
        return self._columns(_path(experiment_id, "measurements"), filters)

    def curves(self, experiment_id: str, **filters: Any) -> Columns:
        """Losses and accuracy at every recorded step, as columns. Filters as for `measurements`, but layer."""
        return self._columns(_path(experiment_id, "curves"), filters)

    def units(self, experiment_id: str, **filters: Any) -> Columns:
        """Which units died and which came back, as columns: a row for every run, step and layer where some did.

        `died` and `revived` are lists of units, counted from 0; those that died at step 0 were born dead. Filters as
        for `measurements`.
        """
        return self._columns(_path(experiment_id, "units"), filters)

    def csv(self, experiment_id: str, table: str, **filters: Any) -> Iterator[str]:
        """`measurements`, `curves` or `units` as CSV text, piece by piece, however large. Filters as theirs."""
        return self._connection.text(_path(experiment_id, table), params={**_query(filters), "format": "csv"})

    def ndjson(self, experiment_id: str, table: str, **filters: Any) -> Iterator[str]:
        """As `csv`, with a JSON object on each line."""
        return self._connection.text(_path(experiment_id, table), params={**_query(filters), "format": "ndjson"})

    def comparison(self, experiment_id: str, metric: str = "test_accuracy", **options: Any) -> Json:
        """Every arm's mean and interval, and its paired difference from the baseline. Options: layer, at, level."""
        return self._connection.json("GET", _path(experiment_id, "comparison"), params={"metric": metric, **options})

    def predictions(self, experiment_id: str, **filters: Any) -> Items:
        """Theory beside the measurement at step 0: for each arm every layer's gradient ratio, variance, mean and dead
        fraction, predicted and measured, and whether they agree. The filter is arm.
        """
        return self._items(_path(experiment_id, "predictions"), filters)

    def claims(self) -> Items:
        """What is said of activations, each claim with its parts and the experiments it begins with."""
        return self._items("/v1/claims")

    def ask_claim(self, name: str, *, effort: str = "full", round_id: str | None = None) -> Json:
        """Asks for the next experiments of a claim: in the round under way, or in a new one; or in that round alone.

        Asking again while they run submits nothing.
        """
        body = {"effort": effort} | ({} if round_id is None else {"round": round_id})
        return self._connection.json("POST", _claim(name, "experiments"), body=body)

    def verdict(self, name: str, **query: Any) -> Json:
        """How a claim stands: parts, numbers, verdicts, and what is missing. By its latest whole round, or by query:
        effort, round, or experiments (a list of ids).
        """
        return self._connection.json("GET", _claim(name, "verdict"), params=query)

    def run_claim(self, name: str, *, effort: str = "full", wait: Callable[[str], Any] | None = None) -> Json:
        """Goes through a claim, stage by stage, and returns its verdict. `wait` gets each experiment's id in turn."""
        asked = self.ask_claim(name, effort=effort)
        while True:
            for experiment in asked["experiments"]:
                (wait or self.wait)(experiment["id"])
            if asked["stage"] >= asked["stages"]:
                break
            following = self.ask_claim(name, round_id=asked["round"])
            if not following["submitted"]:
                # Something was lost on the way: the verdict says what.
                break
            asked = following
        return self.verdict(name, **({"round": asked["round"]} if asked["experiments"] else {}))

    def datasets(self) -> Items:
        """The data sets that can be asked for, each with its task and its parameters."""
        return self._items("/v1/datasets")

    def summary(self, experiment_id: str) -> Json:
        """The table of arms, and the answer in words."""
        return self._connection.json("GET", _path(experiment_id, "summary"))

    def figure(self, experiment_id: str, name: str) -> Json:
        """A Plotly figure as data: learning_curves, gradient_flow, dead_fraction, mean_activation or comparison."""
        return self._connection.json("GET", _path(experiment_id, "figures", name))

    def report(self, experiment_id: str, path: str | Path) -> Path:
        """Writes the report, one HTML page that needs nothing else, to `path`."""
        path, pieces = Path(path), self._connection.text(_path(experiment_id, "report"))
        # A refusal comes before the first piece, and leaves what the file held.
        first = next(pieces, "")
        with path.open("w", encoding="utf-8") as file:
            file.write(first)
            file.writelines(pieces)
        return path

    def _look(self, experiment_id: str, etag: str | None) -> tuple[Json | None, str | None]:
        """The experiment and its tag; None where nothing has changed since `etag`."""
        headers = {"If-None-Match": etag} if etag else {}
        answer = self._connection.send("GET", _path(experiment_id), headers=headers, patience_s=OUTAGE_S)
        if answer.status_code == 304:
            return None, etag
        return answer.json(), answer.headers.get("ETag")

    def _pages(self, path: str, params: Mapping[str, Any]) -> Iterator[Json]:
        cursor: Json = {}
        while True:
            page = self._connection.json("GET", path, params={**params, **cursor})
            yield page
            if page.get("next") is None:
                return
            cursor = {"cursor": page["next"]}

    def _items(self, path: str, params: Mapping[str, Any] | None = None) -> Items:
        return [item for page in self._pages(path, params or {}) for item in page["items"]]

    def _columns(self, path: str, filters: Mapping[str, Any]) -> Columns:
        columns: Columns = {}
        for page in self._pages(path, {"limit": PAGE, **_query(filters)}):
            for name, values in page["columns"].items():
                columns.setdefault(name, []).extend(values)
        return columns


def _path(experiment_id: str, *parts: str) -> str:
    return "/".join(("/v1/experiments", *(quote(part, safe="") for part in (experiment_id, *parts))))


def _claim(name: str, *parts: str) -> str:
    return "/".join(("/v1/claims", *(quote(part, safe="") for part in (name, *parts))))


def _query(filters: Mapping[str, Any]) -> Json:
    """`fields` goes as one comma list; every other list is the parameter repeated."""
    query = dict(filters)
    if "fields" in query and not isinstance(query["fields"], str):
        query["fields"] = ",".join(query["fields"])
    return query
