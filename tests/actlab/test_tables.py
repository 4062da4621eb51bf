"""Answers as tables: each number says what it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from rich.console import Console, RenderableType

from actlab.cli import prediction_tables, tables
from actlab.client import Json


def printed(table: RenderableType) -> str:
    console = Console(width=200, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def a_comparison(**changes: Any) -> Json:
    estimate = {"n": 5, "failed": 0, "diverged": 0, "sd": 0.012}
    difference = {"mean": 0.031, "low": 0.02, "high": 0.042, "p_holm": 0.01}
    return {
        "metric": "dead_fraction",
        "definition": "Share of units.",
        "level": 0.95,
        "at": "last",
        "layer": "mean",
        "probe_size": 512,
        "arms": [
            {"label": "relu", "mean": 0.1, "low": 0.09, "high": 0.11, **estimate, "difference": None},
            {"label": "tanh", "mean": 0.131, "low": 0.12, "high": 0.14, **estimate, "difference": difference},
        ],
    } | changes


def an_experiment(**changes: Any) -> Json:
    names = ("relu", "leaky_relu", "tanh", "sigmoid", "gelu", "identity")
    return {
        "id": "49417636-0000",
        "name": "Why?",
        "state": "running",
        "progress": 0.4,
        "plan": {"runs": 30},
        "tags": [],
        "created_at": "2026-11-23T14:04:30Z",
        "spec": {"activations": [{"name": name} for name in names], "dataset": {"name": "digits"}},
    } | changes


def a_summary() -> Json:
    """All networks have diverged: no arm has a score."""
    nothing = {"mean": None, "low": None, "high": None, "n": 0}
    row = {"label": "relu", "n": 0, "diverged": 2, "test_accuracy": nothing, "test_loss": nothing}
    columns = ("dead_fraction_start", "dead_fraction_end", "gradient_ratio", "activation_mean")
    return {"table": [row | dict.fromkeys(columns)], "answer": ["None."], "probe_size": 512}


def test_what_others_wrote_does_nothing_to_a_terminal() -> None:
    hostile = "[red]a[/] \x1b]0;title\x07\x1b[2J \x9b31m \u202eevil\n"
    item = an_experiment(name=hostile, tags=[hostile])

    shown = printed(tables.experiments([item]))

    assert shown.count("[red]a[/] \ufffd]0;title\ufffd\ufffd[2J \ufffd31m \ufffdevil\ufffd") == 2
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)


def test_a_list_tells_experiments_apart() -> None:
    text = printed(tables.experiments([an_experiment()]))

    cells = [cell.strip() for cell in re.split(" {2,}", text.splitlines()[-1])]
    assert cells[:5] == ["49417636", "running 40%", "30", "Why?", "relu, leaky_relu, tanh, sigmo…"]
    assert cells[5:7] == ["digits", "2026-11-23 14:04 UTC"]


def test_parameters_that_change_nothing_are_not_told() -> None:
    entry = {"name": "elu", "alpha": 0.5, "scale_in": 1.0, "scale_out": 2.0, "shift": 0.0}
    item = an_experiment(spec={"activations": [entry], "dataset": {"name": "digits"}})

    assert tables.told(item) == "'Why?', elu (alpha 0.5, scale_out 2.0) on digits, 30 runs"


@pytest.mark.parametrize(
    ("changes", "caption"),
    [
        ({}, "dead_fraction, at the last recorded step, mean over layers, on a probe of 512 training inputs"),
        ({"at": "first", "layer": 2}, "dead_fraction, at step 0, layer 2, on a probe of 512 training inputs"),
        ({"at": "auc"}, "dead_fraction, mean over steps, mean over layers, on a probe of 512 training inputs"),
        ({"metric": "test_loss", "at": None, "layer": None}, "test_loss"),
    ],
)
def test_a_comparison_says_what_it_is_of(changes: Json, caption: str) -> None:
    assert printed(tables.comparison(a_comparison(**changes))).splitlines()[0].rstrip() == caption


@pytest.mark.parametrize("metric", ["dead_fraction", "test_accuracy", "revived_share"])
def test_a_difference_of_shares_is_in_points(metric: str) -> None:
    text = printed(tables.comparison(a_comparison(metric=metric)))

    assert "13.1 % [12.0, 14.0]" in text
    assert "in points" in text
    assert "+3.1 [+2.0, +4.2]" in text


def test_a_difference_of_other_numbers_has_no_unit() -> None:
    text = printed(tables.comparison(a_comparison(metric="delta_norm")))

    assert "+0.031 [+0.02, +0.042]" in text
    assert "points" not in text


def test_what_goes_with_intervals_and_p_stands_below_the_table() -> None:
    text = printed(tables.comparison(a_comparison(note="Each interval is at 95 %.")))

    assert text.splitlines()[-1].rstrip() == "Each interval is at 95 %."


@pytest.mark.parametrize(("score", "header"), [("test_accuracy", "test accuracy"), ("test_loss", "test loss")])
def test_a_summary_without_any_score_still_names_it(score: str, header: str) -> None:
    text = printed(tables.summary(a_summary(), score))

    assert header in text
    assert "gradient ratio" in text


def a_prediction(layer: int | None, quantity: str, agreement: str | None) -> Json:
    ends = {"low": 0.1, "high": 0.3}
    measured = {"mean": 0.2, "n": 5, **ends}
    found = {"layer": layer, "quantity": quantity, "agreement": agreement}
    return found | {"predicted": 0.2, "measured": measured, "reason": "", **ends}


def test_predictions_end_with_how_many_agree_and_which_do_not() -> None:
    outcomes = ["agrees", "disagrees", "inconclusive", None, "agrees"]
    rows = [a_prediction(i + 1, "activation_mean", outcome) for i, outcome in enumerate(outcomes)]
    whole = a_prediction(None, "gradient_ratio", "disagrees")

    text = printed(prediction_tables.predictions([{"label": "relu", "note": "", "predictions": [*rows, whole]}]))

    assert text.splitlines()[-1].rstrip() == (
        "Agree: 2 of 5; disagree: 2 (relu, layer 2, activation_mean; relu, all layers, gradient_ratio); "
        "inconclusive: 1; nothing to compare: 1."
    )
    assert "[90 %]: interval" in text
    assert "[band]: where" in text


def test_many_predictions_that_disagree_are_counted_and_none_compared_is_said() -> None:
    rows = [a_prediction(i + 1, "activation_mean", "disagrees") for i in range(11)]
    many, none = (
        printed(prediction_tables.predictions([{"label": "relu", "note": "", "predictions": found}]))
        for found in (rows, [a_prediction(1, "dead_fraction", None)])
    )

    assert "layer 8, activation_mean; 3 more)" in " ".join(many.split())
    assert "nothing to compare: the notes" in none
