"""What is measured of the layers. The definitions are in `lab/catalog/measurements.py`; the names are the same.

Of activations and gradients by what `worker/engine/sums.py` has summed, for all layers at once; of weights from w and
its gradient, L layers of (M, N, D). Every value is (M, L) float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from worker.engine.sums import LayerSums, norms_are_outside

_DORMANT = 0.025

Layers = Sequence[Tensor]
Values = dict[str, Tensor]


def of_layers(sums: LayerSums) -> Values:
    """All that is measured of activations and their gradients, but the effective rank."""
    return _preactivations(sums) | _activations(sums) | _slopes(sums) | _deltas(sums)


def dead_units(sums: LayerSums) -> Tensor:
    """(M, L, N)."""
    return (sums.plain["slopes"] == 0).movedim(0, 1)


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
        "weight_gradient_std": _in_range(d_w, _spread) / n_samples / n_entries.sqrt(),
        "zero_gradient_fraction": n_zeros.to(torch.float64) / n_entries,
        "bias_gradient_norm": norms(d_b) / n_samples,
        "weight_norm": weight_norm,
        "update_ratio": torch.where(weight_norm > 0, update_norms / weight_norm, torch.nan),
    }


def effective_rank(x: Layers) -> Tensor:
    """Of activations (M, B, N). NaN where x is 0 everywhere, and where it is not finite, which the decomposition would
    refuse.
    """
    return torch.stack([_effective_rank(each) for each in x], 1)


def norms(t: Layers) -> Tensor:
    """(M, L): Frobenius norms, over all but the network's axis, of tensors (M, ., .)."""
    return _in_range(t, _norm)


def _preactivations(sums: LayerSums) -> Values:
    mean, variance = sums.moments("h")
    return {"preactivation_mean": _over_units(mean), "preactivation_std": _std_of_all(mean, variance)}


def _activations(sums: LayerSums) -> Values:
    mean, variance = sums.moments("x")
    total_size = sums.plain["x_sizes"]
    mean_size = total_size.to(torch.float64) / sums.n_samples
    score = mean_size / (mean_size.mean(2, keepdim=True) + 1e-9)
    return {
        "activation_mean": _over_units(mean),
        "activation_std": _std_of_all(mean, variance),
        "activation_std_within": _over_units(variance.sqrt()),
        "inactive_fraction": _over_units(total_size == 0),
        "dormant_fraction": _over_units(score <= _DORMANT),
    }


def _slopes(sums: LayerSums) -> Values:
    n_saturated, bounded = sums.plain["saturated"], sums.is_bounded[:, None]
    return {
        "dead_fraction": _over_units(sums.plain["slopes"] == 0),
        "saturated_fraction": (_over_units(n_saturated) / sums.n_samples).where(bounded, torch.nan),
        "stuck_fraction": _over_units(n_saturated == sums.n_samples).where(bounded, torch.nan),
    }


def _deltas(sums: LayerSums) -> Values:
    """From delta, the gradient of each sample's own loss."""
    return {"delta_norm": sums.delta_norms().T / sums.n_samples**0.5}


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


def _norm(t: Tensor) -> Tensor:
    # Row by row: over both at once PyTorch adds in float32 without a cascade, and a 4096 x 4096 matrix is 6e-4 off.
    norm: Tensor = torch.linalg.vector_norm(torch.linalg.vector_norm(t, dim=2), dim=1)
    return norm


def _spread(t: Tensor) -> Tensor:
    return _norm(t - t.mean((1, 2), keepdim=True))


def _in_range(layers: Layers, norm: Callable[[Tensor], Tensor]) -> Tensor:
    """(M, L): `norm` of each layer, worked out in the layer's dtype, and once more in float64 where squares left
    float32's range.

    Only the entries that are outside change, so that no network's digits depend on its neighbours.
    """
    values = torch.stack([norm(t) for t in layers]).to(torch.float64)
    outside = norms_are_outside(values)
    if layers[0].dtype == torch.float32 and outside.any():
        for i in outside.any(1).nonzero().flatten().tolist():
            values[i] = torch.where(outside[i], norm(layers[i].to(torch.float64)), values[i])
    return values.T


def _std_of_all(mean: Tensor, variance: Tensor) -> Tensor:
    """(M, L): standard deviation over all entries, from each unit's mean and variance, (L, M, N)."""
    return variance.mean(2).add_(mean.var(2, correction=0)).sqrt_().T


def _over_units(values: Tensor) -> Tensor:
    """(M, L): the mean of (L, M, N); of bools, the share of True."""
    return values.to(torch.float64).mean(2).T
