"""Gradient clipping: each network's gradient, taken as one vector, is shortened to the norm that its run allows."""

from __future__ import annotations

import torch
from torch import Tensor

from worker.engine.parameters import Parameters


def clip(gradients: Parameters, most: Tensor) -> None:
    """Multiplies by min(1, most / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ does; most: (M,), in float64.

    A network whose norm is NaN has all its gradient NaN after this.
    """
    factors = (most / (_norms(gradients) + 1e-6)).clamp_(max=1.0).to(gradients.flat.dtype)[:, None, None]
    for g in gradients.blocks:
        g.mul_(factors)


def _norms(gradients: Parameters) -> Tensor:
    """(M,) float64, of each network's whole gradient."""
    norms = _norms_in(gradients.flat.dtype, gradients)
    # What most needs clipping has squares beyond float32. In float64 a norm takes many times as long.
    beyond = norms.isinf()
    return torch.where(beyond, _norms_in(torch.float64, gradients), norms) if beyond.any() else norms


def _norms_in(dtype: torch.dtype, gradients: Parameters) -> Tensor:
    of_layers = [torch.linalg.vector_norm(g, dim=(2, 3), dtype=dtype) for g in gradients.blocks]
    norms: Tensor = torch.linalg.vector_norm(torch.cat(of_layers), dim=0, dtype=torch.float64)
    return norms
