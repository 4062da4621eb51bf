from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec
from tests.builders import a_spec, an_activation
from tests.worker.engine.stacks import a_training, activate, the_stack, train
from worker.engine.activations import Activations
from worker.engine.kernels import KERNELS, kernel_of

H = np.concatenate([np.linspace(-30, 30, 1001), np.array([0.0, -0.0, 1e-8, -1e-8, 300.0, -300.0])])

EVERY = [
    *(an_activation(name) for name in sorted(ACTIVATIONS)),
    an_activation("celu", alpha=0.3),
    an_activation("elu", alpha=2.5),
    an_activation("leaky_relu", negative_slope=-0.5),
    an_activation("softplus", beta=7.0),
]
WRAPPED = [an_activation(name, scale_in=-2, scale_out=0.5, shift=3) for name in sorted(ACTIVATIONS)]
every = pytest.mark.parametrize("spec", EVERY + WRAPPED, ids=lambda spec: spec.label)
every_bare = pytest.mark.parametrize("spec", EVERY, ids=lambda spec: spec.label)


def phi_and_derivative(spec: ActivationSpec, h: Tensor) -> tuple[Tensor, Tensor]:
    """For a stack of one network."""
    activations = Activations([spec])
    h = h.view(1, 1, -1)
    x = activations.phi(h, out=torch.empty_like(h))
    return x.flatten(), activations.derivative(h, x).flatten()


def reference(spec: ActivationSpec, h: Tensor) -> tuple[Any, Any]:
    entry, parameters, exact = ACTIVATIONS[spec.name], dict(spec.parameters), h.to(torch.float64).numpy()
    return entry.phi(exact, **parameters), entry.derivative(exact, **parameters)


def far_out(dtype: torch.dtype) -> Tensor:
    """Up to 1e30, and closely where something underflows, rounds to 1 or overflows."""
    where = [(0, 40, 4000), (80, 110, 2000), (700, 750, 2000)]
    h = np.concatenate([*(np.linspace(*each) for each in where), np.geomspace(1e-30, 1e30, 1201)])
    return torch.from_numpy(np.concatenate([h, -h])).to(dtype)


def test_every_entry_of_the_catalog_has_a_kernel() -> None:
    assert sorted(KERNELS) == sorted(ACTIVATIONS)


@every
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_a_kernel_agrees_with_the_catalogs_reference(
    spec: ActivationSpec, dtype: torch.dtype, tolerance: float
) -> None:
    h = torch.from_numpy(H).to(dtype)

    x, slope = phi_and_derivative(spec, h)

    # 1 - tanh^2 and s (1 - s) lose relative precision near 1; what is lost is below the tolerance in itself.
    np.testing.assert_allclose(x, reference(spec, h)[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(slope, reference(spec, h)[1], rtol=tolerance, atol=tolerance)


@every
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_a_kernel_is_right_far_out(spec: ActivationSpec, dtype: torch.dtype, tolerance: float) -> None:
    h = far_out(dtype)
    if spec.name == "square":
        # Its value is beyond float32's numbers where its slope is not.
        h = h[h.abs() < 1e18]

    x, slope = phi_and_derivative(spec, h)

    assert x.isfinite().all()
    assert slope.isfinite().all()
    np.testing.assert_allclose(x, reference(spec, h)[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(slope, reference(spec, h)[1], rtol=tolerance, atol=tolerance)


@every_bare
@pytest.mark.parametrize(("dtype", "tiny"), [(torch.float64, 1e-304), (torch.float32, 1e-36)])
def test_a_slope_is_zero_only_where_it_is_too_small_for_the_dtype(
    spec: ActivationSpec, dtype: torch.dtype, tiny: float
) -> None:
    h = far_out(dtype)

    _, slope = phi_and_derivative(spec, h)

    # PyTorch takes these two slopes from x, which rounds to 1: there, half of the last digit is too small.
    largest = torch.finfo(dtype).eps if spec.name in ("sigmoid", "tanh") else tiny
    assert np.abs(reference(spec, h)[1][slope == 0]).max(initial=0.0) < largest


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_units_fate_does_not_depend_on_its_place(spec: ActivationSpec, dtype: torch.dtype) -> None:
    h = far_out(dtype)
    whole = phi_and_derivative(spec, h)

    # 13 numbers are less than a vector of any processor, so that the scalar code sees all of them; and the pieces start
    # anywhere in memory. The last has all of the vectors one place further on.
    pieces = [
        torch.cat(parts) for parts in zip(*(phi_and_derivative(spec, each) for each in torch.split(h, 13)), strict=True)
    ]
    moved = phi_and_derivative(spec, torch.cat([h[:1], h])[1:])

    for other in (pieces, moved):
        for one, another in zip(whole, other, strict=True):
            assert torch.equal(one == 0, another == 0)
            assert torch.equal(one.isfinite(), another.isfinite())
            torch.testing.assert_close(one, another, rtol=1e-6 if dtype == torch.float32 else 1e-14, atol=1e-6)


@every
def test_a_kernel_agrees_with_autograd(spec: ActivationSpec) -> None:
    h = torch.from_numpy(H).requires_grad_()
    g = torch.from_numpy(np.random.default_rng(0).standard_normal(H.shape))

    expected = activate(spec, h)
    (expected_pull,) = torch.autograd.grad(expected, h, g)

    activations = Activations([spec])
    h3, g3 = h.detach().view(1, 1, -1), g.view(1, 1, -1)
    x = activations.phi(h3, out=torch.empty_like(h3))
    pulled = activations.pull(g3, h3, x, out=torch.empty_like(h3))
    torch.testing.assert_close(x.flatten(), expected.detach(), rtol=1e-14, atol=1e-14)
    # A few roundings, each of which gelu_tanh's exponent of up to 20 enlarges.
    torch.testing.assert_close(pulled.flatten(), expected_pull, rtol=1e-14, atol=3e-14)


@every
def test_a_kernel_works_in_place(spec: ActivationSpec) -> None:
    activations = Activations([spec])
    h = torch.from_numpy(H).view(1, 1, -1)
    g = torch.ones_like(h)
    x = activations.phi(h, out=torch.empty_like(h))
    expected = activations.pull(g, h, x, out=torch.empty_like(h))

    over_h = h.clone()
    torch.testing.assert_close(activations.phi(over_h, out=over_h), x, rtol=0, atol=0)
    torch.testing.assert_close(activations.pull(g, h, x, out=g), expected, rtol=0, atol=0)


WITHOUT_H = [spec for spec in EVERY if not kernel_of(spec).needs_h]


@pytest.mark.parametrize("spec", WITHOUT_H, ids=lambda spec: spec.label)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_kernel_that_does_not_need_h_does_not_read_it(spec: ActivationSpec, dtype: torch.dtype) -> None:
    activations, h = Activations([spec]), far_out(dtype).view(1, 1, -1)
    x = activations.phi(h, out=torch.empty_like(h))
    expected = activations.derivative(h, x)

    slope = activations.derivative(torch.full_like(h, torch.nan), x)

    assert not activations.need_h
    assert torch.equal(slope, expected)


def test_networks_need_h_where_one_of_them_does() -> None:
    relu, gelu = an_activation("relu"), an_activation("gelu")

    assert len(WITHOUT_H) > 3
    assert not Activations([relu, relu]).need_h
    assert Activations([relu, gelu]).need_h
    assert Activations([an_activation("relu", scale_in=2.0)]).need_h


@every
def test_a_kernel_leaves_its_arguments_alone(spec: ActivationSpec) -> None:
    activations = Activations([spec])
    h = torch.from_numpy(H).view(1, 1, -1)
    g = torch.ones_like(h)
    x = activations.phi(h, out=torch.empty_like(h))
    before = x.clone()

    activations.pull(g, h, x, out=torch.empty_like(h))

    np.testing.assert_array_equal(h.flatten(), H)
    assert torch.equal(x, before)
    assert (g == 1).all()


@every
def test_the_derivative_never_exceeds_the_catalogs_supremum(spec: ActivationSpec) -> None:
    (supremum,) = Activations([spec]).suprema
    _, slope = phi_and_derivative(spec, torch.from_numpy(H))
    if np.isinf(supremum):
        assert slope.abs().max() >= 600
        return

    # Within rounding; and some point of the grid comes close, so that the supremum is not idle.
    assert 0.95 < slope.abs().max() / supremum < 1 + 1e-12


@pytest.mark.parametrize(
    ("name", "h", "dead"),
    [
        ("celu", -103.9, False),
        ("celu", -104.0, True),
        ("elu", -103.9, False),
        ("elu", -104.0, True),
        ("erf", 10.1, False),
        ("erf", -10.3, True),
        ("gelu", -10.0, False),
        ("gelu", -20.0, True),
        ("gelu_tanh", -10.5, False),
        ("gelu_tanh", -11.0, True),
        ("gelu_tanh", 1e30, False),
        ("hard_sigmoid", -2.999, False),
        ("hard_sigmoid", 3.0, True),
        ("hard_swish", -3.0, True),
        ("hard_swish", -2.999, False),
        ("hard_swish", 1e30, False),
        ("hard_tanh", 0.999, False),
        ("hard_tanh", 1.0, True),
        ("leaky_relu", -1e30, False),
        ("mish", -103.9, False),
        ("mish", -104.0, True),
        ("relu", 0.0, True),
        ("relu", 1e-30, False),
        ("relu6", 5.999, False),
        ("relu6", 6.0, True),
        ("selu", -103.9, False),
        ("selu", -104.0, True),
        ("sigmoid", 16.637, True),
        ("sigmoid", 16.0, False),
        ("sigmoid", -88.73, True),
        ("sigmoid", -88.7, False),
        ("silu", -88.7, False),
        ("silu", -88.73, True),
        ("softplus", -103.9, False),
        ("softplus", -104.0, True),
        ("softsign", 1e22, False),
        ("softsign", 1e23, True),
        ("tanh", 9.012, True),
        ("tanh", -9.012, True),
        ("tanh", 9.0, False),
        ("tanh", -9.0, False),
    ],
)
def test_a_unit_is_float_dead_exactly_where_float32_has_no_slope(name: str, h: float, dead: bool) -> None:
    # Long enough for vectorised and scalar code both to see it.
    _, slope = phi_and_derivative(an_activation(name), torch.full((37,), h, dtype=torch.float32))

    assert ((slope == 0) == dead).all()


@pytest.mark.parametrize("h", [-9.1, -30.0, -44.3])
def test_a_wrapped_sigmoid_lives_where_tanh_is_dead(h: float) -> None:
    """Though x = 2 sigmoid(2h) - 1 has rounded to -1, as tanh has: the slope is taken before the shift."""
    spec = an_activation("sigmoid", scale_in=2, scale_out=2, shift=-1)

    x, slope = phi_and_derivative(spec, torch.full((37,), h, dtype=torch.float32))

    assert (x == -1).all()
    assert (slope > 0).all()


def test_tanh_and_a_wrapped_sigmoid_train_to_the_same_numbers() -> None:
    wrapped = an_activation("sigmoid", scale_in=2, scale_out=2, shift=-1)
    stack = the_stack(a_spec("tanh", wrapped, depth=4, steps=30, training={"dtype": "float64"}))

    for record in train(a_training(stack), stack):
        for name, values in ({**record.measurements, **record.curves}).items():
            # Rounding, enlarged by 30 steps.
            assert values[2:] == pytest.approx(values[:2], rel=1e-10, abs=1e-13, nan_ok=True), name


def test_each_network_of_a_stack_has_its_own_activation() -> None:
    specs = [an_activation("relu"), an_activation("relu"), an_activation("tanh"), an_activation("leaky_relu")]
    specs += [an_activation("leaky_relu", negative_slope=0.5), an_activation("tanh", scale_out=2.0)]
    h = torch.randn(6, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    x = Activations(specs).phi(h, out=torch.empty_like(h))

    torch.testing.assert_close(x, torch.stack([activate(spec, each) for spec, each in zip(specs, h, strict=True)]))
    torch.testing.assert_close(Activations(specs).of(slice(2, 4)).phi(h[2:4], out=torch.empty_like(h[2:4])), x[2:4])
