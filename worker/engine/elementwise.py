"""Functions of every number of a tensor: in float32 on a CPU NumPy's, which some processors are quicker at."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softshrink


def may_be_numpys(t: Tensor) -> bool:
    """Whether NumPy can be asked, and may be the quicker: in float32 on a CPU."""
    return t.dtype == torch.float32 and t.device.type == "cpu"


def exp_(t: Tensor) -> Tensor:
    """In place. On some processors NumPy takes little more than half the time of PyTorch."""
    if not may_be_numpys(t):
        return t.exp_()
    np.exp(t.numpy(), out=t.numpy())
    return t


# From here on tanh rounds to 1 in float32.
_TANH_IS_1 = 9.010913


def tanh(t: Tensor, out: Tensor) -> None:
    """Into `out`, which may be t. On some processors NumPy takes a seventh of the time of PyTorch."""
    if not may_be_numpys(t):
        torch.tanh(t, out=out)
        return
    # Only where it should be 1 NumPy's is one rounding less, up to t = 10: so what is beyond, which is rare, is sent to
    # infinity first.
    low, high = torch.aminmax(t)
    if not (low.item() > -_TANH_IS_1 and high.item() < _TANH_IS_1):
        t = torch.add(t, softshrink(t, _TANH_IS_1), alpha=1e30, out=out)
    np.tanh(t.numpy(), out=out.numpy())
