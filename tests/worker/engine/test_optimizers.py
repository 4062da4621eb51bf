from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lab.catalog.choices import OPTIMIZERS
from lab.catalog.schedules import SCHEDULES
from lab.plan import Stack
from tests.builders import a_spec
from tests.worker.engine.stacks import CPU, a_training, layers_of, the_stack
from worker.engine.optimizers import RULES, Optimizer
from worker.engine.parameters import Parameters, Shape

ADDED: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"clip_norm": 0.1},
    *({"schedule": schedule} for schedule in SCHEDULES),
    {"weight_decay": 0.1, "clip_norm": 0.1, "schedule": "cosine"},
]


def a_stack(optimizer: str, **training: Any) -> Stack:
    settings = {"optimizer": optimizer, "learning_rate": 0.01, "dtype": "float64"} | training
    return the_stack(a_spec("tanh", "gelu", steps=12, points=13, replicates=1, training=settings))


def test_every_optimizer_of_the_catalog_has_a_rule() -> None:
    assert RULES.keys() == OPTIMIZERS.keys()


@pytest.mark.parametrize("added", ADDED, ids=str)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_update_norms_are_those_of_what_the_weights_went_through(optimizer: str, added: dict[str, Any]) -> None:
    stack = a_stack(optimizer, **added)
    training = a_training(stack)
    training.record()
    before = layers_of(stack, training)

    for step in range(1, 13):
        training.advance_to(step)
        measured, after = training.record().measurements, layers_of(stack, training)
        differences = [(w - w_before).norm(dim=(1, 2)) for w, w_before in zip(after.w, before.w, strict=True)]
        # A difference of numbers near 1 has lost the digits that the update is smaller by.
        np.testing.assert_allclose(
            measured["update_ratio"] * measured["weight_norm"], torch.stack(differences[:-1], 1).numpy(), rtol=1e-9
        )
        before = after


@pytest.mark.parametrize("added", ADDED, ids=str)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_frozen_network_keeps_its_bits_and_its_neighbour_goes_on(optimizer: str, added: dict[str, Any]) -> None:
    stack = a_stack(optimizer, **added)
    whole, frozen = (Parameters(Shape.of(stack), dtype=torch.float64, device=CPU) for _ in range(2))
    whole.flat.normal_(generator=torch.Generator().manual_seed(0))
    frozen.flat.copy_(whole.flat)
    # Network 1 has diverged: of its weights one is infinite and one is no number.
    frozen.layers.w[1][1, 0, 0], frozen.layers.w[1][1, 0, 1] = torch.inf, torch.nan
    gradients, gradients_of_frozen = whole.alike(), whole.alike()
    plain, careful = Optimizer(stack, whole, gradients), Optimizer(stack, frozen, gradients_of_frozen)
    kept = [w[1].clone() for w in (*frozen.layers.w, *frozen.layers.b)]

    for n in range(1, 4):
        gradients.flat.normal_(generator=torch.Generator().manual_seed(n))
        gradients_of_frozen.flat.copy_(gradients.flat)
        for g in (*gradients_of_frozen.layers.w, *gradients_of_frozen.layers.b):
            g[1] = torch.nan
        plain.step(n)
        careful.step_alive(n, torch.tensor([True, False]))

    for w, w_kept in zip((*frozen.layers.w, *frozen.layers.b), kept, strict=True):
        torch.testing.assert_close(w[1], w_kept, rtol=0, atol=0, equal_nan=True)
    for ours, theirs in zip((*frozen.layers.w, *frozen.layers.b), (*whole.layers.w, *whole.layers.b), strict=True):
        assert torch.equal(ours[0], theirs[0])
    for moments, moments_of_whole in zip(careful.moments, plain.moments, strict=True):
        for ours, theirs in zip(moments.layers.w, moments_of_whole.layers.w, strict=True):
            assert torch.equal(ours[0], theirs[0])
            assert (ours[1] == 0).all()


def test_the_last_update_of_a_cosine_is_nearly_nothing_and_the_first_is_whole() -> None:
    stacks = {name: a_stack("sgd", schedule=name) for name in SCHEDULES}
    first, last = {}, {}
    for name, stack in stacks.items():
        training = a_training(stack)
        training.advance_to(1)
        first[name] = training.record().measurements["update_ratio"]
        training.advance_to(12)
        last[name] = training.record().measurements["update_ratio"]

    np.testing.assert_array_equal(first["cosine"], first["constant"])
    # Two updates to rise in, of twelve: the first is half.
    np.testing.assert_allclose(first["warmup"], first["constant"] / 2, rtol=0.02)
    assert (last["cosine"] < last["constant"] / 20).all()
