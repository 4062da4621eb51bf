from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from lab.errors import Unavailable
from service.rendered import Rendered


def test_who_asks_while_it_is_rendered_waits_for_the_same() -> None:
    rendered, begun, go_on = Rendered(), Event(), Event()

    def slowly() -> bytes:
        begun.set()
        assert go_on.wait(10)
        return b"one"

    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(rendered.of, ("a",), "1", slowly)
        assert begun.wait(10)
        others = [pool.submit(rendered.of, ("a",), "1", lambda: b"another") for _ in range(4)]
        other_experiment = rendered.of(("b",), "1", lambda: b"two")
        go_on.set()

        assert {text.result() for text in (first, *others)} == {b"one"}
    assert other_experiment == b"two"


def test_another_tag_is_another_text() -> None:
    rendered = Rendered()
    rendered.of(("a",), "1", lambda: b"old")

    assert rendered.of(("a",), "2", lambda: b"new") == b"new"
    assert rendered.of(("a",), "2", lambda: b"newer") == b"new"


def test_a_failure_reaches_all_who_wait_and_nobody_after_them() -> None:
    rendered, begun, go_on = Rendered(), Event(), Event()

    def fail() -> bytes:
        begun.set()
        assert go_on.wait(10)
        raise Unavailable("The database is away.")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(rendered.of, ("a",), "1", fail)
        assert begun.wait(10)
        second = pool.submit(rendered.of, ("a",), "1", fail)
        go_on.set()
        for text in (first, second):
            with pytest.raises(Unavailable, match="away"):
                text.result()

    assert rendered.of(("a",), "1", lambda: b"there") == b"there"


def test_what_nobody_asked_for_lately_is_let_go() -> None:
    rendered = Rendered(most_bytes=10)
    rendered.of(("first",), "1", lambda: b"1234")
    rendered.of(("second",), "1", lambda: b"1234")

    rendered.of(("first",), "1", lambda: b"never made")
    rendered.of(("third",), "1", lambda: b"123")

    assert rendered.of(("first",), "1", lambda: b"new") == b"1234"
    assert rendered.of(("third",), "1", lambda: b"new") == b"123"
    assert rendered.of(("second",), "1", lambda: b"new") == b"new"


def test_a_new_tag_takes_the_place_of_the_old() -> None:
    rendered = Rendered(most_bytes=10)
    rendered.of(("kept",), "1", lambda: b"1234")

    for tag in range(10):
        rendered.of(("changing",), str(tag), lambda: b"123456")

    assert rendered.of(("kept",), "1", lambda: b"new") == b"1234"


def test_what_is_larger_than_all_that_may_be_kept_is_made_each_time() -> None:
    rendered = Rendered(most_bytes=10)

    assert rendered.of(("large",), "1", lambda: b"12345678901") == b"12345678901"
    assert rendered.of(("large",), "1", lambda: b"new") == b"new"


def test_what_failed_just_now_is_not_kept() -> None:
    """Whoever asks may have found the text before it failed: it is still on its way out."""
    rendered = Rendered()
    text, _ = rendered._text(("a",), "1")

    text.made.set_exception(Unavailable("The database is away."))

    assert rendered.kept(("a",), "1") is None
