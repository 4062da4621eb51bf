"""The pages of the claims, written from a real lab's answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from actlab.client import Lab
from actlab.operate import claim_pages
from actlab.operate.forest import MOST, forest

SVG = "{http://www.w3.org/2000/svg}"


def a_number(**changes: Any) -> dict[str, Any]:
    told = {"label": "relu < tanh & so on", "mean": 0.5, "low": 0.25, "high": 0.75, "sesoi": 0.5, "n": 5}
    return told | {"missing": 0, "verdict": "supported", "note": ""} | changes


def circles(*numbers: dict[str, Any]) -> list[float]:
    drawing = ElementTree.fromstring(forest([{"name": "part", "verdict": "supported", "numbers": list(numbers)}]))  # noqa: S314 - our own
    return [float(circle.attrib["cx"]) for circle in drawing.iter(f"{SVG}circle")]


def test_effects_are_drawn_where_they_lie_in_smallest_effects_of_interest() -> None:
    minus, zero, one, same, far, beyond = circles(
        a_number(mean=-0.5),
        a_number(mean=0.0),
        a_number(mean=0.5),
        a_number(mean=10.0, sesoi=10.0),
        a_number(mean=MOST * 0.5),
        a_number(mean=1e9),
    )

    assert minus < zero < one < far
    assert zero - minus == one - zero
    assert one == same
    assert far == beyond


def test_an_effect_without_a_number_has_no_mark() -> None:
    assert circles(a_number(mean=None, low=None, high=None)) == []


def test_a_page_has_the_verdicts_the_numbers_and_what_anyone_needs_to_ask_again(lab: Lab, tmp_path: Path) -> None:
    claims = [claim for claim in lab.claims() if claim["name"] == "C2"]
    verdict = lab.verdict("C2")

    index = claim_pages.write(lab, claims, {"C2": verdict}, tmp_path / "pages", took_s=60)

    page = (tmp_path / "pages" / "C2.md").read_text()
    assert "[C2](C2.md)" in index.read_text()
    for text in (page, index.read_text()):
        assert f"**Open.** {verdict['answer'].removeprefix('Open. ')}" in text
    for part in verdict["parts"]:
        for text in (part["statement"], part["sentence"], part["would_change"], part["verdict"]):
            assert text in page
    assert json.loads((tmp_path / "pages" / "C2.json").read_text())["verdict"] == verdict
    ElementTree.parse(tmp_path / "pages" / "C2.svg")  # noqa: S314 - our own


def test_the_claims_do_not_touch_a_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "actlab.sqlite").write_text("months of work")

    command = [sys.executable, "-m", "actlab.operate.claims", "--quick", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 1
    assert "holds something that is not of the claims" in done.stderr
    assert (tmp_path / "actlab.sqlite").read_text() == "months of work"
