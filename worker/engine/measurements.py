"""What is measured of a layer. The definitions are in `lab/catalog/measurements.py`; the names are the same.

Tensors are M networks at once: h, x, delta, slope (M, B, N) on the probe's B samples, w and its gradient (M, N, D).
Every value is (M,) float64. Sums of squares are taken in float64: a vanishing gradient's square is 0 in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SATURATED = 0.05
_DORMANT = 0.025


def preactivations(h: Tensor) -> dict[str, Tensor]:
    mean, variance = _moments(h)
    return {"preactivation_mean": mean.mean(1), "preactivation_std": _std_of_all(mean, variance)}


def activations(x: Tensor) -> dict[str, Tensor]:
    mean, variance = _moments(x)
    size = x.abs()
    mean_size = size.mean(1).to(torch.float64)
    score = mean_size / (mean_size.mean(1, keepdim=True) + 1e-9)
    return {
        "activation_mean": mean.mean(1),
        "activation_std": _std_of_all(mean, variance),
        "activation_std_within": variance.sqrt().mean(1),
        "inactive_fraction": _share(size.amax(1) == 0),
        "dormant_fraction": _share(score <= _DORMANT),
    }


def slopes(slope: Tensor, suprema: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """From slope = phi'(h), which is overwritten, and sup|phi'| (M,); also which units are dead, (M, N)."""
    slope = slope.abs_()
    steepest = slope.amax(1)
    threshold = (_SATURATED * suprema).to(slope.dtype)
    dead = steepest == 0
    bounded = suprema.isfinite()
    # Counted in the slope's own tensor: a tensor of bools takes several times as long.
    n_saturated = slope.lt_(threshold[:, None, None]).sum(1).to(torch.float64)
    values = {
        "dead_fraction": _share(dead),
        "saturated_fraction": n_saturated.mean(1) / slope.shape[1],
        "stuck_fraction": _share(steepest < threshold[:, None]),
    }
    for name in ("saturated_fraction", "stuck_fraction"):
        values[name] = values[name].masked_fill(~bounded, torch.nan)
    return values, dead


def deltas(delta: Tensor) -> dict[str, Tensor]:
    """From delta, the gradient of each sample's own loss."""
    norm = torch.linalg.vector_norm(delta, dim=(1, 2), dtype=torch.float64)
    return {"delta_norm": norm / delta.shape[1] ** 0.5}


def weights(w: Tensor, d_w: Tensor, d_b: Tensor, update_norm: Tensor) -> dict[str, Tensor]:
    """From W, the probe-mean gradients of W and b, and the norm of W's last update, NaN where there was none."""
    g = d_w.flatten(1).to(torch.float64)
    norm = torch.linalg.vector_norm(g, dim=1)
    mean = g.mean(1)
    weight_norm = torch.linalg.vector_norm(w, dim=(1, 2), dtype=torch.float64)
    return {
        "weight_gradient_norm": norm,
        "weight_gradient_rms": norm / g.shape[1] ** 0.5,
        "weight_gradient_mean": mean,
        "weight_gradient_std": (g - mean[:, None]).square_().mean(1).sqrt_(),
        "zero_gradient_fraction": _share(g == 0),
        "bias_gradient_norm": torch.linalg.vector_norm(d_b, dim=(1, 2), dtype=torch.float64),
        "weight_norm": weight_norm,
        "update_ratio": torch.where(weight_norm > 0, update_norm / weight_norm, torch.nan),
    }


def effective_rank(x: Tensor) -> Tensor:
    """NaN where x is 0 everywhere, and where it is not finite, which the decomposition would refuse."""
    usable = x.isfinite().all(2).all(1)
    s = torch.linalg.svdvals(torch.where(usable[:, None, None], x, 0.0).to(torch.float64))
    total = s.sum(1, keepdim=True)
    rank = torch.special.entr(s / total).sum(1).exp()
    return torch.where(usable & (total[:, 0] > 0), rank, torch.nan)


def _moments(t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over samples, each (M, N) float64.

    In one pass about the first sample: a unit that varies by a millionth of its mean keeps its digits, and one that
    does not vary has variance exactly 0.
    """
    first = t[:, :1]
    d = (t - first).to(torch.float64)
    mean = d.mean(1)
    variance = d.square_().mean(1).addcmul_(mean, mean, value=-1).clamp_min_(0.0)
    return mean.add_(first.squeeze(1)), variance


def _std_of_all(mean: Tensor, variance: Tensor) -> Tensor:
    """Standard deviation over all entries, from each unit's mean and variance, (M, N)."""
    return variance.mean(1).add_(mean.var(1, correction=0)).sqrt_()


def _share(which: Tensor) -> Tensor:
    """The share of True in each row of (M, n)."""
    return which.sum(1).to(torch.float64) / which.shape[1]
