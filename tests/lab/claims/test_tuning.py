from __future__ import annotations

from dataclasses import replace

import pytest

from lab.claims.claim import Asked
from lab.claims.evidence import Reading
from lab.claims.tuning import RATE, SCORE, TUNING_SEED, judging, tuned
from lab.errors import Conflict
from lab.plan import Arm
from tests.builders import a_spec
from tests.lab.claims.evidence import results

SPEC = a_spec("relu", "tanh", seed=TUNING_SEED, sweep=(("network.depth", (1, 2)), (RATE, (0.01, 0.1, 1.0))))
# What each arm does best with; at 1.0 every relu network of depth 2 diverges.
BEST = {("relu", 1): 0.1, ("relu", 2): 0.1, ("tanh", 1): 1.0, ("tanh", 2): 0.01}


def loss(_: Reading, arm: Arm, replicate: int) -> float | None:
    if (arm.activation.name, arm.network.depth, arm.training.learning_rate) == ("relu", 2, 1.0):
        return None
    best = BEST[arm.activation.name, arm.network.depth]
    return (0.5 if arm.training.learning_rate == best else 1.0) + 0.01 * replicate


def test_each_setting_gets_the_rate_with_the_lowest_loss() -> None:
    found = tuned(results(Asked(SPEC, (SCORE,)), loss))

    assert {(cell.activation.name, cell.point[0][1]): choice.rate for cell, choice in found.items()} == BEST
    edges = {(cell.activation.name, cell.point[0][1]) for cell, choice in found.items() if choice.at_edge}
    assert edges == {("tanh", 1), ("tanh", 2)}


def test_a_rate_at_which_a_network_was_lost_is_not_chosen_however_low_its_loss() -> None:
    def loss_of(reading: Reading, arm: Arm, replicate: int) -> float | None:
        return (None if replicate == 1 else 0.0) if arm.training.learning_rate == 0.1 else loss(reading, arm, replicate)

    found = tuned(results(Asked(SPEC, (SCORE,)), loss_of))

    assert 0.1 not in {choice.rate for choice in found.values()}


def test_no_rate_at_all_is_said() -> None:
    with pytest.raises(Conflict, match=r"relu at network\.depth 1"):
        tuned(results(Asked(SPEC, (SCORE,)), lambda *_: None))


def test_what_is_judged_has_other_seeds_and_every_setting_once_at_its_rate() -> None:
    template = replace(SPEC, seed=7, replicates=10)

    asked = judging(template, tuned(results(Asked(SPEC, (SCORE,)), loss)))

    judged = {
        (arm.activation.name, arm.network.depth): arm.training.learning_rate
        for each in asked.values()
        for arm in results(each, loss).arms()
    }
    assert judged == BEST
    assert {(each.spec.seed, each.spec.replicates, each.spec.sweep) for each in asked.values()} == {(7, 10, ())}
