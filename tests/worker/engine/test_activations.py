from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lab.catalog.activations import ACTIVATIONS
from tests.builders import an_activation
from tests.worker.engine.stacks import activate
from worker.engine.activations import KERNELS, Activations

EVERY = sorted(ACTIVATIONS)
H = np.concatenate([np.linspace(-30, 30, 1001), np.array([0.0, -0.0, 1e-8, -1e-8, 300.0, -300.0])])


def phi_and_derivative(name: str, h: Tensor) -> tuple[Tensor, Tensor]:
    """For a stack of one network."""
    activations = Activations([an_activation(name)])
    h = h.view(1, 1, -1)
    x = activations.phi(h, out=torch.empty_like(h))
    return x.flatten(), activations.derivative(h, x).flatten()


def test_every_entry_of_the_catalog_has_a_kernel() -> None:
    assert sorted(KERNELS) == EVERY


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_a_kernel_agrees_with_the_catalogs_reference(name: str, dtype: torch.dtype, tolerance: float) -> None:
    h = torch.from_numpy(H).to(dtype)
    parameters = dict(an_activation(name).parameters)

    x, slope = phi_and_derivative(name, h)

    reference = h.to(torch.float64).numpy()
    np.testing.assert_allclose(x, ACTIVATIONS[name].phi(reference, **parameters), rtol=tolerance, atol=tolerance)
    # 1 - tanh^2 and s (1 - s) lose relative precision near 1; what is lost is below the tolerance in itself.
    np.testing.assert_allclose(
        slope, ACTIVATIONS[name].derivative(reference, **parameters), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("name", EVERY)
def test_a_kernel_agrees_with_autograd(name: str) -> None:
    h = torch.from_numpy(H).requires_grad_()
    g = torch.from_numpy(np.random.default_rng(0).standard_normal(H.shape))

    expected = activate(an_activation(name), h)
    (expected_pull,) = torch.autograd.grad(expected, h, g)

    activations = Activations([an_activation(name)])
    h3, g3 = h.detach().view(1, 1, -1), g.view(1, 1, -1)
    x = activations.phi(h3, out=torch.empty_like(h3))
    pulled = activations.pull(g3, h3, x, out=torch.empty_like(h3))
    torch.testing.assert_close(x.flatten(), expected.detach(), rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(pulled.flatten(), expected_pull, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", EVERY)
def test_a_kernel_works_in_place(name: str) -> None:
    activations = Activations([an_activation(name)])
    h = torch.from_numpy(H).view(1, 1, -1)
    g = torch.ones_like(h)
    x = activations.phi(h, out=torch.empty_like(h))
    expected = activations.pull(g, h, x, out=torch.empty_like(h))

    torch.testing.assert_close(activations.phi(h.clone(), out=h.clone()), x, rtol=0, atol=0)
    torch.testing.assert_close(activations.pull(g, h, x, out=g), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", EVERY)
def test_the_derivative_never_exceeds_the_catalogs_supremum(name: str) -> None:
    _, slope = phi_and_derivative(name, torch.from_numpy(H))

    # Within rounding; and some point of the grid comes close, so that the supremum is not idle.
    assert 0.99 < slope.abs().max() / Activations([an_activation(name)]).suprema[0] < 1 + 1e-12


@pytest.mark.parametrize(
    ("name", "h", "dead"),
    [
        ("tanh", 9.012, True),
        ("tanh", -9.012, True),
        ("tanh", 9.0, False),
        ("tanh", -9.0, False),
        ("sigmoid", 16.637, True),
        ("sigmoid", 16.0, False),
        ("sigmoid", -88.73, True),
        ("sigmoid", -88.7, False),
        ("relu", 0.0, True),
        ("relu", 1e-30, False),
        ("gelu", -10.0, False),
        ("gelu", -20.0, True),
        ("leaky_relu", -1e30, False),
    ],
)
def test_a_unit_is_float_dead_exactly_where_float32_has_no_slope(name: str, h: float, dead: bool) -> None:
    # Long enough for vectorised and scalar code both to see it.
    _, slope = phi_and_derivative(name, torch.full((37,), h, dtype=torch.float32))

    assert ((slope == 0) == dead).all()


def test_each_network_of_a_stack_has_its_own_activation() -> None:
    specs = [an_activation("relu"), an_activation("relu"), an_activation("tanh"), an_activation("leaky_relu")]
    specs.append(an_activation("leaky_relu", negative_slope=0.5))
    h = torch.randn(5, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    x = Activations(specs).phi(h, out=torch.empty_like(h))

    torch.testing.assert_close(x, torch.stack([activate(spec, each) for spec, each in zip(specs, h, strict=True)]))
    torch.testing.assert_close(Activations(specs).of(slice(2, 4)).phi(h[2:4], out=torch.empty_like(h[2:4])), x[2:4])
