"""A stack against its runs alone: ordinary modules, autograd, torch.optim."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.choices import NORMALIZATIONS, OPTIMIZERS
from lab.catalog.schedules import SCHEDULES
from lab.plan import Stack
from lab.spec import DatasetSpec
from tests.builders import a_spec, an_activation
from tests.worker.engine.stacks import CPU, OneNetwork, a_training, batches_of, layers_of, the_stack, train, train_one
from worker.datasets import load
from worker.engine.activations import Activations
from worker.engine.losses import LOSSES
from worker.engine.network import Buffers, Pass
from worker.engine.parameters import Parameters, Shape

STEPS = 20
REGRESSION = DatasetSpec("function_1d", (("function", "sine"), ("n_test", 31), ("n_train", 40)))
SPIRALS = DatasetSpec("spirals", (("n_test", 50), ("n_train", 100), ("noise", 0.1)))
# Rounding grows along 20 steps, the more the rougher the loss; it stays far below this in float64.
RELATIVE = 1e-9


def a_stack(optimizer: str, normalization: str, *, residual: bool = False, **fields: Any) -> Stack:
    """All activations, or with other optimizers than SGD a few, and a wrapped one, two replicates."""
    # Without a norm `square` diverges within these steps; what a stack makes of that is for test_loop.
    names = ACTIVATIONS.keys() - ({"square"} if normalization == "none" else set())
    names = names if optimizer == "sgd" else {"gelu", "leaky_relu", "relu", "tanh"}
    return the_stack(
        a_spec(
            *sorted(names),
            an_activation("sigmoid", scale_in=-4, scale_out=2, shift=-0.5),
            depth=3,
            steps=STEPS,
            points=2,
            network={"normalization": normalization, "residual": residual, "gain": 1.5},
            training={"optimizer": optimizer, "learning_rate": RATES[optimizer], "dtype": "float64"},
            **fields,
        )
    )


RATES = {"sgd": 0.1, "momentum": 0.02, "adam": 0.01, "adamw": 0.01, "rmsprop": 0.001}

CASES = [
    *(pytest.param(a_stack("sgd", n, residual=True), id=f"residual-{n}") for n in NORMALIZATIONS),
    *(pytest.param(a_stack("momentum", n, dataset=REGRESSION), id=f"regression-{n}") for n in NORMALIZATIONS),
]


@pytest.mark.parametrize("stack", CASES)
def test_a_stack_trains_like_its_runs_alone(stack: Stack) -> None:
    training = a_training(stack)
    curves = train(training, stack)[-1].curves
    theta, start = layers_of(stack, training), layers_of(stack)
    data = load(stack.shape.dataset)
    x_test, y_test = torch.from_numpy(data.x_test), torch.from_numpy(data.y_test)

    for m, run in enumerate(stack.runs):
        alone = OneNetwork(run, start, m)
        losses = train_one(alone, batches_of(stack, run))
        alone.eval()
        test_loss = alone.losses(x_test, y_test).mean().item()

        assert curves["train_loss"][m] == pytest.approx(sum(losses) / STEPS, rel=RELATIVE)
        assert curves["test_loss"][m] == pytest.approx(test_loss, rel=RELATIVE)
        if run.arm.data.task == "classification":
            accuracy = (alone(x_test).argmax(1) == y_test).double().mean().item()
            assert curves["test_accuracy"][m] == accuracy
        for i, affine in enumerate(alone.affine):
            torch.testing.assert_close(theta.w[i][m], affine.weight.detach(), rtol=RELATIVE, atol=RELATIVE)
            # A bias before a norm has no gradient but rounding, of which Adam makes a step; and it changes nothing.
            idle = alone.norms and i < len(alone.norms)
            torch.testing.assert_close(
                theta.b[i][m, 0], affine.bias.detach(), rtol=RELATIVE, atol=1e-6 if idle else RELATIVE
            )
        for i, norm in enumerate(alone.norms):
            torch.testing.assert_close(theta.gamma[i][m, 0], norm.weight.detach(), rtol=RELATIVE, atol=RELATIVE)
            torch.testing.assert_close(theta.beta[i][m, 0], norm.bias.detach(), rtol=RELATIVE, atol=RELATIVE)


DECAYS, CLIPS = ("training.weight_decay", (0.01, 0.3)), ("training.clip_norm", (0.1, 0.5, 100.0))
ADDED: dict[str, dict[str, Any]] = {
    "decay": {"sweep": (DECAYS,)},
    "clip": {"sweep": (CLIPS,)},
    **{schedule: {"training": {"schedule": schedule}} for schedule in SCHEDULES},
    **{f"{schedule} and all": {"training": {"schedule": schedule}, "sweep": (DECAYS, CLIPS)} for schedule in SCHEDULES},
}
"""What comes on top of an optimizer, as fields of a request."""


def a_stack_with(optimizer: str, added: str, dtype: str, normalization: str = "none") -> Stack:
    training = {"optimizer": optimizer, "learning_rate": RATES[optimizer], "dtype": dtype}
    return the_stack(
        a_spec(
            "tanh",
            depth=2,
            steps=STEPS,
            replicates=1,
            points=2,
            dataset=SPIRALS,
            network={"normalization": normalization},
            training=training | ADDED[added].get("training", {}),
            sweep=ADDED[added].get("sweep", ()),
        )
    )


# In float32 rounding is 1e-7 and grows likewise. Relative to each tensor: some of its entries are nearly 0.
@pytest.mark.parametrize(("dtype", "relative"), [("float64", RELATIVE), ("float32", 1e-4)])
@pytest.mark.parametrize("added", ADDED)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_decay_clipping_and_schedule_are_those_of_pytorch(
    optimizer: str, added: str, dtype: str, relative: float
) -> None:
    stack = a_stack_with(optimizer, added, dtype)
    training = a_training(stack)
    train(training, stack)
    theta, start = layers_of(stack, training), layers_of(stack)

    for m, run in enumerate(stack.runs):
        alone = OneNetwork(run, start, m)
        train_one(alone, batches_of(stack, run))
        for i, affine in enumerate(alone.affine):
            for stacked, expected in ((theta.w[i][m], affine.weight), (theta.b[i][m, 0], affine.bias)):
                assert torch.dist(stacked, expected) <= relative * expected.norm()


def test_a_runs_numbers_do_not_depend_on_its_stack() -> None:
    def spec(*activations: str, replicates: int) -> Stack:
        return the_stack(a_spec(*activations, steps=STEPS, replicates=replicates, training={"dtype": "float64"}))

    many, few = spec("relu", "gelu", "tanh", replicates=3), spec("tanh", replicates=2)

    of_many, of_few = train(a_training(many), many)[-1], train(a_training(few), few)[-1]

    for name, values in of_few.measurements.items():
        assert of_many.measurements[name][6:8] == pytest.approx(values, rel=RELATIVE, abs=1e-14, nan_ok=True), name
    for name, values in of_few.curves.items():
        assert of_many.curves[name][6:8] == pytest.approx(values, rel=RELATIVE, nan_ok=True), name


# Relative to the sum of the sizes of what is added: in float32 to a thousand roundings.
@pytest.mark.parametrize(("dtype", "relative"), [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("dataset", [SPIRALS, REGRESSION])
@pytest.mark.parametrize("activation", ["identity", "relu", "leaky_relu"])
def test_piecewise_linear_networks_keep_the_gradient_identity(
    activation: str, dataset: DatasetSpec, dtype: str, relative: float
) -> None:
    """<W_l, dL/dW_l> + sum over k >= l of <b_k, dL/db_k> = sum over samples of <f, dL/df>, for every layer l."""
    stack = the_stack(a_spec(activation, depth=4, steps=STEPS, dataset=dataset, training={"dtype": dtype}))
    shape = Shape.of(stack)
    training = a_training(stack)
    (x, y), kind = batches_of(stack, stack.runs[0])[0], layers_of(stack).w[0].dtype
    x, y = x.to(kind), y.to(kind) if y.is_floating_point() else y
    x, y = x.expand(2, *x.shape), y.expand(2, *y.shape)
    buffers = Buffers(shape, x.shape[1], dtype=kind, device=CPU, measured=False, keeps_h=False)

    for step in (0, STEPS):
        training.advance_to(step)
        theta, g = layers_of(stack, training), Parameters(shape, dtype=kind, device=CPU).layers
        one_pass = Pass(buffers, x, theta, g, Activations([run.arm.activation for run in stack.runs]))
        outputs = one_pass.forward().clone()
        _, d_outputs = LOSSES[stack.shape.data.task](buffers.outputs, y)
        right, size = (outputs * d_outputs).sum((1, 2)), (outputs * d_outputs).abs().sum((1, 2))
        one_pass.backward()

        of_weights = [(w * d_w).sum((1, 2)) for w, d_w in zip(theta.w, g.w, strict=True)]
        of_biases = [(b * d_b).sum((1, 2)) for b, d_b in zip(theta.b, g.b, strict=True)]
        for i in range(len(theta.w)):
            assert ((of_weights[i] + sum(of_biases[i:]) - right).abs() <= relative * size).all()
