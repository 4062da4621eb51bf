"""The activations of a stack's networks, each by its kernel pair.

A measured derivative is the backward kernel's answer to a gradient of one, so a unit counts as dead exactly where
training in this dtype passes no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from lab.catalog.activations import ACTIVATIONS
from lab.spec import ActivationSpec
from worker.engine.kernels import Kernel, kernel_of

Parts = list[tuple[Kernel, tuple[Tensor, ...]]]
"""Kernels, each with the tensors it works on."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Neighbours in a stack with the same activation."""

    networks: slice
    kernel: Kernel


class Activations:
    """The activations of M networks, in their order. Tensors are (M, B, N)."""

    def __init__(self, specs: Sequence[ActivationSpec]) -> None:
        self._specs = tuple(specs)
        self._groups = tuple(_groups(self._specs))

    def of(self, networks: slice) -> Activations:
        return Activations(self._specs[networks])

    @property
    def suprema(self) -> tuple[float, ...]:
        """sup|phi'| of each network's activation."""
        return tuple(ACTIVATIONS[spec.name].supremum(**dict(spec.parameters)) for spec in self._specs)

    @property
    def need_h(self) -> bool:
        """Whether some backward pass reads h, and not x = phi(h) alone."""
        return any(group.kernel.needs_h for group in self._groups)

    def phi(self, h: Tensor, *, out: Tensor) -> Tensor:
        for kernel, (h_part, out_part) in self.each(h, out):
            kernel.phi(h_part, out_part)
        return out

    def pull(self, g: Tensor, h: Tensor, x: Tensor, *, out: Tensor) -> Tensor:
        """The product g * phi'(h), given x = phi(h)."""
        for kernel, parts in self.each(g, h, x, out):
            kernel.pull(*parts)
        return out

    def each(self, *tensors: Tensor) -> Parts:
        """Every kernel, and its networks' part of each of the tensors."""
        return [(group.kernel, tuple(tensor[group.networks] for tensor in tensors)) for group in self._groups]

    def derivative(self, h: Tensor, x: Tensor) -> Tensor:
        """phi'(h) as training in this dtype has it, given x = phi(h)."""
        ones = torch.ones_like(h)
        return self.pull(ones, h, x, out=ones)


def _groups(specs: tuple[ActivationSpec, ...]) -> list[_Group]:
    groups: list[_Group] = []
    start = 0
    for spec, members in groupby(specs):
        stop = start + sum(1 for _ in members)
        groups.append(_Group(slice(start, stop), kernel_of(spec)))
        start = stop
    return groups
