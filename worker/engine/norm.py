"""The normalizations of a layer of M networks, each with its backward pass, and what the test set is normalized by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.engine.parameters import Layers, Shape

EPS = 1e-5
MOMENTUM = 0.1


class Norm(ABC):
    """One layer's forward pass on B samples, and what the backward pass needs of it.

    Along `dim`, the entries of z, (M, B, N), are brought to mean 0 and variance 1: z_hat, of which the norm makes
    gamma * z_hat + beta; gamma, beta: (M, 1, N).
    """

    dim: int

    def __init__(self, z: Tensor) -> None:
        """z: any (M, B, N) tensor of the form that will be normalized."""
        self._z_hat = torch.empty_like(z)
        self.mean = torch.empty_like(z.narrow(self.dim, 0, 1))
        self.variance = torch.empty_like(self.mean)
        self._inverse_std = torch.empty_like(self.mean)

    def forward(self, z: Tensor, gamma: Tensor, beta: Tensor, *, out: Tensor) -> None:
        """`out` may be z."""
        torch.mean(z, self.dim, keepdim=True, out=self.mean)
        torch.sub(z, self.mean, out=self._z_hat)
        torch.mean(torch.mul(self._z_hat, self._z_hat, out=out), self.dim, keepdim=True, out=self.variance)
        torch.add(self.variance, EPS, out=self._inverse_std).rsqrt_()
        self._z_hat.mul_(self._inverse_std)
        torch.addcmul(beta, self._z_hat, gamma, out=out)

    @abstractmethod
    def backward(self, d: Tensor, gamma: Tensor, d_gamma: Tensor, d_beta: Tensor, *, out: Tensor) -> None:
        """From d, the gradient by what `forward` gave, to the one by z, and to dL/dgamma and dL/dbeta, summed over the
        samples. `out` may be d.
        """


class BatchNorm(Norm):
    """Each unit over the samples of the batch."""

    dim = 1

    def backward(self, d: Tensor, gamma: Tensor, d_gamma: Tensor, d_beta: Tensor, *, out: Tensor) -> None:
        n_samples = d.shape[1]
        torch.sum(d, 1, keepdim=True, out=d_beta)
        torch.sum(d * self._z_hat, 1, keepdim=True, out=d_gamma)
        torch.addcmul(d, self._z_hat, d_gamma, value=-1 / n_samples, out=out).sub_(d_beta / n_samples)
        out.mul_(gamma * self._inverse_std)


class LayerNorm(Norm):
    """Each sample over the units of the layer."""

    dim = 2

    def backward(self, d: Tensor, gamma: Tensor, d_gamma: Tensor, d_beta: Tensor, *, out: Tensor) -> None:
        torch.sum(d, 1, keepdim=True, out=d_beta)
        along = d * self._z_hat
        torch.sum(along, 1, keepdim=True, out=d_gamma)
        along = along.mul_(gamma).mean(2, keepdim=True)
        torch.mul(d, gamma, out=out).sub_(out.mean(2, keepdim=True))
        out.addcmul_(self._z_hat, along, value=-1).mul_(self._inverse_std)


@dataclass(frozen=True, slots=True)
class Normalization:
    """The norm that stands before each activation, and the one that stands after it."""

    before: type[Norm] | None = None
    after: type[Norm] | None = None

    @property
    def norm(self) -> type[Norm] | None:
        return self.before or self.after


NORMALIZATIONS: dict[str, Normalization] = {
    "none": Normalization(),
    "batch": Normalization(before=BatchNorm),
    "batch_after": Normalization(after=BatchNorm),
    "layer": Normalization(before=LayerNorm),
}


class RunningStatistics:
    """What batch norm normalizes the test set by. `values` is (2, L, M, 1, N): means, and unbiased variances."""

    def __init__(self, depth: int, like: Tensor) -> None:
        """like: (M, 1, N)."""
        self.values = (
            torch.stack([torch.zeros_like(like), torch.ones_like(like)]).unsqueeze(1).repeat(1, depth, 1, 1, 1)
        )

    @classmethod
    def of(cls, shape: Shape, theta: Layers) -> RunningStatistics | None:
        """None where nothing needs them."""
        return cls(shape.depth, theta.gamma[0]) if NORMALIZATIONS[shape.normalization].norm is BatchNorm else None

    def update(self, norms: list[Norm], n_samples: int, alive: Tensor) -> None:
        """Move towards the batch's statistics, in the networks that are `alive`, (M,)."""
        mean = torch.stack([norm.mean for norm in norms])
        variance = torch.stack([norm.variance for norm in norms]).mul_(n_samples / max(n_samples - 1, 1))
        moved = torch.lerp(self.values, torch.stack([mean, variance]), MOMENTUM)
        torch.where(alive[:, None, None], moved, self.values, out=self.values)

    def apply(self, layer: int, z: Tensor, gamma: Tensor, beta: Tensor) -> None:
        """Normalize z (M, B, N) of hidden layer `layer`, counted from 0, in place."""
        mean, variance = self.values[:, layer]
        scale = gamma * (variance + EPS).rsqrt_()
        torch.addcmul(beta - mean * scale, z, scale, out=z)
