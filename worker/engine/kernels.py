"""The activations' kernels: phi and its backward pass, one pair for each entry of the catalog.

Most are the ones that PyTorch's autograd runs. Some of those treat a tensor's vectorised body and its tail differently,
so that whether a unit is dead would depend on its place: for these there is a pair of our own. No pair gives 0,
infinity or NaN in one place and something else in another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.catalog.activation import AFFINE
from lab.catalog.slopes import GELU_TANH_CUBIC, SELU_ALPHA, SELU_SCALE
from lab.spec import ActivationSpec
from worker.engine.elementwise import exp_, may_be_numpys, tanh

_aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Kernel:
    """`phi(h, out)` writes x = phi(h), `pull(g, h, x, out)` writes g * phi'(h); `out` may be h, or g.

    Where the slope follows from x alone, h is not needed: then `pull` does not read it, and x may lie in its place.
    """

    phi: Callable[[Tensor, Tensor], object]
    pull: Callable[[Tensor, Tensor, Tensor, Tensor], object]
    needs_h: bool = True


def kernel_of(spec: ActivationSpec) -> Kernel:
    """The pair of `spec`, in its affine wrapper where it has one."""
    affine = {parameter.name: parameter.default for parameter in AFFINE}
    own = {name: value for name, value in spec.parameters if name not in affine}
    bare = KERNELS[spec.name](**own)
    asked = affine | {name: float(value) for name, value in spec.parameters if name in affine}
    return bare if asked == affine else _affine(bare, **asked)


def _affine(bare: Kernel, scale_in: float, scale_out: float, shift: float) -> Kernel:
    def phi(h: Tensor, out: Tensor) -> None:
        torch.mul(h, scale_in, out=out)
        bare.phi(out, out)
        out.mul_(scale_out).add_(shift)

    def pull(g: Tensor, h: Tensor, _: Tensor, out: Tensor) -> None:
        u = torch.mul(h, scale_in)
        # Not (x - shift) / scale_out: the shift has rounded away the digits on which a small slope depends.
        y = torch.empty_like(u)
        bare.phi(u, y)
        bare.pull(g, u, y, out)
        out.mul_(scale_out * scale_in)

    return Kernel(phi, pull)


def _identity() -> Kernel:
    return Kernel(
        phi=lambda h, out: out.copy_(h),
        pull=lambda g, h, x, out: out.copy_(g),
        needs_h=False,
    )


def _relu() -> Kernel:
    return Kernel(
        phi=lambda h, out: torch.clamp_min(h, 0, out=out),
        pull=lambda g, h, x, out: _aten.threshold_backward.grad_input(g, x, 0, grad_input=out),
        needs_h=False,
    )


def _leaky_relu(negative_slope: float) -> Kernel:
    return Kernel(
        phi=lambda h, out: _aten.leaky_relu.out(h, negative_slope, out=out),
        pull=lambda g, h, x, out: _aten.leaky_relu_backward.grad_input(g, h, negative_slope, False, grad_input=out),
    )


def _clipped(low: float, high: float) -> Kernel:
    return Kernel(
        phi=lambda h, out: torch.clamp(h, low, high, out=out),
        pull=lambda g, h, x, out: _aten.hardtanh_backward.grad_input(g, x, low, high, grad_input=out),
        needs_h=False,
    )


def _exponential(alpha: float, scale: float, scale_in: float) -> Kernel:
    """The family of ELU: scale * (h if h > 0 else alpha * (exp(scale_in * h) - 1)).

    For CELU PyTorch's autograd runs the same pair, but with 1 / alpha rounded to float32, in float64 too.
    """
    return Kernel(
        phi=lambda h, out: _aten.elu.out(h, alpha, scale, scale_in, out=out),
        pull=lambda g, h, x, out: _aten.elu_backward.grad_input(g, alpha, scale, scale_in, False, h, grad_input=out),
    )


def _gelu() -> Kernel:
    # Not PyTorch's own: in float32 its vectorised derivative is 0 from h = -6.16 down, where h * density(h) is not, and
    # its scalar one from -14.35; so a unit's death would depend on its place in the tensor.
    def phi(h: Tensor, out: Tensor) -> None:
        if not may_be_numpys(h):
            torch.mul(h, _by_erfc(h), out=out)
        elif h.amin().item() >= _FAR_LEFT:
            _aten.gelu.out(h, approximate="none", out=out)
        else:
            phi_with_far_left(h, out)

    def phi_with_far_left(h: Tensor, out: Tensor) -> None:
        # Its value is PyTorch's own, which takes a third of the time, but far to the left, where 1 + erf has no digits.
        # NumPy finds what is there in a tenth of the time of PyTorch.
        far = torch.from_numpy(np.flatnonzero(h.numpy() < _FAR_LEFT))
        h_far = h.take(far)
        _aten.gelu.out(h, approximate="none", out=out)
        out.put_(far, h_far * _by_erfc(h_far))

    def pull(g: Tensor, h: Tensor, x: Tensor, out: Tensor) -> None:
        # The normal distribution is x / h, which is much quicker than a second erfc; at 0 it is a half.
        slope = torch.div(x, h).nan_to_num_(0.5)
        density = exp_(torch.addcmul(h.new_zeros(()), h, h, value=-0.5))
        torch.mul(g, slope.addcmul_(h, density, value=1 / math.sqrt(2 * math.pi)), out=out)

    return Kernel(phi, pull)


# There 1 + erf, which is 6e-5, still has three digits of a float32.
_FAR_LEFT = -4.0


def _by_erfc(h: Tensor) -> Tensor:
    """The normal distribution at h. It keeps its digits far to the left, where 1 + erf has none."""
    return torch.mul(h, -math.sqrt(0.5)).erfc_().mul_(0.5)


def _gelu_tanh() -> Kernel:
    # Not PyTorch's own: by 1 + tanh it is 0 from h = -5.06 or -5.16 down, depending on the place in the tensor, though
    # the slope there is 1e-6; and NaN where the square of h overflows.
    k = math.sqrt(8 / math.pi)

    def between(h: Tensor) -> Tensor:
        # Outside, e / (1 + e) is 0, or 1, with all its digits; inside, nothing overflows in float32.
        return h.clamp(-30.0, 10.0)

    def odds(u: Tensor) -> Tensor:
        """With e = exp(2 sqrt(2/pi) (u + 0.044715 u^3)), (1 + tanh(...)) / 2 is e / (1 + e)."""
        return (u * u).mul_(GELU_TANH_CUBIC).add_(1).mul_(u).mul_(k).exp_()

    def phi(h: Tensor, out: Tensor) -> None:
        e = odds(between(h))
        torch.mul(h, e.div_(e + 1), out=out)

    def pull(g: Tensor, h: Tensor, _: Tensor, out: Tensor) -> None:
        u = between(h)
        e = odds(u)
        slope = (u * u).mul_(3 * GELU_TANH_CUBIC).add_(1).mul_(u).mul_(k).div_(e + 1).add_(1)
        torch.mul(g, slope.mul_(e.div_(e + 1)), out=out)

    return Kernel(phi, pull)


def _silu() -> Kernel:
    return Kernel(
        phi=lambda h, out: _aten.silu.out(h, out=out),
        pull=lambda g, h, x, out: _aten.silu_backward.grad_input(g, h, grad_input=out),
    )


def _mish() -> Kernel:
    # Not PyTorch's own: far to the left its zeros depend on the place in the tensor. The formulas are those of
    # `lab.catalog.slopes`: with e = exp(h), tanh(ln(1 + e)) is e (e + 2) / (e (e + 2) + 2).
    def phi(h: Tensor, out: Tensor) -> None:
        e = h.clamp_max(40.0).exp_()
        n = e.mul_(e + 2)
        torch.mul(h, n.div_(n + 2), out=out)

    def pull(g: Tensor, h: Tensor, _: Tensor, out: Tensor) -> None:
        u = h.clamp_max(40.0)
        e = u.exp()
        q = (e + 2).mul_(e).add_(2)
        slope = u.mul_(4).mul_(e + 1).div_(q).add_(e).add_(2).mul_(e).div_(q)
        torch.mul(g, slope, out=out)

    return Kernel(phi, pull)


def _softplus(beta: float) -> Kernel:
    # PyTorch's threshold of 20 would be seen in float64; and its own phi has zeros that depend on the place.
    threshold = 40.0

    def phi(h: Tensor, out: Tensor) -> None:
        u = torch.mul(h, beta)
        torch.maximum(u.clamp_max(threshold).exp_().log1p_(), u, out=out)
        out.div_(beta)

    return Kernel(
        phi=phi,
        pull=lambda g, h, x, out: _aten.softplus_backward.grad_input(g, h, beta, threshold, grad_input=out),
    )


def _sigmoid() -> Kernel:
    return Kernel(
        phi=lambda h, out: torch.sigmoid(h, out=out),
        pull=lambda g, h, x, out: _aten.sigmoid_backward.grad_input(g, x, grad_input=out),
        needs_h=False,
    )


def _hard_sigmoid() -> Kernel:
    # Not PyTorch's own slope: its sixth has the digits of a float32 in float64 too.
    return Kernel(
        phi=lambda h, out: _aten.hardsigmoid.out(h, out=out),
        pull=lambda g, h, x, out: _aten.hardtanh_backward.grad_input(g, h, -3, 3, grad_input=out).div_(6),
    )


def _tanh() -> Kernel:
    return Kernel(
        phi=tanh,
        pull=lambda g, h, x, out: _aten.tanh_backward.grad_input(g, x, grad_input=out),
        needs_h=False,
    )


def _softsign() -> Kernel:
    # Autograd's slope is a difference of two nearly equal numbers far out; and the square of h would overflow.
    def pull(g: Tensor, h: Tensor, _: Tensor, out: Tensor) -> None:
        d = h.abs().add_(1)
        torch.div(g, d, out=out).div_(d)

    return Kernel(phi=lambda h, out: torch.div(h, h.abs().add_(1), out=out), pull=pull)


def _erf() -> Kernel:
    return Kernel(
        phi=lambda h, out: torch.erf(h, out=out),
        pull=lambda g, h, x, out: torch.mul(g, (h * h).neg_().exp_().mul_(2 / math.sqrt(math.pi)), out=out),
    )


def _hard_swish() -> Kernel:
    return Kernel(
        phi=lambda h, out: _aten.hardswish.out(h, out=out),
        pull=lambda g, h, x, out: _aten.hardswish_backward.out(g, h, out=out),
    )


def _sin() -> Kernel:
    return Kernel(
        phi=lambda h, out: torch.sin(h, out=out),
        pull=lambda g, h, x, out: torch.mul(g, h.cos(), out=out),
    )


def _square() -> Kernel:
    return Kernel(
        phi=lambda h, out: torch.mul(h, h, out=out),
        pull=lambda g, h, x, out: torch.mul(g, h, out=out).mul_(2),
    )


KERNELS: dict[str, Callable[..., Kernel]] = {
    "celu": lambda alpha: _exponential(alpha, 1.0, 1 / alpha),
    "elu": lambda alpha: _exponential(alpha, 1.0, 1.0),
    "erf": _erf,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": _hard_swish,
    "hard_tanh": lambda: _clipped(-1.0, 1.0),
    "identity": _identity,
    "leaky_relu": _leaky_relu,
    "mish": _mish,
    "relu": _relu,
    "relu6": lambda: _clipped(0.0, 6.0),
    "selu": lambda: _exponential(SELU_ALPHA, SELU_SCALE, 1.0),
    "sigmoid": _sigmoid,
    "silu": _silu,
    "sin": _sin,
    "softplus": _softplus,
    "softsign": _softsign,
    "square": _square,
    "tanh": _tanh,
}
