"""Answers as text, kept while they hold: many who ask the same cost little more than one does."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock

MOST_BYTES = 16 * 2**20
"""What one process keeps."""

Key = tuple[Hashable, ...]


@dataclass(slots=True)
class _Text:
    """`ready` is what was made, once it is; those who wait for it ask `made`."""

    tag: str
    made: Future[bytes] = field(default_factory=Future)
    ready: bytes | None = None


class Rendered:
    """The last text about each thing, by its tag; those that were asked for last, at most `most_bytes` of them."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes, self._n_bytes = most_bytes, 0
        self._lock = Lock()
        self._kept: OrderedDict[Key, _Text] = OrderedDict()

    def of(self, key: Key, tag: str, render: Callable[[], bytes]) -> bytes:
        """What `render` makes, once for a tag: whoever wants the same meanwhile waits for it. What it raises is raised
        to all of them, and is not kept.

        The tag must have been read before: then the text may be newer than its tag, and never is older.
        """
        text, is_new = self._text(key, tag)
        if is_new:
            try:
                made = render()
            except BaseException as error:  # noqa: BLE001 - raised again below, to all who wait
                self._keep(key, text, None)
                text.made.set_exception(error)
            else:
                self._keep(key, text, made)
                text.made.set_result(made)
        return text.made.result()

    def kept(self, key: Key, tag: str) -> bytes | None:
        """The text for this tag, where it is made already."""
        with self._lock:
            kept = self._kept.get(key)
            return kept.ready if kept is not None and kept.tag == tag else None

    def _text(self, key: Key, tag: str) -> tuple[_Text, bool]:
        """That for this tag, and whether there was none, so that whoever asked makes it."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.tag == tag:
                self._kept.move_to_end(key)
                return kept, False
            self._forget(key)
            text = self._kept[key] = _Text(tag)
            return text, True

    def _keep(self, key: Key, text: _Text, made: bytes | None) -> None:
        """What was made, None for what failed; lets go what is too much."""
        with self._lock:
            if self._kept.get(key) is not text:
                return
            if made is None:
                self._forget(key)
                return
            text.ready = made
            self._n_bytes += len(made)
            while self._n_bytes > self._most_bytes:
                self._forget(next(iter(self._kept)))

    def _forget(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None and kept.ready is not None:
            self._n_bytes -= len(kept.ready)
