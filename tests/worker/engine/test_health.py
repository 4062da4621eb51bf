from __future__ import annotations

import torch

from worker.engine.health import Health

ALIVE = torch.tensor([True])


def units(*dead: int) -> torch.Tensor:
    """Which of one network's four units are dead."""
    mask = torch.zeros(1, 1, 4, dtype=torch.bool)
    mask[0, 0, list(dead)] = True
    return mask


def a_health(*history: torch.Tensor) -> Health:
    health = Health(1, 1, 4, device=torch.device("cpu"))
    health.start(history[0])
    for dead in history[1:]:
        health.update(dead, ALIVE)
    return health


def test_a_unit_has_died_when_it_is_dead_at_the_end_and_was_not_at_the_start() -> None:
    health = a_health(units(0), units(0, 1), units(0, 1, 2))

    (network,) = health.by_network()
    assert network["units_died"] == (2,)
    assert network["dead_fraction_start"] == (0.25,)
    assert network["dead_fraction_end"] == (0.75,)


def test_a_unit_that_comes_back_has_been_revived_once_however_often() -> None:
    health = a_health(units(0), units(), units(0), units(), units(1))

    (network,) = health.by_network()
    assert network["units_revived"] == (1,)
    assert network["units_died"] == (1,)


def test_changes_are_from_one_recorded_step_to_the_next() -> None:
    health = Health(1, 1, 4, device=torch.device("cpu"))

    changes = [health.start(units(0, 1)), health.update(units(1, 2), ALIVE), health.update(units(1, 2), ALIVE)]

    assert [each.died[0, 0].tolist() for each in changes] == [
        units(0, 1)[0, 0].tolist(),
        units(2)[0, 0].tolist(),
        [False] * 4,
    ]
    assert [each.revived[0, 0].nonzero().flatten().tolist() for each in changes] == [[], [0], []]


def test_in_a_diverged_network_nothing_changes() -> None:
    health = a_health(units(0))

    changes = health.update(units(1), ~ALIVE)

    assert not (changes.died | changes.revived).any()


def test_a_diverged_network_is_remembered_as_it_was() -> None:
    health = a_health(units(0), units(0, 1))

    health.update(units(), ~ALIVE)

    (network,) = health.by_network()
    assert network["dead_fraction_end"] == (0.5,)
    assert network["units_revived"] == (0,)
