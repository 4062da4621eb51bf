"""The parameters of M networks in one flat tensor, seen layer by layer. Gradients and moments take the same form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.plan import Stack

# Every block starts on a cache line: 16 numbers are 64 bytes in float32.
_ALIGNMENT = 16


@dataclass(frozen=True, slots=True)
class Shape:
    """What the networks of a stack have in common. `depth` counts hidden layers; the readout comes on top."""

    n_networks: int
    n_inputs: int
    width: int
    depth: int
    n_outputs: int
    normalization: str
    residual: bool

    @classmethod
    def of(cls, stack: Stack) -> Shape:
        arm = stack.shape
        return cls(
            n_networks=len(stack.runs),
            n_inputs=arm.n_inputs,
            width=arm.network.width,
            depth=arm.network.depth,
            n_outputs=arm.n_outputs,
            normalization=arm.network.normalization,
            residual=arm.network.residual,
        )


@dataclass(frozen=True, slots=True)
class Layers:
    """Views, layer 1 first: w (M, N_out, N_in), b (M, 1, N_out), the readout last; gamma, beta (M, 1, N), or none."""

    w: tuple[Tensor, ...]
    b: tuple[Tensor, ...]
    gamma: tuple[Tensor, ...]
    beta: tuple[Tensor, ...]

    def of(self, networks: slice) -> Layers:
        return Layers(
            tuple(w[networks] for w in self.w),
            tuple(b[networks] for b in self.b),
            tuple(gamma[networks] for gamma in self.gamma),
            tuple(beta[networks] for beta in self.beta),
        )


class Parameters:
    """`flat` holds everything, zero at first; `blocks` are its views (K, M, ., .), K layers of one shape each.

    A layer's tensor is contiguous, because that is what batched matrix products write fastest; so within a block the
    layers lead, and the networks follow.
    """

    def __init__(self, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> None:
        sizes = _block_sizes(shape)
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + -(-math.prod(size) // _ALIGNMENT) * _ALIGNMENT)
        self.shape = shape
        self.flat = torch.zeros(starts[-1], dtype=dtype, device=device)
        self.blocks = tuple(
            self.flat[start : start + math.prod(size)].view(size) for start, size in zip(starts, sizes, strict=False)
        )
        first, hidden, readout, b, b_readout, *norm = self.blocks
        gamma, beta = norm or ((), ())
        self.layers = Layers((*first, *hidden, *readout), (*b, *b_readout), (*gamma,), (*beta,))

    def alike(self) -> Parameters:
        """Zeros of the same form."""
        return Parameters(self.shape, dtype=self.flat.dtype, device=self.flat.device)


def _block_sizes(shape: Shape) -> list[tuple[int, int, int, int]]:
    m, width, depth = shape.n_networks, shape.width, shape.depth
    sizes = [
        (1, m, width, shape.n_inputs),
        (depth - 1, m, width, width),
        (1, m, shape.n_outputs, width),
        (depth, m, 1, width),
        (1, m, 1, shape.n_outputs),
    ]
    return sizes + 2 * [(depth, m, 1, width)] if shape.normalization != "none" else sizes
