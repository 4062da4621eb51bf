from __future__ import annotations

import torch

from worker.engine.batches import Batches


def some_batches(replicates: list[int], batch_size: int = 4) -> Batches:
    """Of 11 samples whose target is their row."""
    return Batches(
        torch.randn(11, 3, dtype=torch.float64),
        torch.arange(11),
        batch_size=batch_size,
        replicates=replicates,
        seed=0,
    )


def test_an_epoch_visits_samples_once_and_drops_the_partial_batch() -> None:
    batches = some_batches([0])

    rows = torch.cat([batches.at(step)[1][0] for step in (0, 1)])

    assert len(set(rows.tolist())) == 8


def test_every_epoch_has_an_order_of_its_own() -> None:
    batches = some_batches([0], batch_size=11)

    orders = [batches.at(step)[1][0].tolist() for step in range(3)]

    assert all(sorted(order) == list(range(11)) for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_networks_of_a_replicate_see_the_same_batches() -> None:
    x, y = some_batches([2, 5, 2]).at(3)

    assert torch.equal(y[0], y[2])
    assert torch.equal(x[0], x[2])
    assert not torch.equal(y[0], y[1])


def test_inputs_and_targets_stay_together() -> None:
    samples = torch.arange(11.0)[:, None]
    batches = Batches(samples, samples * 2, batch_size=4, replicates=[0, 1], seed=0)

    x, y = batches.at(1)

    assert torch.equal(x * 2, y)


def test_a_step_has_the_same_batch_whenever_it_is_asked_for() -> None:
    one, other = some_batches([0, 1]), some_batches([0, 1])
    one.at(0)

    assert torch.equal(one.at(5)[1], other.at(5)[1])
