"""The activations' kernels: phi and its backward pass, one pair for each entry of the catalog.

A measured derivative is the backward kernel's answer to a gradient of one, so a unit counts as dead exactly where
training in this dtype passes no gradient. Most kernels are the ones that PyTorch's autograd runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec

_aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Kernel:
    """`phi(h, out)` writes x = phi(h), `pull(g, h, x, out)` writes g * phi'(h); `out` may be h, or g."""

    phi: Callable[[Tensor, Tensor], object]
    pull: Callable[[Tensor, Tensor, Tensor, Tensor], object]


def _identity() -> Kernel:
    return Kernel(
        phi=lambda h, out: out.copy_(h),
        pull=lambda g, h, x, out: out.copy_(g),
    )


def _relu() -> Kernel:
    return Kernel(
        phi=lambda h, out: torch.clamp_min(h, 0, out=out),
        pull=lambda g, h, x, out: _aten.threshold_backward.grad_input(g, h, 0, grad_input=out),
    )


def _leaky_relu(negative_slope: float) -> Kernel:
    return Kernel(
        phi=lambda h, out: _aten.leaky_relu.out(h, negative_slope, out=out),
        pull=lambda g, h, x, out: _aten.leaky_relu_backward.grad_input(g, h, negative_slope, False, grad_input=out),
    )


def _gelu() -> Kernel:
    # Not PyTorch's own: in float32 its vectorised derivative is 0 from h = -6.16 down, where h * density(h) is not, and
    # its scalar one from -14.35; so a unit's death would depend on its place in the tensor.
    return Kernel(
        phi=lambda h, out: torch.mul(h, _normal_distribution(h), out=out),
        pull=lambda g, h, x, out: torch.mul(g, _normal_distribution(h).addcmul_(h, _normal_density(h)), out=out),
    )


def _sigmoid() -> Kernel:
    return Kernel(
        phi=lambda h, out: torch.sigmoid(h, out=out),
        pull=lambda g, h, x, out: _aten.sigmoid_backward.grad_input(g, x, grad_input=out),
    )


def _tanh() -> Kernel:
    return Kernel(
        phi=lambda h, out: torch.tanh(h, out=out),
        pull=lambda g, h, x, out: _aten.tanh_backward.grad_input(g, x, grad_input=out),
    )


KERNELS: dict[str, Callable[..., Kernel]] = {
    "gelu": _gelu,
    "identity": _identity,
    "leaky_relu": _leaky_relu,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
}


def _normal_distribution(h: Tensor) -> Tensor:
    """Phi(h). By erfc, which keeps its digits far to the left, where 1 + erf has none."""
    return torch.mul(h, -math.sqrt(0.5)).erfc_().mul_(0.5)


def _normal_density(h: Tensor) -> Tensor:
    return torch.mul(h, h).mul_(-0.5).exp_().mul_(1 / math.sqrt(2 * math.pi))


@dataclass(frozen=True, slots=True)
class _Group:
    """Neighbours in a stack with the same activation."""

    networks: slice
    kernel: Kernel


class Activations:
    """The activations of M networks, in their order. Tensors are (M, B, N)."""

    def __init__(self, specs: Sequence[ActivationSpec]) -> None:
        self._specs = tuple(specs)
        self._groups = tuple(_groups(self._specs))

    def of(self, networks: slice) -> Activations:
        return Activations(self._specs[networks])

    @property
    def suprema(self) -> tuple[float, ...]:
        """sup|phi'| of each network's activation."""
        return tuple(ACTIVATIONS[spec.name].supremum(**dict(spec.parameters)) for spec in self._specs)

    def phi(self, h: Tensor, *, out: Tensor) -> Tensor:
        for group in self._groups:
            group.kernel.phi(h[group.networks], out[group.networks])
        return out

    def pull(self, g: Tensor, h: Tensor, x: Tensor, *, out: Tensor) -> Tensor:
        """The product g * phi'(h), given x = phi(h)."""
        for group in self._groups:
            part = group.networks
            group.kernel.pull(g[part], h[part], x[part], out[part])
        return out

    def derivative(self, h: Tensor, x: Tensor) -> Tensor:
        """phi'(h) as training in this dtype has it, given x = phi(h)."""
        ones = torch.ones_like(h)
        return self.pull(ones, h, x, out=ones)


def _groups(specs: tuple[ActivationSpec, ...]) -> list[_Group]:
    groups: list[_Group] = []
    start = 0
    for spec, members in groupby(specs):
        stop = start + sum(1 for _ in members)
        groups.append(_Group(slice(start, stop), KERNELS[spec.name](**dict(spec.parameters))))
        start = stop
    return groups
