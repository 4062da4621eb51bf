"""What is measured of a layer. The definitions are in `lab/catalog/measurements.py`; the names are the same.

Tensors are M networks at once: h, x, delta, slope (M, B, N) on the probe's B samples, w and its gradient (M, N, D).
Every value is (M,) float64.

Sums run in the training dtype, which PyTorch adds up in a cascade, so that their error stays near one rounding; turning
the tensors into float64 first would cost more than all else together. Only where a square leaves float32's range, as a
vanishing gradient's does, is it taken again in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_SATURATED = 0.05
_DORMANT = 0.025


def preactivations(h: Tensor) -> dict[str, Tensor]:
    mean, variance = _moments(h)
    return {"preactivation_mean": mean.mean(1), "preactivation_std": _std_of_all(mean, variance)}


def activations(x: Tensor) -> dict[str, Tensor]:
    mean, variance = _moments(x)
    total_size = x.abs().sum(1)
    mean_size = total_size.to(torch.float64) / x.shape[1]
    score = mean_size / (mean_size.mean(1, keepdim=True) + 1e-9)
    return {
        "activation_mean": mean.mean(1),
        "activation_std": _std_of_all(mean, variance),
        "activation_std_within": variance.sqrt().mean(1),
        "inactive_fraction": _share(total_size == 0),
        "dormant_fraction": _share(score <= _DORMANT),
    }


def slopes(slope: Tensor, suprema: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """From slope = phi'(h), which is overwritten, and sup|phi'| (M,); also which units are dead, (M, N)."""
    n_samples = slope.shape[1]
    slope = slope.abs_()
    # A sum of sizes is 0 where all of them are. It takes a fraction of the time of a maximum over samples.
    dead = slope.sum(1) == 0
    bounded = suprema.isfinite()
    threshold = (_SATURATED * suprema).to(slope.dtype)
    # Counted in the slope's own tensor: a tensor of bools takes several times as long.
    n_saturated = slope.lt_(threshold[:, None, None]).sum(1)
    values = {
        "dead_fraction": _share(dead),
        "saturated_fraction": n_saturated.to(torch.float64).mean(1) / n_samples,
        "stuck_fraction": _share(n_saturated == n_samples),
    }
    for name in ("saturated_fraction", "stuck_fraction"):
        values[name] = values[name].masked_fill(~bounded, torch.nan)
    return values, dead


def deltas(delta: Tensor) -> dict[str, Tensor]:
    """From delta, the gradient of each sample's own loss."""
    return {"delta_norm": norms(delta) / delta.shape[1] ** 0.5}


def weights(w: Tensor, d_w: Tensor, d_b: Tensor, update_norm: Tensor) -> dict[str, Tensor]:
    """From W, the probe-mean gradients of W and b, and the norm of W's last update, NaN where there was none."""
    n_entries = d_w.shape[1] * d_w.shape[2]
    norm, weight_norm = norms(d_w), norms(w)
    mean = d_w.sum((1, 2)).to(torch.float64) / n_entries
    n_zeros = torch.eq(d_w, 0, out=torch.empty_like(d_w)).sum((1, 2))
    return {
        "weight_gradient_norm": norm,
        "weight_gradient_rms": norm / n_entries**0.5,
        "weight_gradient_mean": mean,
        "weight_gradient_std": norms(d_w - mean.to(d_w.dtype)[:, None, None]) / n_entries**0.5,
        "zero_gradient_fraction": n_zeros.to(torch.float64) / n_entries,
        "bias_gradient_norm": norms(d_b),
        "weight_norm": weight_norm,
        "update_ratio": torch.where(weight_norm > 0, update_norm / weight_norm, torch.nan),
    }


def effective_rank(x: Tensor) -> Tensor:
    """NaN where x is 0 everywhere, and where it is not finite, which the decomposition would refuse."""
    usable = x.isfinite().all(2).all(1)
    s = _singular_values(torch.where(usable[:, None, None], x, 0.0))
    total = s.sum(1, keepdim=True)
    rank = torch.special.entr(s / total).sum(1).exp()
    return torch.where(usable & (total[:, 0] > 0), rank, torch.nan)


def norms(t: Tensor) -> Tensor:
    """Frobenius norm of each network's part of t (M, ., .), float64."""
    return _in_range(t, lambda t: torch.linalg.vector_norm(t, dim=(1, 2)), lambda norm: (norm < 1e-12) | (norm > 1e18))


def _singular_values(x: Tensor) -> Tensor:
    """(M, min(B, N)) float64.

    Of float32 numbers by the eigenvalues of the smaller Gram matrix in float64: what that loses is far below what
    float32 has rounded away. It takes a third of the time.
    """
    if x.dtype == torch.float64:
        return torch.linalg.svdvals(x)
    x = x.to(torch.float64)
    gram = torch.bmm(x.mT, x) if x.shape[1] >= x.shape[2] else torch.bmm(x, x.mT)
    squares = torch.linalg.eigvalsh(gram)
    noise = squares[:, -1:] * (squares.shape[1] * torch.finfo(torch.float64).eps)
    return torch.where(squares > noise, squares, 0.0).sqrt()


def _moments(t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over samples, each (M, N) float64.

    In one pass about the first sample: a unit that varies by a millionth of its mean keeps its digits, and one that
    does not vary has variance exactly 0.
    """
    total, squares = _in_range(t, _sums_about_the_first, _squares_are_outside).unbind(2)
    mean = total / t.shape[1]
    variance = (squares / t.shape[1]).addcmul_(mean, mean, value=-1).clamp_min_(0.0)
    return mean.add_(t[:, 0]), variance


def _sums_about_the_first(t: Tensor) -> Tensor:
    """(M, N, 2): over samples, the sum of the differences from the first one, and the sum of their squares."""
    d = t - t[:, :1]
    total = d.sum(1)
    return torch.stack([total, d.square_().sum(1)], 2)


def _squares_are_outside(sums: Tensor) -> Tensor:
    total, squares = sums[:, :, :1], sums[:, :, 1:]
    return (squares > 1e36) | ((squares < 1e-24) & (total != 0))


def _in_range(t: Tensor, f: Callable[[Tensor], Tensor], is_outside: Callable[[Tensor], Tensor]) -> Tensor:
    """f(t), (M, ...), as float64: worked out in t's dtype, and once more in float64 where squares left float32's range.

    Only the entries that are outside change, so that no network's digits depend on its neighbours.
    """
    values = f(t).to(torch.float64)
    outside = is_outside(values)
    networks = outside.flatten(1).any(1) if outside.dim() > 1 else outside
    if t.dtype == torch.float64 or not networks.any():
        return values
    again = f(t[networks].to(torch.float64))
    values[networks] = torch.where(outside[networks], again, values[networks])
    return values


def _std_of_all(mean: Tensor, variance: Tensor) -> Tensor:
    """Standard deviation over all entries, from each unit's mean and variance, (M, N)."""
    return variance.mean(1).add_(mean.var(1, correction=0)).sqrt_()


def _share(which: Tensor) -> Tensor:
    """The share of True in each row of (M, n)."""
    return which.sum(1).to(torch.float64) / which.shape[1]
