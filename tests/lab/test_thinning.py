"""A thinned series shows what the whole one does."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lab.thinning import FEWEST, m4

VALUES = st.lists(st.none() | st.floats(-10, 10), max_size=200)


@given(VALUES, st.integers(FEWEST, 50))
def test_no_more_are_kept_than_asked_for_and_none_is_made_up(values: list[float | None], most: int) -> None:
    kept = m4(values, most)

    assert len(kept) == len(values) if len(values) <= most else len(kept) <= most
    assert kept == sorted(set(kept))
    assert set(kept) <= set(range(len(values)))


@given(VALUES.filter(bool), st.integers(FEWEST, 50))
def test_ends_and_extremes_are_kept(values: list[float | None], most: int) -> None:
    kept = m4(values, most)

    defined = [value for value in values if value is not None]
    assert {0, len(values) - 1} <= set(kept)
    if defined:
        shown = {values[i] for i in kept}
        assert {min(defined), max(defined)} <= shown


def test_every_stretch_of_a_series_keeps_its_own() -> None:
    values = list(np.sin(np.arange(100.0)))

    kept = m4(values, 20)

    for i in range(0, 100, 20):
        stretch = values[i : i + 20]
        assert {i, i + 19, i + int(np.argmin(stretch)), i + int(np.argmax(stretch))} <= set(kept)
