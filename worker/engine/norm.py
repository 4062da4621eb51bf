"""Batch normalization of one layer of M networks: the batch's statistics in training, running ones for the test set."""

from __future__ import annotations

import torch
from torch import Tensor

EPS = 1e-5
MOMENTUM = 0.1


class BatchNorm:
    """One layer's forward and backward pass on B samples; the backward pass needs what the forward pass keeps here."""

    def __init__(self, z: Tensor) -> None:
        """z: any (M, B, N) tensor of the form that will be normalized."""
        self._z_hat = torch.empty_like(z)
        self.mean = torch.empty_like(z[:, :1])
        self.variance = torch.empty_like(self.mean)
        self._inverse_std = torch.empty_like(self.mean)

    def forward(self, z: Tensor, gamma: Tensor, beta: Tensor) -> None:
        """Turn z into h = gamma * z_hat + beta, in place. z: (M, B, N); gamma, beta: (M, 1, N)."""
        torch.mean(z, 1, keepdim=True, out=self.mean)
        torch.sub(z, self.mean, out=self._z_hat)
        torch.mean(torch.mul(self._z_hat, self._z_hat, out=z), 1, keepdim=True, out=self.variance)
        torch.add(self.variance, EPS, out=self._inverse_std).rsqrt_()
        self._z_hat.mul_(self._inverse_std)
        torch.addcmul(beta, self._z_hat, gamma, out=z)

    def backward(self, d_h: Tensor, gamma: Tensor, d_gamma: Tensor, d_beta: Tensor) -> None:
        """Turn dL/dh into delta = dL/dz, in place, and write dL/dgamma and dL/dbeta. d_h: (M, B, N)."""
        n_samples = d_h.shape[1]
        torch.sum(d_h, 1, keepdim=True, out=d_beta)
        torch.sum(d_h * self._z_hat, 1, keepdim=True, out=d_gamma)
        d_h.addcmul_(self._z_hat, d_gamma, value=-1 / n_samples).sub_(d_beta / n_samples)
        d_h.mul_(gamma * self._inverse_std)


class RunningStatistics:
    """What the test set is normalized by. `values` is (2, L, M, 1, N): means, and unbiased variances."""

    def __init__(self, depth: int, like: Tensor) -> None:
        """like: (M, 1, N)."""
        self.values = (
            torch.stack([torch.zeros_like(like), torch.ones_like(like)]).unsqueeze(1).repeat(1, depth, 1, 1, 1)
        )

    def update(self, norms: list[BatchNorm], n_samples: int, alive: Tensor) -> None:
        """Move towards the batch's statistics, in the networks that are `alive`, (M,)."""
        mean = torch.stack([norm.mean for norm in norms])
        variance = torch.stack([norm.variance for norm in norms]).mul_(n_samples / max(n_samples - 1, 1))
        moved = torch.lerp(self.values, torch.stack([mean, variance]), MOMENTUM)
        torch.where(alive[:, None, None], moved, self.values, out=self.values)

    def apply(self, layer: int, z: Tensor, gamma: Tensor, beta: Tensor) -> None:
        """Turn z (M, B, N) of hidden layer `layer`, counted from 0, into h, in place."""
        mean, variance = self.values[:, layer]
        scale = gamma * (variance + EPS).rsqrt_()
        torch.addcmul(beta - mean * scale, z, scale, out=z)
