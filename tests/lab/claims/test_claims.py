"""What holds for every claim, whatever it says; a new one is tested the day it is added."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from lab.claims import CLAIMS
from lab.claims.claim import EFFORTS, Asked, Claim, Effort
from lab.claims.evidence import Reading
from lab.claims.tuning import TUNING_SEED
from lab.claims.verdict import Verdict, judge
from lab.claims.wording import say
from lab.limits import Limits
from lab.plan import Arm, plan
from lab.statistics import FEWEST, Values
from service.drawing import FIGURES
from tests.lab.claims.evidence import evidence_of


def plausible(reading: Reading, arm: Arm, replicate: int) -> float:
    """Some number that a network of that arm could show; networks differ a little."""
    jitter: float = 0.01 * (-1.0) ** replicate * (1 + replicate)
    if reading.metric == "loss_auc":
        return 0.3 + 0.5 * abs(math.log(arm.training.learning_rate) + 1) + jitter
    if reading.metric in ("units_died", "units_revived"):
        return float(10 + replicate)
    return 0.3 * arm.network.gain + jitter


def asked_by(claim: Claim, effort: Effort) -> Mapping[str, Asked]:
    evidence = evidence_of(claim, effort, plausible)
    return {key: asked for stage in claim.stages for key, asked in stage.experiments(effort, evidence).items()}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_explains_itself(name: str) -> None:
    claim = CLAIMS[name]

    assert claim.name == name
    assert claim.title
    assert claim.sentence.endswith(".")
    assert len({part.name for part in claim.parts}) == len(claim.parts) >= 2
    for part in claim.parts:
        assert part.sesoi > 0
        for text in (part.statement, part.effect, part.explanation, part.would_change):
            assert text.endswith("."), part.name


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("name", CLAIMS)
def test_every_experiment_of_a_claim_can_be_planned(name: str, effort: Effort) -> None:
    for asked in asked_by(CLAIMS[name], effort).values():
        assert plan(asked.spec, Limits()).n_runs
        assert replace(asked.spec, name="x", tags=("y",)).digest == asked.spec.digest


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("name", CLAIMS)
def test_no_network_is_judged_that_was_tuned(name: str, effort: Effort) -> None:
    for key, asked in asked_by(CLAIMS[name], effort).items():
        assert (asked.spec.seed == TUNING_SEED) == key.startswith("tuning"), key
        if asked.spec.seed != TUNING_SEED:
            assert asked.spec.replicates >= FEWEST


@pytest.mark.parametrize("name", CLAIMS)
def test_every_figure_of_a_part_is_one_of_an_experiment(name: str) -> None:
    asked = asked_by(CLAIMS[name], "quick")

    for part in CLAIMS[name].parts:
        key, _, figure = part.figure.rpartition("/")
        assert not part.figure or figure in FIGURES, part.name
        assert any(each.startswith(key) for each in asked) or not part.figure, part.name


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("name", CLAIMS)
def test_every_part_is_judged_on_the_networks_that_were_planned(name: str, effort: Effort) -> None:
    evidence = evidence_of(CLAIMS[name], effort, plausible)

    for part in CLAIMS[name].parts:
        samples = part.samples(evidence)
        assert samples, part.name
        assert len({sample.label for sample in samples}) == len(samples), part.name
        for sample in samples:
            assert sample.exact or len(sample.values) >= FEWEST, part.name
            assert None not in sample.values.values(), part.name
    for judged in judge(CLAIMS[name], evidence).parts:
        assert say(judged).startswith(judged.verdict.value.capitalize())


@pytest.mark.parametrize("name", CLAIMS)
def test_with_four_networks_nothing_that_was_trained_is_decided(name: str) -> None:
    whole = evidence_of(CLAIMS[name], "quick", plausible)
    four = {
        key: results if key.startswith("tuning") else replace(results, values=_first_four(results.values))
        for key, results in whole.items()
    }

    for part, judged in zip(CLAIMS[name].parts, judge(CLAIMS[name], four).parts, strict=True):
        if part.samples(whole) != part.samples(four):
            assert judged.verdict is Verdict.INCONCLUSIVE, part.name


@pytest.mark.parametrize("name", CLAIMS)
def test_without_evidence_no_part_is_run(name: str) -> None:
    assert {part.verdict for part in judge(CLAIMS[name], None).parts} == {Verdict.NOT_RUN}


def _first_four(values: Mapping[Reading, Mapping[int, Values]]) -> dict[Reading, dict[int, Values]]:
    return {
        reading: {arm: {i: value if i < 4 else None for i, value in of.items()} for arm, of in arms.items()}
        for reading, arms in values.items()
    }
