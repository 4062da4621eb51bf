"""Every measurement against its definition, written out slowly in NumPy and with autograd."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.measurements import MEASUREMENTS
from lab.plan import Stack
from lab.spec import ActivationSpec, DatasetSpec
from tests.builders import a_spec, an_activation
from tests.worker.engine.stacks import OneNetwork, a_training, layers_of, the_stack, train
from worker.datasets import load, probe_indices
from worker.engine import measurements, probe
from worker.engine.activations import Activations
from worker.engine.parameters import Layers

Array = NDArray[np.float64]


def slowly_of_layer(h: Array, x: Array, slope: Array, delta: Array, *, supremum: float) -> dict[str, float]:
    """h, x, slope, delta: (B, N), of one network."""
    n_samples, n_units = h.shape
    columns = range(n_units)
    saturated = np.abs(slope) < 0.05 * supremum
    size = [np.abs(x[:, n]).mean() for n in columns]
    s = np.linalg.svd(x, compute_uv=False)
    p = s[s > 0] / s.sum() if s.sum() > 0 else np.array([math.nan])
    return {
        "preactivation_mean": h.mean(),
        "preactivation_std": h.std(),
        "activation_mean": x.mean(),
        "activation_std": x.std(),
        "activation_std_within": float(np.mean([x[:, n].std() for n in columns])),
        "dead_fraction": sum(all(slope[:, n] == 0) for n in columns) / n_units,
        "inactive_fraction": sum(all(x[:, n] == 0) for n in columns) / n_units,
        "saturated_fraction": math.nan if math.isinf(supremum) else saturated.mean(),
        "stuck_fraction": math.nan if math.isinf(supremum) else sum(all(saturated[:, n]) for n in columns) / n_units,
        "dormant_fraction": sum(each / (np.mean(size) + 1e-9) <= 0.025 for each in size) / n_units,
        "delta_norm": math.sqrt(sum(np.linalg.norm(delta[m]) ** 2 for m in range(n_samples)) / n_samples),
        "effective_rank": math.exp(-(p * np.log(p)).sum()),
    }


def slowly_of_weights(w: Array, d_w: Array, d_b: Array, update: Array) -> dict[str, float]:
    norm = np.linalg.norm(w)
    return {
        "weight_gradient_norm": float(np.linalg.norm(d_w)),
        "weight_gradient_rms": float(np.sqrt(np.mean(d_w**2))),
        "weight_gradient_mean": d_w.mean(),
        "weight_gradient_std": d_w.std(),
        "zero_gradient_fraction": float(np.mean(d_w == 0)),
        "bias_gradient_norm": float(np.linalg.norm(d_b)),
        "weight_norm": float(norm),
        "update_ratio": float(np.linalg.norm(update) / norm) if norm else math.nan,
    }


def quickly_of_layer(activations: Activations, h: Tensor, delta: Tensor) -> dict[str, Tensor]:
    x = activations.phi(h, out=torch.empty_like(h))
    suprema = torch.tensor(activations.suprema, dtype=torch.float64)
    values, _ = measurements.slopes([activations.derivative(h, x)], suprema)
    values |= measurements.preactivations([h]) | measurements.activations([x]) | measurements.deltas([delta])
    return values | measurements.effective_rank([x])


def some_preactivations(kind: str, name: str) -> Tensor:
    """(2, B, N)."""
    normal = torch.randn(2, 33, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(len(name)))
    return {
        "random": normal,
        "all dead": -1000 - normal.abs(),
        "all saturated": 1000 + normal.abs(),
        "some dead": torch.where(torch.arange(7) < 3, -1000.0, normal),
        "constant": torch.full_like(normal, 0.3),
        "nearly constant": 0.3 + 1e-9 * normal,
        "zero": torch.zeros_like(normal),
        "one unit": normal[:, :, :1].contiguous(),
        "one sample": normal[:, :1].contiguous(),
    }[kind]


KINDS = (
    "random",
    "all dead",
    "all saturated",
    "some dead",
    "constant",
    "nearly constant",
    "zero",
    "one unit",
    "one sample",
)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_a_layers_measurements_are_their_definitions(
    name: str, kind: str, dtype: torch.dtype, tolerance: float
) -> None:
    activations = Activations([an_activation(name)] * 2)
    h = some_preactivations(kind, name).to(dtype)
    delta = some_preactivations("random", "delta")[:, : h.shape[1], : h.shape[2]].to(dtype)

    measured = quickly_of_layer(activations, h, delta)

    x = activations.phi(h, out=torch.empty_like(h))
    slope = activations.derivative(h, x)
    for m in range(2):
        slowly = slowly_of_layer(
            *(t[m].double().numpy() for t in (h, x, slope, delta)), supremum=activations.suprema[m]
        )
        assert measured.keys() == slowly.keys()
        for key, value in slowly.items():
            # NumPy's std of equal numbers is not quite 0.
            assert measured[key][m].item() == pytest.approx(value, rel=tolerance, abs=1e-15, nan_ok=True), key


@pytest.mark.parametrize("kind", ["random", "one unit", "zero weights", "zero gradients", "equal gradients"])
def test_the_weights_measurements_are_their_definitions(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    size = (3, 1, 1) if kind == "one unit" else (3, 6, 5)
    w, d_w, update = (torch.randn(size, dtype=torch.float64, generator=generator) for _ in range(3))
    d_b = torch.randn(3, 1, size[1], dtype=torch.float64, generator=generator)
    w = w * 0 if kind == "zero weights" else w
    d_w = {"zero gradients": d_w * (d_w > 0), "equal gradients": torch.full_like(d_w, 0.1)}.get(kind, d_w)

    measured = measurements.weights([w], [d_w], [d_b], 1, torch.linalg.vector_norm(update, dim=(1, 2))[:, None])

    for m in range(3):
        slowly = slowly_of_weights(*(t[m].numpy() for t in (w, d_w, d_b, update)))
        assert measured.keys() == slowly.keys()
        for key, value in slowly.items():
            assert measured[key][m].item() == pytest.approx(value, rel=1e-12, abs=1e-16, nan_ok=True), key


def test_a_vanishing_gradient_is_small_and_not_zero_in_float32() -> None:
    delta = torch.full((1, 4, 4), 1e-30)

    assert measurements.deltas([delta])["delta_norm"].item() == pytest.approx(2e-30, rel=1e-6)


@pytest.mark.parametrize(("name", "dead"), [("relu", 1.0), ("sigmoid", 0.0), ("softplus", 0.0)])
def test_units_that_are_never_positive_are_dead_only_where_no_gradient_passes(name: str, dead: float) -> None:
    h = torch.full((1, 16, 4), -5.0)

    values = quickly_of_layer(Activations([an_activation(name)]), h, torch.ones_like(h))

    assert values["dead_fraction"].item() == dead


def test_saturation_is_undefined_where_the_slope_is_unbounded() -> None:
    values, _ = measurements.slopes([torch.ones(2, 3, 4)], torch.tensor([1.0, torch.inf], dtype=torch.float64))

    for name in ("saturated_fraction", "stuck_fraction"):
        assert values[name][0] == 0
        assert values[name][1].isnan()


def test_an_overflowed_layer_has_no_effective_rank() -> None:
    x = torch.ones(2, 3, 4)
    x[1, 0, 0] = torch.inf

    rank = measurements.effective_rank([x])["effective_rank"]

    assert rank[0].item() == pytest.approx(1)
    assert rank[1].isnan()


@pytest.mark.parametrize("normalization", ["none", "batch"])
@pytest.mark.parametrize(
    "dataset", [DatasetSpec(), DatasetSpec("function_1d", (("function", "abs"), ("n_test", 9), ("n_train", 40)))]
)
def test_a_record_is_what_autograd_sees_on_the_probe(normalization: str, dataset: DatasetSpec) -> None:
    network = {"normalization": normalization, "residual": True}
    # Slow enough that `square` does not diverge within these few steps.
    slow = {"dtype": "float64", "learning_rate": 0.01}
    spec = a_spec(*sorted(ACTIVATIONS), depth=3, network=network, training=slow, dataset=dataset)
    stack = the_stack(replace(spec, replicates=1))
    training = a_training(stack)
    data, rows = load(dataset), probe_indices(dataset, stack.probe_size)
    x, y = torch.from_numpy(data.x_train[rows]), torch.from_numpy(data.y_train[rows])

    for step in stack.recorded_steps[:2] + stack.recorded_steps[-1:]:
        before = layers_of(stack, training) if step == 0 else _before(stack, step)
        training.advance_to(step)
        theta = layers_of(stack, training)
        record = training.record()

        assert record.measurements.keys() == MEASUREMENTS.keys()
        for m, run in enumerate(stack.runs):
            alone = OneNetwork(run, theta, m)
            for norm, gamma, beta in zip(alone.norms, theta.gamma, theta.beta, strict=True):
                norm.load_state_dict({"weight": gamma[m, 0], "bias": beta[m, 0]}, strict=False)
            losses = alone.losses(x, y)
            hidden = alone.affine[:-1]
            deltas = torch.autograd.grad(losses.sum(), alone.z, retain_graph=True)
            d_ws = torch.autograd.grad(losses.mean(), [affine.weight for affine in hidden], retain_graph=True)
            d_bs = torch.autograd.grad(losses.mean(), [affine.bias for affine in hidden], retain_graph=True)
            assert record.curves["probe_loss"][m] == pytest.approx(losses.mean().item(), rel=1e-12)
            for i in range(3):
                slope = _slope(run.arm.activation, alone.h[i])
                supremum = Activations([run.arm.activation]).suprema[0]
                each = (t.detach().numpy() for t in (alone.h[i], alone.x[i], slope, deltas[i]))
                slowly = slowly_of_layer(*each, supremum=supremum)
                update = theta.w[i][m] - before.w[i][m]
                each = (t.detach().numpy() for t in (theta.w[i][m], d_ws[i], d_bs[i], update))
                slowly |= slowly_of_weights(*each)
                if step == 0:
                    slowly["update_ratio"] = math.nan
                elif step != stack.recorded_steps[-1]:
                    slowly["effective_rank"] = math.nan
                if normalization == "batch":
                    # The norm takes a constant away again: the bias has no gradient, and rounding is all that is left.
                    assert record.measurements["bias_gradient_norm"][m, i] < 1e-11
                    del slowly["bias_gradient_norm"]
                for key, value in slowly.items():
                    measured = record.measurements[key][m, i]
                    assert measured == pytest.approx(value, rel=1e-8, abs=1e-13, nan_ok=True), key


def _before(stack: Stack, step: int) -> Layers:
    training = a_training(stack)
    training.advance_to(step - 1)
    return layers_of(stack, training)


def _slope(activation: ActivationSpec, h: Tensor) -> Tensor:
    activations = Activations([activation])
    h = h.detach()[None]
    return activations.derivative(h, activations.phi(h, out=torch.empty_like(h)))[0]


def test_a_stack_reads_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = the_stack(a_spec("relu", "tanh", "gelu", replicates=3, training={"dtype": "float64"}))
    whole = train(a_training(stack), stack)
    monkeypatch.setattr(probe, "_NUMBERS", 2 * 32 * 8)

    parts = train(a_training(stack), stack)

    for one, other in zip(whole, parts, strict=True):
        for name, values in one.measurements.items():
            assert other.measurements[name] == pytest.approx(values, rel=1e-9, abs=1e-14, nan_ok=True), name
