"""Answers about experiments as text, kept while nothing changes: many who watch one cost little more than one does."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock

MOST_KEPT = 64
"""Experiments. An answer is some kilobytes."""

_Entry = tuple[str, Future[bytes]]


class Rendered:
    """The last answer about each of the experiments that were asked for last, by its tag."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[str, _Entry] = OrderedDict()

    def of(self, experiment_id: str, tag: str, render: Callable[[], bytes]) -> bytes:
        """What `render` makes, once for a tag: whoever wants the same meanwhile waits for it. What it raises is raised
        to all of them, and is not kept.

        The tag must have been read before: then the text may be newer than its tag, and never is older.
        """
        entry, is_new = self._entry(experiment_id, tag)
        text = entry[1]
        if is_new:
            try:
                text.set_result(render())
            except BaseException as error:  # noqa: BLE001 - raised again below, to all who wait
                self._forget(experiment_id, entry)
                text.set_exception(error)
        return text.result()

    def _entry(self, experiment_id: str, tag: str) -> tuple[_Entry, bool]:
        """That for this tag, and whether there was none, so that whoever asked makes the text."""
        with self._lock:
            kept = self._kept.get(experiment_id)
            if kept is not None and kept[0] == tag:
                self._kept.move_to_end(experiment_id)
                return kept, False
            entry: _Entry = tag, Future()
            self._kept[experiment_id] = entry
            self._kept.move_to_end(experiment_id)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return entry, True

    def _forget(self, experiment_id: str, entry: _Entry) -> None:
        with self._lock:
            if self._kept.get(experiment_id) is entry:
                del self._kept[experiment_id]
