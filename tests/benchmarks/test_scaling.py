from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.scaling import AXES, Point, draw
from benchmarks.workloads import planned


def test_each_axis_asks_for_what_it_names() -> None:
    for axis in AXES:
        for value in axis.values:
            asked = planned(axis.asked(value))
            arm = asked.arms[0]
            of = {
                "networks": asked.n_runs, "steps": arm.steps, "depth": arm.network.depth, "width": arm.network.width,
            }  # fmt: skip
            assert of[axis.name] == value


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="NOT TESTED: matplotlib is not installed")
def test_the_same_points_draw_the_same_file(tmp_path: Path) -> None:
    points = [Point(1, 0.5, 10 * 2**20, 8 * 2**20), Point(10, 4.0, 20 * 2**20, 16 * 2**20)]

    for name in ("first.svg", "second.svg"):
        draw({"networks": points, "steps": points}, tmp_path / name)

    assert (tmp_path / "first.svg").read_text().startswith("<?xml")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
