from __future__ import annotations

import json
import time

import pytest

from service.strict_json import NotJSON, read


def test_a_key_that_stands_twice_is_named() -> None:
    with pytest.raises(NotJSON, match="The key 'b' stands twice"):
        read(b'{"a": 1, "b": 2, "b": 3, "a": 4}')


def test_a_key_that_stands_twice_among_thousands_is_found_at_once() -> None:
    text = json.dumps({f"key {i}": i for i in range(20_000)})[:-1] + ', "key 19999": 0}'
    before = time.process_time()

    with pytest.raises(NotJSON, match="The key 'key 19999' stands twice"):
        read(text.encode())

    # Some 20 ms; comparing each key with every other takes seconds.
    assert time.process_time() - before < 1
