"""Every activation under every normalization and optimizer: a stack against ordinary modules, autograd, torch.optim."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import torch
from torch import Tensor

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.choices import NORMALIZATIONS, OPTIMIZERS
from lab.plan import Stack
from lab.spec import DatasetSpec
from tests.builders import a_spec
from tests.worker.engine.stacks import OneNetwork, a_training, batches_of, layers_of, the_stack, train, train_one
from worker.datasets import load
from worker.engine.parameters import Layers

SPIRALS = DatasetSpec("spirals", (("n_test", 20), ("n_train", 48), ("noise", 0.1)))

# Slow enough that `square` does not diverge without a norm. RMSprop's first steps are ten times its rate.
RATES = {"rmsprop": 0.001}


def a_stack(optimizer: str, normalization: str, dtype: str) -> Stack:
    return the_stack(
        a_spec(
            *sorted(ACTIVATIONS),
            steps=20,
            points=2,
            replicates=1,
            dataset=SPIRALS,
            network={"normalization": normalization, "gain": 1.5},
            training={"optimizer": optimizer, "learning_rate": RATES.get(optimizer, 0.01), "dtype": dtype},
        )
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
# Rounding grows along 20 steps, to less than a thousand times itself.
@pytest.mark.parametrize(("dtype", "relative"), [("float64", 1e-9), ("float32", 1e-4)])
def test_a_stack_trains_like_its_runs_alone(optimizer: str, normalization: str, dtype: str, relative: float) -> None:
    stack = a_stack(optimizer, normalization, dtype)
    training = a_training(stack)
    test_losses = train(training, stack)[-1].curves["test_loss"]
    theta = layers_of(stack, training)
    # In double precision whatever the stack's: against a network that rounds as well, errors would add up.
    exact = a_stack(optimizer, normalization, "float64")
    start, data = layers_of(exact), load(SPIRALS)
    x_test, y_test = torch.from_numpy(data.x_test), torch.from_numpy(data.y_test)
    n_compared = 0

    for m, run in enumerate(exact.runs):
        alone = OneNetwork(run, start, m)
        gradients = _largest_gradients(alone)
        train_one(alone, [(x.to(x_test.dtype), y) for x, y in batches_of(exact, run)])

        errors = {
            name: _error(stacked, parameter, gradients, relative)
            for name, stacked, parameter in _pairs(theta, m, alone)
        }
        # In float32 such a constant may wander by Adam's steps until it is none, past an activation's kink.
        if dtype == "float32" and normalization == "batch_after" and max(idle for _, idle in errors.values()) > 1e-3:
            continue
        n_compared += 1
        for name, (error, _) in errors.items():
            assert error <= relative, (run.arm.label, name)
        if dtype == "float64":
            alone.eval()
            # Running means follow an idle bias a few steps behind.
            assert test_losses[m] == pytest.approx(alone.losses(x_test, y_test).mean().item(), rel=10 * relative)
    assert n_compared > 15


def _error(stacked: Tensor, parameter: Tensor, gradients: dict[Tensor, Tensor], relative: float) -> tuple[float, float]:
    """The distance between what a stack has and what the network alone has, relative to the latter's norm; and that of
    idle entries, whose gradient is so small that its rounding would be seen.

    A constant before a batch norm has a gradient of rounding only. Adam and RMSprop, which divide by its size, make a
    step of it, which changes nothing.
    """
    noise = 1 / relative * torch.finfo(stacked.dtype).eps * max(g.max().item() for g in gradients.values())
    real = gradients[parameter] > noise
    off, norm = stacked - parameter.detach(), torch.linalg.vector_norm(parameter.detach())
    error, idle = (torch.linalg.vector_norm(off[which]) / norm for which in (real, ~real))
    return error.item(), idle.item()


def _largest_gradients(alone: OneNetwork) -> dict[Tensor, Tensor]:
    """Of each parameter, to be filled while it trains: the largest size that its gradient's entries reach."""
    largest: dict[Tensor, Tensor] = {parameter: torch.zeros_like(parameter) for parameter in alone.parameters()}
    for parameter, so_far in largest.items():
        parameter.register_hook(partial(_keep_largest, so_far))  # type: ignore[no-untyped-call]  # torch does not annotate it
    return largest


def _keep_largest(so_far: Tensor, gradient: Tensor) -> None:
    torch.maximum(so_far, gradient.abs(), out=so_far)


def _pairs(theta: Layers, m: int, alone: OneNetwork) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Every parameter of network m, and the same of the network alone."""
    for i, affine in enumerate(alone.affine):
        yield f"w {i}", theta.w[i][m], affine.weight
        yield f"b {i}", theta.b[i][m, 0], affine.bias
    for i, norm in enumerate(alone.norms):
        yield f"gamma {i}", theta.gamma[i][m, 0], norm.weight
        yield f"beta {i}", theta.beta[i][m, 0], norm.bias
