"""Every measurement against its definition, on numbers of every kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec
from tests.builders import an_activation
from tests.worker.engine.definitions import assert_as_defined, slowly_of_layer, slowly_of_weights
from worker.engine import measurements
from worker.engine.activations import Activations
from worker.engine.parameters import Shape
from worker.engine.sums import LayerSums, PartSums


def quickly_of_layer(activations: Activations, h: Tensor, delta: Tensor) -> dict[str, Tensor]:
    x = activations.phi(h, out=torch.empty_like(h))
    suprema = torch.tensor(activations.suprema, dtype=torch.float64)
    sums = summed(h, x, activations.derivative(h, x), delta, suprema)
    return measurements.of_layers(sums) | {"effective_rank": measurements.effective_rank([x])}


def summed(h: Tensor, x: Tensor, slope: Tensor, delta: Tensor, suprema: Tensor) -> LayerSums:
    """Of one layer, (M, B, N), in float64 as well where that is needed."""
    m, n_samples, width = h.shape
    shape = Shape(m, n_inputs=1, width=width, depth=1, n_outputs=1, normalization="none", residual=False)
    sums = LayerSums(shape, n_samples, suprema, dtype=h.dtype)
    part = PartSums(sums, slice(0, m), torch.empty_like(h))
    for exactly in (False, True):
        part.exactly = exactly
        if not exactly or sums.outside().any():
            part.forward(0, h, x)
            part.backward(0, slope.clone(), delta)
    return sums


def numbers(kind: str, n_networks: int = 2, n_samples: int = 33, n_units: int = 7, seed: int = 0) -> Tensor:
    """(M, B, N) float64. Of two neighbouring networks, the first has what is said of one."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(n_networks, n_samples, n_units, dtype=torch.float64, generator=generator)
    first = torch.arange(n_networks)[:, None, None] % 2 == 0
    largest = first & (normal == normal.amax((1, 2), keepdim=True))
    some = torch.arange(n_units) < 3
    kinds: dict[str, Callable[[], Tensor]] = {
        "random": lambda: normal,
        "far left": lambda: -1000 - normal.abs(),
        "far right": lambda: 1000 + normal.abs(),
        "some far left": lambda: torch.where(some, -1000.0, normal),
        "constant": lambda: torch.full_like(normal, 0.3),
        "some constant": lambda: torch.where(some, 0.3, normal),
        "nearly constant": lambda: 0.3 + 1e-9 * normal,
        "mean a million times the std": lambda: 1e6 + normal,
        "means and stds of all sizes": lambda: 1e5 * some + normal * 10.0 ** -torch.arange(n_units),
        "an outlier first": lambda: torch.cat([1e4 * normal[:, :1], normal[:, 1:]], 1),
        "zero": lambda: torch.zeros_like(normal),
        "half zero": lambda: normal.relu(),
        "huge": lambda: 1e30 * normal,
        "tiny": lambda: 1e-30 * normal,
        # Their squares are numbers in float32, but of few digits.
        "with squares that are hardly numbers": lambda: 1e-21 * normal,
        "with squares that are nearly too large": lambda: 3e17 * normal,
        "huge beside tiny": lambda: torch.where(some, 1e30, 1e-30) * normal,
        "one huge": lambda: torch.where(first, 1e30, 1.0) * normal,
        "one with a NaN": lambda: torch.where(largest, torch.nan, normal),
        "one with an infinity": lambda: torch.where(largest, torch.inf, normal),
        "one with an infinite unit": lambda: torch.where(first & (torch.arange(n_units) == 1), -torch.inf, normal),
    }
    return kinds[kind]()


KINDS = (
    "random",
    "far left",
    "far right",
    "some far left",
    "constant",
    "some constant",
    "nearly constant",
    "mean a million times the std",
    "means and stds of all sizes",
    "an outlier first",
    "zero",
    "half zero",
    "huge",
    "tiny",
    "with squares that are hardly numbers",
    "with squares that are nearly too large",
    "huge beside tiny",
    "one huge",
    "one with a NaN",
    "one with an infinity",
    "one with an infinite unit",
)
# Of float32 numbers, sums are taken in float32.
PRECISIONS = [pytest.param(torch.float64, 1e-9, id="float64"), pytest.param(torch.float32, 1e-5, id="float32")]


def assert_layers_are_as_defined(specs: Sequence[ActivationSpec], h: Tensor, delta: Tensor, relative: float) -> None:
    """h, delta: (M, B, N), a network for each of `specs`."""
    activations = Activations(specs)

    measured = quickly_of_layer(activations, h.clone(), delta)

    x = activations.phi(h, out=torch.empty_like(h))
    slope = activations.derivative(h, x)
    for m, spec in enumerate(specs):
        each = (t[m].double().numpy() for t in (h, x, slope, delta))
        slowly = slowly_of_layer(*each, supremum=activations.suprema[m])
        of_one = {name: value[m, 0].item() for name, value in measured.items()}
        assert_as_defined(of_one, slowly, relative=relative, label=spec.label)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "relative"), PRECISIONS)
def test_a_layers_measurements_are_their_definitions(kind: str, dtype: torch.dtype, relative: float) -> None:
    specs = [an_activation(name) for name in sorted(ACTIVATIONS) for _ in range(2)]
    h, delta = numbers(kind, len(specs)).to(dtype), numbers("random", len(specs), seed=1).to(dtype)

    assert_layers_are_as_defined(specs, h, delta, relative)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_samples", "n_units"), [(1, 7), (33, 1), (1, 1), (2, 100), (512, 16)])
@pytest.mark.parametrize(("dtype", "relative"), PRECISIONS)
def test_layers_of_any_size_are_measured_as_defined(
    n_samples: int, n_units: int, kind: str, dtype: torch.dtype, relative: float
) -> None:
    h, delta = (numbers(kind, 2, n_samples, n_units, seed).to(dtype) for seed in (0, 1))
    # Statistics are taken about the first sample: where that lies far out, each rounding counts as often as there are
    # samples.
    relative = max(relative, n_samples * torch.finfo(dtype).eps)

    assert_layers_are_as_defined([an_activation("identity")] * 2, h, delta, relative)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_out", "n_in"), [(33, 7), (1, 1), (100, 64)])
@pytest.mark.parametrize(("dtype", "relative"), PRECISIONS)
def test_the_weights_measurements_are_their_definitions(
    n_out: int, n_in: int, kind: str, dtype: torch.dtype, relative: float
) -> None:
    w, d_w, update = (numbers(kind, 2, n_out, n_in, seed).to(dtype) for seed in range(3))
    d_b = numbers(kind, 2, 1, n_out, 3).to(dtype)
    n_samples = 8
    update_norms = torch.linalg.vector_norm(update, dim=(1, 2), dtype=torch.float64)[:, None]

    measured = measurements.weights([w], [d_w], [d_b], n_samples, update_norms)

    for m in range(2):
        w_m, d_w_m, d_b_m, update_m = (t[m].double().numpy() for t in (w, d_w, d_b, update))
        slowly = slowly_of_weights(w_m, d_w_m / n_samples, d_b_m / n_samples, update_m)
        of_one = {name: value[m, 0].item() for name, value in measured.items()}
        assert_as_defined(of_one, slowly, relative=relative, label=f"network {m}")


def test_a_large_matrix_has_a_norm_with_all_its_digits() -> None:
    w = torch.randn(1, 2048, 2048, generator=torch.Generator().manual_seed(0))

    assert measurements.norms([w]).item() == pytest.approx(w.double().norm().item(), rel=1e-6)


def test_a_vanishing_gradient_is_small_and_not_zero_in_float32() -> None:
    delta = torch.full((1, 4, 4), 1e-30)

    values = quickly_of_layer(Activations([an_activation("identity")]), torch.ones_like(delta), delta)

    assert values["delta_norm"].item() == pytest.approx(2e-30, rel=1e-6)


@pytest.mark.parametrize(("name", "dead"), [("relu", 1.0), ("sigmoid", 0.0), ("softplus", 0.0)])
def test_units_that_are_never_positive_are_dead_only_where_no_gradient_passes(name: str, dead: float) -> None:
    h = torch.full((1, 16, 4), -5.0)

    values = quickly_of_layer(Activations([an_activation(name)]), h, torch.ones_like(h))

    assert values["dead_fraction"].item() == dead


def test_saturation_is_undefined_where_the_slope_is_unbounded() -> None:
    ones, suprema = torch.ones(2, 3, 4), torch.tensor([1.0, torch.inf], dtype=torch.float64)

    values = measurements.of_layers(summed(ones, ones, ones, ones, suprema))

    for name in ("saturated_fraction", "stuck_fraction"):
        assert values[name][0] == 0
        assert values[name][1].isnan()


def test_an_overflowed_layer_has_no_effective_rank() -> None:
    x = torch.ones(2, 3, 4)
    x[1, 0, 0] = torch.inf

    rank = measurements.effective_rank([x])

    assert rank[0].item() == pytest.approx(1)
    assert rank[1].isnan()
