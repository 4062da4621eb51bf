"""What the normalizations promise beside their numbers, which test_combinations holds against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lab.catalog.choices import NORMALIZATIONS
from lab.plan import Stack
from lab.spec import DatasetSpec
from tests.builders import a_spec
from tests.worker.engine.stacks import a_training, layers_of, the_stack, train
from worker.engine import StackTraining, norm
from worker.engine.activations import Activations
from worker.engine.network import predict
from worker.engine.norm import BatchNorm, LayerNorm, Norm
from worker.engine.parameters import Shape

SINE = DatasetSpec("function_1d", (("function", "sine"), ("n_test", 31), ("n_train", 40)))
ENORMOUS = 1e30


def a_stack(*rates: float, normalization: str, width: int = 8) -> Stack:
    """leaky_relu and tanh at each learning rate."""
    return the_stack(
        a_spec(
            "leaky_relu",
            "tanh",
            depth=3,
            width=width,
            steps=12,
            points=7,
            dataset=SINE,
            network={"normalization": normalization, "residual": True},
            training={"optimizer": "momentum"},
            sweep=(("training.learning_rate", rates),),
        )
    )


def test_every_normalization_of_the_catalog_is_there() -> None:
    assert norm.NORMALIZATIONS.keys() == NORMALIZATIONS.keys()


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_neighbours_of_a_diverged_network_go_on_with_the_same_bits(normalization: str) -> None:
    stack, calm = (a_stack(0.01, rate, normalization=normalization) for rate in (ENORMOUS, 0.011))
    training, calm_training = a_training(stack), a_training(calm)
    # Two activations, two rates, two replicates: the first rate's networks are well.
    well, ill = [0, 1, 4, 5], [2, 3, 6, 7]

    records, calm_records = train(training, stack), train(calm_training, calm)

    assert [result.diverged_at is None for result in training.results()] == [m in well for m in range(8)]
    for record, calm_record in zip(records, calm_records, strict=True):
        for name, values in {**calm_record.measurements, **calm_record.curves}.items():
            np.testing.assert_array_equal({**record.measurements, **record.curves}[name][well], values[well])
    for after, calm_after in zip(all_tensors(stack, training), all_tensors(calm, calm_training), strict=True):
        assert torch.equal(after[well], calm_after[well])
        assert not torch.equal(after[ill], calm_after[ill])


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_diverged_network_is_frozen_with_its_norms(normalization: str) -> None:
    stack = a_stack(0.01, ENORMOUS, normalization=normalization)
    training, until = a_training(stack), a_training(stack)

    training.advance_to(12)
    at = int(training.record().diverged_at[2])
    until.advance_to(at - 1)

    assert at >= 1
    for frozen, last in zip(all_tensors(stack, training), all_tensors(stack, until), strict=True):
        torch.testing.assert_close(frozen[2], last[2], rtol=0, atol=0, equal_nan=True)


def all_tensors(stack: Stack, training: StackTraining) -> list[Tensor]:
    """Every tensor that the networks (M, ...) carry from step to step: parameters, and running statistics if any."""
    theta = layers_of(stack, training)
    running = training.state().get("running_statistics", torch.empty(0, 0, len(stack.runs), 1, 1))
    return [*theta.w, *theta.b, *theta.gamma, *theta.beta, *running.flatten(0, 1)]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_restored_training_goes_on_with_the_same_bits(normalization: str) -> None:
    stack = a_stack(0.01, ENORMOUS, normalization=normalization)
    undisturbed, first, second = a_training(stack), a_training(stack), a_training(stack)

    undisturbed.advance_to(12)
    first.advance_to(5)
    second.restore(first.state())
    second.advance_to(12)

    for name, tensor in undisturbed.state().items():
        torch.testing.assert_close(second.state()[name], tensor, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_only_batch_norm_needs_running_statistics(normalization: str) -> None:
    stack = a_stack(0.01, normalization=normalization)

    assert ("running_statistics" in a_training(stack).state()) == (normalization in ("batch", "batch_after"))


def test_a_layers_norm_treats_a_test_sample_as_if_it_were_alone() -> None:
    stack = a_stack(0.01, normalization="layer")
    shape, theta = Shape.of(stack), layers_of(stack)
    activations = Activations([run.arm.activation for run in stack.runs])
    x = torch.randn(shape.n_networks, 9, shape.n_inputs, generator=torch.Generator().manual_seed(0))

    together = predict(shape, activations, theta, None, x)

    alone = [predict(shape, activations, theta, None, x[:, i : i + 1]) for i in range(9)]
    torch.testing.assert_close(torch.cat(alone, 2), together, rtol=1e-5, atol=1e-6)


def test_of_a_layer_of_one_unit_its_norm_leaves_the_shift() -> None:
    stack = a_stack(0.1, normalization="layer", width=1)
    training = a_training(stack)
    start = layers_of(stack)

    records = train(training, stack)

    theta = layers_of(stack, training)
    for record in records:
        assert (record.measurements["preactivation_std"] == 0).all()
        assert (record.measurements["delta_norm"] == 0).all()
    for now, before in zip((*theta.w[:-1], *theta.b[:-1]), (*start.w[:-1], *start.b[:-1]), strict=True):
        assert torch.equal(now, before)
    assert all((beta != 0).all() for beta in theta.beta)


def test_of_a_batch_of_one_sample_its_norm_leaves_the_shift() -> None:
    z, gamma, beta = torch.randn(2, 1, 5), torch.randn(2, 1, 5), torch.randn(2, 1, 5)
    one = BatchNorm(z)

    one.forward(z, gamma, beta, out=z)
    d = torch.ones_like(z)
    one.backward(d, gamma, torch.empty_like(gamma), torch.empty_like(beta), out=d)

    assert torch.equal(z, beta)
    assert (d == 0).all()


@pytest.mark.parametrize("kind", [BatchNorm, LayerNorm])
def test_a_norm_gives_the_same_in_place_and_elsewhere(kind: type[Norm]) -> None:
    generator = torch.Generator().manual_seed(0)
    z, d = (torch.randn(2, 9, 5, generator=generator) for _ in range(2))
    gamma, beta = (torch.randn(2, 1, 5, generator=generator) for _ in range(2))
    norms, outs = (kind(z), kind(z)), (z.clone(), torch.empty_like(z))
    backs, of_gammas, of_betas = (
        (d.clone(), torch.empty_like(d)),
        gamma.expand(2, 2, 1, 5).clone(),
        torch.empty(2, 2, 1, 5),
    )

    norms[0].forward(outs[0], gamma, beta, out=outs[0])
    norms[1].forward(z, gamma, beta, out=outs[1])
    norms[0].backward(backs[0], gamma, of_gammas[0], of_betas[0], out=backs[0])
    norms[1].backward(d, gamma, of_gammas[1], of_betas[1], out=backs[1])

    for one, other in (outs, backs, of_gammas, of_betas):
        assert torch.equal(one, other)
