"""The pages in docs/claims, worked out again from the effects of their networks, by other means than the product's."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from lab.claims import CLAIMS

PAGES = Path(__file__).parents[3] / "docs" / "claims"


def verdict(low: float, high: float, direction: str, sesoi: float) -> str:
    if direction == "above":
        return "supported" if low > sesoi else "refuted" if high < sesoi else "inconclusive"
    within, beyond = -sesoi < low <= high < sesoi, low > sesoi or high < -sesoi
    return "supported" if within else "refuted" if beyond else "inconclusive"


def says_nothing(number: dict[str, Any]) -> bool:
    """More than 10 % of the planned values are missing."""
    return 10 * sum(each["effect"] is None for each in number["effects"]) > len(number["effects"])


def interval(number: dict[str, Any], level: float) -> tuple[float, float]:
    effects = np.array([each["effect"] for each in number["effects"] if each["effect"] is not None])
    if number["note"] == "computed, not sampled":
        return float(effects[0]), float(effects[0])
    reach = stats.t.ppf((1 + level) / 2, len(effects) - 1) * effects.std(ddof=1) / math.sqrt(len(effects))
    return float(effects.mean() - reach), float(effects.mean() + reach)


@pytest.mark.parametrize("name", CLAIMS)
def test_every_interval_and_verdict_of_a_page_follows_from_its_networks_effects(name: str) -> None:
    parts = json.loads((PAGES / f"{name}.json").read_text())["verdict"]["parts"]

    assert [part["name"] for part in parts] == [part.name for part in CLAIMS[name].parts]
    for part in parts:
        level = 1 - (0.1 if part["direction"] == "within" else 0.05) / len(parts)
        found = []
        for number in part["numbers"]:
            low, high = interval(number, level)
            assert (number["low"], number["high"]) == pytest.approx((low, high), rel=1e-9, abs=1e-15), number["label"]
            assert len(number["effects"]) == number["n"] + number["missing"]
            says = verdict(low, high, part["direction"], number["sesoi"])
            found.append("inconclusive" if says_nothing(number) else says)
            assert number["verdict"] == found[-1], number["label"]
        of_part = "refuted" if "refuted" in found else "supported" if set(found) == {"supported"} else "inconclusive"
        assert part["verdict"] == of_part, part["name"]


@pytest.mark.parametrize("name", CLAIMS)
def test_a_page_says_of_its_parts_what_the_claim_says(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text()
    parts = json.loads((PAGES / f"{name}.json").read_text())["verdict"]["parts"]

    for part, written in zip(CLAIMS[name].parts, parts, strict=True):
        assert f"- Why: {part.explanation}\n- What would change it: {part.would_change}\n" in page, part.name
        assert f"{part.statement}\n" in page, part.name
        for field in ("statement", "effect", "explanation", "would_change"):
            assert written[field] == getattr(part, field), (part.name, field)
