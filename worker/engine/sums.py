"""What is summed over the probe's samples, layer by layer, while a layer's tensors are still in the cache.

Sums run in the training dtype, which PyTorch adds up in a cascade, so that their error stays near one rounding; turning
the tensors into float64 first would cost more than all else together. Where a square leaves float32's range, as a
vanishing gradient's does, what is summed is summed in float64 as well, and that counts for the entries that are outside
alone: so no network's digits depend on its neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor

from worker.engine.parameters import Shape

_SATURATED = 0.05
_SUMS = ("h", "h_squares", "x", "x_squares", "delta_squares")
_PLAIN = (*_SUMS, "h_first", "x_first", "x_sizes", "slopes", "saturated")

Tensors = dict[str, Tensor]


class LayerSums:
    """Of M networks, each (L, M, N). With d the difference from the first sample, for h and for x: the first sample,
    the sum of d and that of its squares; the sums of abs(x), of abs(phi'(h)) and of delta's squares, and how many
    samples saturate a unit.
    """

    def __init__(self, shape: Shape, n_samples: int, suprema: Tensor, *, dtype: torch.dtype) -> None:
        """suprema: sup|phi'|, (M,) float64."""
        size, device = (shape.depth, shape.n_networks, shape.width), suprema.device
        self.n_samples = n_samples
        self.is_bounded = suprema.isfinite()
        self.threshold = (_SATURATED * suprema).to(dtype)[:, None, None]
        self.plain: Tensors = {name: torch.zeros(size, dtype=dtype, device=device) for name in _PLAIN}
        self.exact: Tensors = {}
        if dtype == torch.float32:
            self.exact = {name: torch.zeros(size, dtype=torch.float64, device=device) for name in _SUMS}

    def moments(self, name: str) -> tuple[Tensor, Tensor]:
        """Mean and variance over samples of every unit, each (L, M, N) float64, of h or x."""
        total, squares = self.plain[name].to(torch.float64), self.plain[f"{name}_squares"].to(torch.float64)
        if self.exact:
            outside = _are_outside(total, squares)
            total = torch.where(outside, self.exact[name], total)
            squares = torch.where(outside, self.exact[f"{name}_squares"], squares)
        mean = total / self.n_samples
        variance = (squares / self.n_samples).addcmul_(mean, mean, value=-1).clamp_min_(0.0)
        return mean.add_(self.plain[f"{name}_first"]), variance

    def delta_norms(self) -> Tensor:
        """(L, M) float64: the norm of all of delta."""
        norms = self._plain_delta_norms()
        if self.exact:
            exact = self.exact["delta_squares"].sum(2).sqrt_()
            norms = torch.where(norms_are_outside(norms), exact, norms)
        return norms

    def outside(self) -> Tensor:
        """(M,): networks of which something must be summed in float64."""
        if not self.exact:
            return torch.zeros_like(self.is_bounded)
        plain = self.plain
        moments = _are_outside(plain["h"], plain["h_squares"]) | _are_outside(plain["x"], plain["x_squares"])
        # What no slope lets through is exactly 0. Below such a layer it may be, too; then looking twice does no harm.
        norms = norms_are_outside(self._plain_delta_norms()) & (plain["slopes"] != 0).any(2)
        return moments.any(2).any(0) | norms.any(0)

    def _plain_delta_norms(self) -> Tensor:
        return self.plain["delta_squares"].sum(2, dtype=torch.float64).sqrt_()


class PartSums:
    """Fills the sums of some neighbouring networks. Give it every layer's h and x as they come forward, and its slope =
    phi'(h) and delta as they come backward, all (M, B, N). It overwrites slope, and nothing else.
    """

    def __init__(self, sums: LayerSums, networks: slice, scratch: Tensor) -> None:
        """scratch: any (M, B, N) tensor of the pass's dtype."""
        self._threshold, self._scratch = sums.threshold[networks], scratch
        # A view takes as long to make as a small sum: here they are made once.
        self._plain = {name: [layer[networks] for layer in sums.plain[name]] for name in _PLAIN}
        self._exact = {name: [layer[networks] for layer in sums.exact[name]] for name in sums.exact}
        self.exactly = False
        """Whether to sum in float64 as well."""

    def forward(self, i: int, h: Tensor, x: Tensor) -> None:
        """Of the layer at i."""
        self._moments(i, "h", h)
        self._moments(i, "x", x)
        torch.sum(torch.abs(x, out=self._scratch), 1, out=self._plain["x_sizes"][i])

    def backward(self, i: int, slope: Tensor, delta: Tensor) -> None:
        """Of the layer at i."""
        # A sum of sizes is 0 where all of them are. It takes a fraction of the time of a maximum over samples.
        torch.sum(slope.abs_(), 1, out=self._plain["slopes"][i])
        # Counted in the slope's own tensor: a tensor of bools takes several times as long.
        torch.sum(slope.lt_(self._threshold), 1, out=self._plain["saturated"][i])
        torch.sum(torch.mul(delta, delta, out=self._scratch), 1, out=self._plain["delta_squares"][i])
        if self.exactly:
            torch.sum(delta.to(torch.float64).square_(), 1, out=self._exact["delta_squares"][i])

    def _moments(self, i: int, name: str, t: Tensor) -> None:
        """In one pass about the first sample: a unit that varies by a millionth of its mean keeps its digits, and one
        that does not vary has variance exactly 0.
        """
        first = t[:, :1]
        self._plain[f"{name}_first"][i].copy_(first[:, 0])
        self._sum(i, name, torch.sub(t, first, out=self._scratch), self._plain)
        if self.exactly:
            self._sum(i, name, t.to(torch.float64) - first, self._exact)

    @staticmethod
    def _sum(i: int, name: str, d: Tensor, into: dict[str, list[Tensor]]) -> None:
        torch.sum(d, 1, out=into[name][i])
        torch.sum(d.square_(), 1, out=into[f"{name}_squares"][i])


def norms_are_outside(norms: Tensor) -> Tensor:
    """Whether the squares behind them left float32's range, or nearly."""
    return (norms < 1e-12) | (norms > 1e18)


def _are_outside(total: Tensor, squares: Tensor) -> Tensor:
    outside: Tensor = (squares > 1e36) | ((squares < 1e-24) & (total != 0))
    return outside
