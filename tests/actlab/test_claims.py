"""A claim against a real lab: asked, trained, judged, shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from actlab.cli import claim_tables, main
from actlab.client import Lab
from actlab.errors import NotFound
from tests.actlab.labs import Up


def actlab(up: Up, *arguments: str) -> Result:
    return CliRunner(env={"ACTLAB_URL": up.url}).invoke(main, arguments)


def test_a_claim_runs_to_its_verdict(lab_up: Up, lab: Lab) -> None:
    shown = actlab(lab_up, "claim", "c2", "--run", "--quick")

    answer = lab.verdict("C2")
    verdicts = {part["name"]: part["verdict"] for part in answer["parts"]}
    assert shown.exit_code == 0, shown.output
    for text in (
        "C2: ReLU looks linear",
        "ReLU scales as a linear function does",
        "REFUTED",
        "SUPPORTED",
        "relu(-1) + relu(1)",
    ):
        assert text in shown.stdout
    assert answer["complete"], answer["missing"]
    # The number of bends may want more than five networks; what is algebra does not.
    assert verdicts["not_additive"] == verdicts["affine_between"] == "supported"
    assert verdicts["not_homogeneous"] == "refuted"
    counts = next(part["numbers"] for part in answer["parts"] if part["name"] == "counts")
    assert [number["n"] for number in counts] == [5, 5, 5]
    assert all(abs(number["mean"]) < 0.1 for number in counts)


@pytest.mark.slow
def test_a_claim_in_two_stages_runs_to_its_verdict(lab_up: Up, lab: Lab) -> None:
    result = actlab(lab_up, "claim", "C1", "--run", "--quick", "--json")

    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["complete"], answer["missing"]
    assert {each["stage"] for each in answer["experiments"]} == {"measuring", "judging"}
    assert all(number["n"] >= 5 for part in answer["parts"] for number in part["numbers"])
    verdicts = {part["name"]: part["verdict"] for part in answer["parts"]}
    # What is far from its smallest effect of interest: five networks are enough.
    assert verdicts == {
        "collapses": "supported",
        "does_not": "supported",
        "chance": "supported",
        "solves": "supported",
        "useless": "refuted",
        "same_training": "refuted",
    }
    assert lab.verdict("C1") == answer


def test_all_claims_are_listed_with_how_they_stand(lab_up: Up, lab: Lab) -> None:
    result = actlab(lab_up, "claims")

    assert result.exit_code == 0, result.output
    for item in lab.claims():
        assert item["name"] in result.stdout
    assert "not run yet" in result.stdout
    never_run = actlab(lab_up, "claim", "C4")
    assert "NOT RUN" in never_run.stdout
    assert "INCONCLUSIVE" not in never_run.stdout
    assert "actlab claim C4 --run" in " ".join(never_run.stdout.split())


def test_an_unknown_claim_is_said_with_the_known_ones(lab_up: Up, lab: Lab) -> None:
    result = actlab(lab_up, "claim", "C0")

    assert result.exit_code == 1
    assert "C4" in result.stderr
    with pytest.raises(NotFound):
        lab.ask_claim("C0")


def test_what_is_missing_is_shown() -> None:
    nothing: dict[str, Any] = {"n": 0, "missing": 5, "mean": None, "low": None, "high": None, "sesoi": 0.1}
    part = {
        "verdict": "inconclusive",
        "statement": "It is so.",
        "effect": "A number.",
        "explanation": "Why.",
        "direction": "above",
        "level": 0.99,
        "numbers": [nothing | {"label": "relu", "verdict": "inconclusive", "note": "5 of 5 are missing"}],
    }
    answer = {
        "claim": "C4",
        "sentence": "It is.",
        "answer": "Open.",
        "complete": False,
        "missing": ["a run"],
        "experiments": [{}],
    }

    console = Console(width=200)
    with console.capture() as captured:
        console.print(claim_tables.verdict(answer | {"parts": [part]}))

    shown = captured.get()
    for text in (
        "Open.",
        "not run to its end",
        "Missing: a run.",
        "0 (5 missing)",
        "5 of 5 are missing",
        "INCONCLUSIVE",
    ):
        assert text in shown
