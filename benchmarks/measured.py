"""The measurements of one network in PyTorch, all its hidden layers at once: they are of one width, so they stack.

The formulas are those of `lab/catalog/measurements.py`, sums in float32. Independent of the engine's own kernels, which
measure many networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Values = dict[str, Tensor]


def of_units(h: Tensor, x: Tensor, delta: Tensor, slope: Tensor, supremum: float) -> Values:
    """From tensors (L, B, N), each value (L,). `slope` is phi'(h) and is overwritten, delta of each sample's loss."""
    h_mean, h_variance = _moments(h)
    x_mean, x_variance = _moments(x)
    size = x.abs().mean(1)
    saturated = slope.abs_() < 0.05 * supremum
    return {
        "preactivation_mean": h_mean.mean(1),
        "preactivation_std": _std_of_all(h_mean, h_variance),
        "activation_mean": x_mean.mean(1),
        "activation_std": _std_of_all(x_mean, x_variance),
        "activation_std_within": x_variance.sqrt().mean(1),
        "inactive_fraction": _share(size == 0),
        "dormant_fraction": _share(size <= 0.025 * (size.mean(1, keepdim=True) + 1e-9)),
        "dead_fraction": _share(slope.sum(1) == 0),
        "saturated_fraction": _share(saturated.flatten(1)),
        "stuck_fraction": _share(saturated.all(1)),
        "delta_norm": torch.linalg.vector_norm(delta, dim=(1, 2)) / delta.shape[1] ** 0.5,
    }


def of_weights(w: Sequence[Tensor], d_w: Sequence[Tensor], d_b: Sequence[Tensor], updates: Tensor) -> Values:
    """From each layer's W, the probe-mean gradients of W and b, and the norm of W's last update (L,)."""
    weight_norm = _norms(w)
    # The first layer has inputs of its own number: each layer's matrix by itself.
    moments = [torch.var_mean(each, correction=0) for each in d_w]
    norm = _norms(d_w)
    return {
        "weight_gradient_norm": norm,
        "weight_gradient_rms": norm / torch.tensor([each.numel() for each in d_w], device=norm.device).sqrt(),
        "weight_gradient_mean": torch.stack([mean for _, mean in moments]),
        "weight_gradient_std": torch.stack([variance for variance, _ in moments]).sqrt(),
        "zero_gradient_fraction": torch.stack([_share((each == 0).flatten()) for each in d_w]),
        "bias_gradient_norm": _norms(d_b),
        "weight_norm": weight_norm,
        "update_ratio": updates / weight_norm,
    }


def effective_rank(x: Tensor) -> Tensor:
    """(L,), of x (L, B, N): by the eigenvalues of the smaller Gram matrix, as the engine has it."""
    x = x.double()
    squares = torch.linalg.eigvalsh(x.mT @ x if x.shape[1] >= x.shape[2] else x @ x.mT)
    noise = squares[:, -1:] * (squares.shape[1] * torch.finfo(squares.dtype).eps)
    s = squares.where(squares > noise, 0.0).sqrt()
    entropy: Tensor = torch.special.entr(s / s.sum(1, keepdim=True)).sum(1)
    return entropy.exp()


def _moments(t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over samples, (L, N). About the first sample: PyTorch's own variance is slow."""
    d = t - t[:, :1]
    mean = d.mean(1)
    return mean + t[:, 0], (d.square_().mean(1) - mean.square()).clamp_min_(0.0)


def _std_of_all(mean: Tensor, variance: Tensor) -> Tensor:
    return (variance.mean(1) + mean.var(1, correction=0)).sqrt_()


def _norms(t: Sequence[Tensor]) -> Tensor:
    return torch.stack([torch.linalg.vector_norm(each) for each in t])


def _share(which: Tensor) -> Tensor:
    """The share of True along the last axis."""
    return which.float().mean(-1)
