"""What is measured of the layers. The definitions are in `lab/catalog/measurements.py`; the names are the same.

Arguments are sequences of L layers, each M networks at once: h, x, delta, slope (M, B, N) on the probe's B samples, w
and its gradient (M, N, D). Every value is (M, L) float64.

Sums run in the training dtype, which PyTorch adds up in a cascade, so that their error stays near one rounding; turning
the tensors into float64 first would cost more than all else together. Only where a square leaves float32's range, as a
vanishing gradient's does, is it taken again in float64. What follows from the sums is done for all layers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_SATURATED = 0.05
_DORMANT = 0.025

Layers = Sequence[Tensor]
Values = dict[str, Tensor]


def preactivations(h: Layers) -> Values:
    mean, variance = _moments(h)
    return {"preactivation_mean": _over_units(mean), "preactivation_std": _std_of_all(mean, variance)}


def activations(x: Layers) -> Values:
    mean, variance = _moments(x)
    total_size = torch.stack([each.abs().sum(1) for each in x])
    mean_size = total_size.to(torch.float64) / x[0].shape[1]
    score = mean_size / (mean_size.mean(2, keepdim=True) + 1e-9)
    return {
        "activation_mean": _over_units(mean),
        "activation_std": _std_of_all(mean, variance),
        "activation_std_within": _over_units(variance.sqrt()),
        "inactive_fraction": _over_units(total_size == 0),
        "dormant_fraction": _over_units(score <= _DORMANT),
    }


def slopes(slope: Layers, suprema: Tensor) -> tuple[Values, Tensor]:
    """From slope = phi'(h), which is overwritten, and sup|phi'| (M,); also which units are dead, (M, L, N)."""
    n_samples = slope[0].shape[1]
    bounded = suprema.isfinite()[:, None]
    threshold = (_SATURATED * suprema).to(slope[0].dtype)[:, None, None]
    # A sum of sizes is 0 where all of them are. It takes a fraction of the time of a maximum over samples.
    dead = torch.stack([each.abs_().sum(1) for each in slope]) == 0
    # Counted in the slope's own tensor: a tensor of bools takes several times as long.
    n_saturated = torch.stack([each.lt_(threshold).sum(1) for each in slope])
    values = {
        "dead_fraction": _over_units(dead),
        "saturated_fraction": (_over_units(n_saturated) / n_samples).where(bounded, torch.nan),
        "stuck_fraction": _over_units(n_saturated == n_samples).where(bounded, torch.nan),
    }
    return values, dead.movedim(0, 1)


def deltas(delta: Layers) -> Values:
    """From delta, the gradient of each sample's own loss."""
    return {"delta_norm": norms(delta) / delta[0].shape[1] ** 0.5}


def weights(w: Layers, d_w: Layers, d_b: Layers, n_samples: int, update_norms: Tensor) -> Values:
    """From W, the gradients of W and b summed over the probe's `n_samples`, and the norms (M, L) of the W's last
    updates, NaN where there were none.
    """
    n_entries = torch.tensor([each[0].numel() for each in d_w], dtype=torch.float64, device=d_w[0].device)
    norm, weight_norm = norms(d_w) / n_samples, norms(w)
    total = torch.stack([each.sum((1, 2)) for each in d_w], 1).to(torch.float64)
    n_zeros = torch.stack([torch.eq(each, 0, out=torch.empty_like(each)).sum((1, 2)) for each in d_w], 1)
    return {
        "weight_gradient_norm": norm,
        "weight_gradient_rms": norm / n_entries.sqrt(),
        "weight_gradient_mean": total / n_samples / n_entries,
        "weight_gradient_std": _in_range(d_w, _spread, _norms_are_outside).T / n_samples / n_entries.sqrt(),
        "zero_gradient_fraction": n_zeros.to(torch.float64) / n_entries,
        "bias_gradient_norm": norms(d_b) / n_samples,
        "weight_norm": weight_norm,
        "update_ratio": torch.where(weight_norm > 0, update_norms / weight_norm, torch.nan),
    }


def effective_rank(x: Layers) -> Values:
    """NaN where x is 0 everywhere, and where it is not finite, which the decomposition would refuse."""
    return {"effective_rank": torch.stack([_effective_rank(each) for each in x], 1)}


def norms(t: Layers) -> Tensor:
    """(M, L): Frobenius norms, over all but the network's axis, of tensors (M, ., .)."""
    return _in_range(t, _norm, _norms_are_outside).T


def _effective_rank(x: Tensor) -> Tensor:
    usable = x.isfinite().all(2).all(1)
    s = _singular_values(torch.where(usable[:, None, None], x, 0.0))
    total = s.sum(1, keepdim=True)
    rank: Tensor = torch.special.entr(s / total).sum(1).exp()
    return rank.where(usable & (total[:, 0] > 0), torch.nan)


def _singular_values(x: Tensor) -> Tensor:
    """(M, min(B, N)) float64.

    Of float32 numbers by the eigenvalues of the smaller Gram matrix in float64: what that loses is far below what
    float32 has rounded away. It takes a third of the time.
    """
    if x.dtype == torch.float64:
        s: Tensor = torch.linalg.svdvals(x)
        return s
    x = x.to(torch.float64)
    gram = torch.bmm(x.mT, x) if x.shape[1] >= x.shape[2] else torch.bmm(x, x.mT)
    squares: Tensor = torch.linalg.eigvalsh(gram)
    noise = squares[:, -1:] * (squares.shape[1] * torch.finfo(torch.float64).eps)
    return squares.where(squares > noise, 0.0).sqrt()


def _moments(layers: Layers) -> tuple[Tensor, Tensor]:
    """Mean and variance over samples, each (L, M, N) float64.

    In one pass about the first sample: a unit that varies by a millionth of its mean keeps its digits, and one that
    does not vary has variance exactly 0.
    """
    n_samples = layers[0].shape[1]
    total, squares = _in_range(layers, _sums_about_the_first, _squares_are_outside).unbind(1)
    mean = total / n_samples
    variance = (squares / n_samples).addcmul_(mean, mean, value=-1).clamp_min_(0.0)
    return mean.add_(torch.stack([t[:, 0] for t in layers])), variance


def _sums_about_the_first(t: Tensor) -> Tensor:
    """(2, M, N): over samples, the sum of the differences from the first one, and the sum of their squares."""
    d = t - t[:, :1]
    total = d.sum(1)
    return torch.stack([total, d.square_().sum(1)])


def _squares_are_outside(sums: Tensor) -> Tensor:
    total, squares = sums[:, :1], sums[:, 1:]
    outside: Tensor = (squares > 1e36) | ((squares < 1e-24) & (total != 0))
    return outside.expand_as(sums)


def _norm(t: Tensor) -> Tensor:
    # Row by row: over both at once PyTorch adds in float32 without a cascade, and a 4096 x 4096 matrix is 6e-4 off.
    norm: Tensor = torch.linalg.vector_norm(torch.linalg.vector_norm(t, dim=2), dim=1)
    return norm


def _spread(t: Tensor) -> Tensor:
    return _norm(t - t.mean((1, 2), keepdim=True))


def _norms_are_outside(norm: Tensor) -> Tensor:
    return (norm < 1e-12) | (norm > 1e18)


def _in_range(layers: Layers, f: Callable[[Tensor], Tensor], is_outside: Callable[[Tensor], Tensor]) -> Tensor:
    """(L, ...) float64: `f` of each layer, worked out in the layer's dtype, and once more in float64 where squares
    left float32's range.

    Only the entries that are outside change, so that no network's digits depend on its neighbours.
    """
    values = torch.stack([f(t) for t in layers]).to(torch.float64)
    outside = is_outside(values)
    if layers[0].dtype == torch.float32 and outside.any():
        for i in outside.flatten(1).any(1).nonzero().flatten().tolist():
            values[i] = torch.where(outside[i], f(layers[i].to(torch.float64)), values[i])
    return values


def _std_of_all(mean: Tensor, variance: Tensor) -> Tensor:
    """(M, L): standard deviation over all entries, from each unit's mean and variance, (L, M, N)."""
    return variance.mean(2).add_(mean.var(2, correction=0)).sqrt_().T


def _over_units(values: Tensor) -> Tensor:
    """(M, L): the mean of (L, M, N); of bools, the share of True."""
    return values.to(torch.float64).mean(2).T
