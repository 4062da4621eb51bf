"""What is recorded of a stack against what autograd sees of its networks alone, on the probe."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.choices import NORMALIZATIONS
from lab.catalog.measurements import GEOMETRY, MEASUREMENTS
from lab.plan import Run, Stack
from lab.records import StackRecord
from lab.spec import DatasetSpec
from tests.builders import a_spec
from tests.worker.engine.definitions import assert_as_defined, slowly_of_layer, slowly_of_weights
from tests.worker.engine.stacks import OneNetwork, a_training, activate, layers_of, parameters_of, the_stack, train
from worker.datasets import load, probe_indices
from worker.engine import probe
from worker.engine.activations import Activations
from worker.engine.parameters import Layers

FUNCTION = DatasetSpec("function_1d", (("function", "abs"), ("n_test", 9), ("n_train", 40)))
SPIRALS = DatasetSpec("spirals", (("n_test", 20), ("n_train", 40), ("noise", 0.1)))
# What is done to the parameters of a stack; only its first, third, ... network changes.
STATES: dict[str, Callable[[Layers], object]] = {
    "all dead": lambda theta: _shift(theta, -100.0),
    "all saturated": lambda theta: _shift(theta, 100.0),
    "no weights": lambda theta: _scale(theta, 0.0),
    "huge weights": lambda theta: _scale(theta, 1e9),
    "tiny weights": lambda theta: _scale(theta, 1e-9),
    "constant inputs": lambda theta: theta.w[0][::2].zero_(),
    "a NaN": lambda theta: theta.w[1][::2, 0, 0].fill_(torch.nan),
    "an infinity": lambda theta: theta.b[1][::2, 0, 0].fill_(torch.inf),
}
# Where units do not vary over the batch, a batch norm makes numbers of the order of 1 out of rounding, layer by layer.
WITHOUT_VARIANCE = ("all dead", "all saturated", "no weights", "tiny weights", "constant inputs")
BAD_STATES = [
    (state, normalization)
    for normalization in NORMALIZATIONS
    for state in STATES
    if not (normalization.startswith("batch") and state in WITHOUT_VARIANCE)
]


def _shift(theta: Layers, by: float) -> None:
    for b in theta.beta or theta.b[:-1]:
        b[::2].add_(by)


def _scale(theta: Layers, by: float) -> None:
    for w in theta.w:
        w[::2].mul_(by)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("dataset", [DatasetSpec(), FUNCTION])
def test_a_record_is_what_autograd_sees_on_the_probe(normalization: str, dataset: DatasetSpec) -> None:
    network = {"normalization": normalization, "residual": True}
    # Slow enough that `square` does not diverge within these few steps.
    slow = {"dtype": "float64", "learning_rate": 0.01}
    spec = a_spec(*sorted(ACTIVATIONS), depth=3, network=network, training=slow, dataset=dataset)
    stack = the_stack(replace(spec, replicates=1))
    training = a_training(stack)

    for step in stack.recorded_steps[:2] + stack.recorded_steps[-1:]:
        before = layers_of(stack, training) if step == 0 else _before(stack, step)
        training.advance_to(step)
        record = training.record()

        assert record.measurements.keys() == MEASUREMENTS.keys()
        assert_recorded_as_defined(stack, record, layers_of(stack, training), before, relative=1e-8)


@pytest.mark.parametrize(("state", "normalization"), BAD_STATES)
# In float32, two ways to the same activation differ by a few roundings, and so does everything behind it.
@pytest.mark.parametrize(("dtype", "relative"), [("float64", 1e-8), ("float32", 1e-4)])
def test_a_network_in_a_bad_state_is_recorded_as_it_is(
    state: str, normalization: str, dtype: str, relative: float
) -> None:
    network = {"normalization": normalization}
    stack = the_stack(
        a_spec("relu", "tanh", "leaky_relu", "sigmoid", depth=3, network=network, training={"dtype": dtype})
    )
    training = a_training(stack)
    parameters = parameters_of(stack)
    theta = parameters.layers

    STATES[state](theta)
    training.restore(training.state() | {"parameters": parameters.flat})
    record = training.record()

    assert_recorded_as_defined(stack, record, theta, theta, relative=relative)


def assert_recorded_as_defined(
    stack: Stack, record: StackRecord, theta: Layers, before: Layers, *, relative: float
) -> None:
    """`before`: the parameters before the last update."""
    x, y = the_probe(stack, theta.w[0].dtype)
    rounding = 50 * torch.finfo(x.dtype).eps
    for m, run in enumerate(stack.runs):
        alone = OneNetwork(run, theta, m)
        losses = alone.losses(x, y)
        updates = [(w - v)[m] for w, v in zip(theta.w, before.w, strict=True)]
        assert record.curves["probe_loss"][m] == pytest.approx(losses.mean().item(), rel=relative, nan_ok=True)
        for i, slowly in enumerate(_slowly(alone, losses, updates)):
            measured = {name: values[m, i] for name, values in record.measurements.items() if name not in GEOMETRY}
            if record.step == 0:
                slowly["update_ratio"] = math.nan
            elif record.step != stack.recorded_steps[-1]:
                slowly["effective_rank"] = math.nan
            _compare_what_may_be_rounding(measured, slowly, run, relative)
            label = f"{run.arm.label}, layer {i + 1}"
            assert_as_defined(measured, slowly, relative=relative, label=label, rounding=rounding)


def the_probe(stack: Stack, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    data, rows = load(stack.shape.dataset), probe_indices(stack.shape.dataset, stack.probe_size)
    x, y = torch.from_numpy(data.x_train[rows]).to(dtype), torch.from_numpy(data.y_train[rows])
    return x, y.to(dtype) if y.is_floating_point() else y


def _compare_what_may_be_rounding(
    measured: dict[str, float], slowly: dict[str, float], run: Run, relative: float
) -> None:
    """Take out of both what is no number to compare to `relative`, and hold it against what rounding may leave."""
    if not math.isfinite(slowly["delta_norm"]):
        # The loss is no number, and nothing is a gradient of it.
        for name in [name for name in slowly if "gradient" in name or name == "delta_norm"]:
            del slowly[name], measured[name]
    elif run.arm.network.normalization.startswith("batch"):
        # A batch norm takes a constant away again: then a bias has no gradient, and rounding is what is left.
        eps = torch.finfo(torch.float32 if run.arm.training.dtype == "float32" else torch.float64).eps
        left = 1e3 * eps * (1 + slowly["delta_norm"])
        expected = pytest.approx(slowly.pop("bias_gradient_norm"), rel=relative, abs=left)
        assert measured.pop("bias_gradient_norm") == expected


def _slowly(alone: OneNetwork, losses: Tensor, updates: list[Tensor]) -> Iterator[dict[str, float]]:
    """Every measurement of each hidden layer, from its definition."""
    hidden = alone.affine[:-1]
    deltas = torch.autograd.grad(losses.sum(), alone.z, retain_graph=True)
    d_w = torch.autograd.grad(losses.mean(), [affine.weight for affine in hidden], retain_graph=True)
    d_b = torch.autograd.grad(losses.mean(), [affine.bias for affine in hidden])
    activations = Activations([alone.run.arm.activation])
    for i, affine in enumerate(hidden):
        h, x = alone.h[i].detach()[None], alone.x[i].detach()[None]
        of_layer = (h[0], x[0], activations.derivative(h, x)[0], deltas[i])
        of_weights = (affine.weight.detach(), d_w[i], d_b[i], updates[i])
        yield {
            **slowly_of_layer(*(t.double().numpy() for t in of_layer), supremum=activations.suprema[0]),
            **slowly_of_weights(*(t.double().numpy() for t in of_weights)),
        }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units_that_die_and_come_back_are_those_that_autograd_sees(dtype: str) -> None:
    # At this rate units die, and some come back; a dead unit's incoming weights have a gradient of exactly 0.
    training_of = {"learning_rate": 0.5, "dtype": dtype}
    spec = a_spec("relu", "leaky_relu", "tanh", steps=40, points=9, training=training_of, replicates=4, seed=1)
    stack = the_stack(spec)
    training = a_training(stack)
    timeline: list[dict[tuple[int, int], bool]] = [{} for _ in stack.runs]
    seen = {"died": 0, "revived": 0}

    for step in stack.recorded_steps:
        training.advance_to(step)
        record = training.record()
        theta = layers_of(stack, training)
        for m, run in enumerate(stack.runs):
            dead = _dead_units(OneNetwork(run, theta, m), the_probe(stack, theta.w[0].dtype)[0])
            died = {unit for unit, is_dead in dead.items() if is_dead and not timeline[m].get(unit, False)}
            revived = {unit for unit, is_dead in dead.items() if not is_dead and timeline[m].get(unit, False)}
            assert set(zip(*record.died[m].nonzero(), strict=True)) == died
            assert set(zip(*record.revived[m].nonzero(), strict=True)) == revived
            timeline[m] = dead
            seen = {"died": seen["died"] + len(died), "revived": seen["revived"] + len(revived)}

    assert min(seen.values()) > 0


def _dead_units(alone: OneNetwork, x: Tensor) -> dict[tuple[int, int], bool]:
    """By (layer from 0, unit): whether the derivative is exactly 0 on every input, by autograd, one unit at a time."""
    alone(x)
    found = {}
    for i, h in enumerate(alone.h):
        leaf = h.detach().requires_grad_()
        activate(alone.run.arm.activation, leaf).sum().backward()  # type: ignore[no-untyped-call]  # torch's
        assert leaf.grad is not None
        for unit in range(leaf.shape[1]):
            found[i, unit] = all(slope == 0 for slope in leaf.grad[:, unit].tolist())
    return found


def _before(stack: Stack, step: int) -> Layers:
    training = a_training(stack)
    training.advance_to(step - 1)
    return layers_of(stack, training)


def test_a_stack_reads_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = the_stack(a_spec("relu", "tanh", "gelu", replicates=3, training={"dtype": "float64"}))
    whole = train(a_training(stack), stack)
    monkeypatch.setattr(probe, "_NUMBERS", 2 * 32 * 8)

    parts = train(a_training(stack), stack)

    for one, other in zip(whole, parts, strict=True):
        for name, values in one.measurements.items():
            assert other.measurements[name] == pytest.approx(values, rel=1e-9, abs=1e-14, nan_ok=True), name
