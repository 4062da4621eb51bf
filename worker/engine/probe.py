"""The probe: a stack on a fixed sample of training inputs, forward and backward, and every layer's measurements.

A few networks at a time, so that the buffers stay small however large the stack.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from worker.engine import measurements
from worker.engine.activations import Activations
from worker.engine.losses import Loss
from worker.engine.network import Buffers, Pass
from worker.engine.parameters import Parameters, Shape
from worker.engine.sums import LayerSums, PartSums

# Numbers of one layer's activations that are worked on at once.
_NUMBERS = 2**18


@dataclass(frozen=True, slots=True)
class Reading:
    """What the probe shows: measurements, each (M, L), the mean loss (M,), and which units are dead (M, L, N)."""

    measurements: measurements.Values
    loss: Tensor
    dead: Tensor

    def is_finite(self) -> Tensor:
        """(M,): whether a network can be read at all. Before its loss is NaN, its weights may already be."""
        sums = self.measurements["preactivation_std"].sum(1) + self.measurements["weight_norm"].sum(1)
        return (sums + self.loss).isfinite()


@dataclass(frozen=True, slots=True)
class _Part:
    """Some neighbours in the stack: the pass through them, and what is summed of them."""

    networks: slice
    both_ways: Pass
    sums: PartSums


class Probe:
    """Reads a stack's state. Changes nothing but the gradients, which training writes anew."""

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        activations: Activations,
        loss: Loss,
        parameters: Parameters,
        gradients: Parameters,
    ) -> None:
        """x: (B, D); y: (B,) or (B, C)."""
        self._x, self._y, self._loss = x, y, loss
        self._theta, self._gradients = parameters.layers, gradients.layers
        suprema = torch.tensor(activations.suprema, dtype=torch.float64, device=x.device)
        self._sums = LayerSums(parameters.shape, len(x), suprema, dtype=x.dtype)
        self._parts = list(self._cut(parameters.shape, activations))

    def read(self, update_norms: Tensor, *, with_rank: bool) -> Reading:
        """update_norms: (M, L), the norm of the last update of each W, NaN where there was none."""
        read = [self._read_part(part, with_rank) for part in self._parts]
        self._read_exactly_what_is_outside()
        theta, gradients = self._theta, self._gradients
        return Reading(
            measurements.of_layers(self._sums)
            | {"effective_rank": torch.cat([rank for rank, _ in read])}
            | measurements.weights(theta.w[:-1], gradients.w[:-1], gradients.b[:-1], len(self._x), update_norms),
            torch.cat([loss for _, loss in read]),
            measurements.dead_units(self._sums),
        )

    def _read_part(self, part: _Part, with_rank: bool) -> tuple[Tensor, Tensor]:
        """Effective ranks (M, L), NaN unless asked for, and the mean loss (M,). All else is in the sums."""
        loss, x = self._go(part), part.both_ways.buffers.x
        undefined = loss.new_full((len(loss), len(x)), torch.nan)
        return measurements.effective_rank(x) if with_rank else undefined, loss

    def _read_exactly_what_is_outside(self) -> None:
        outside = self._sums.outside().tolist()
        for part in self._parts:
            # What needed it once will need it again, and then need not be read twice: the plain sums are the same bits.
            was_exact, part.sums.exactly = part.sums.exactly, any(outside[part.networks])
            if part.sums.exactly and not was_exact:
                self._go(part)

    def _go(self, part: _Part) -> Tensor:
        """Forward and backward; the mean loss (M,)."""
        n = part.networks.stop - part.networks.start
        losses, _ = self._loss(part.both_ways.forward(part.sums), _for_each(self._y, n))
        # From the gradient of each sample's own loss: gradients of parameters come out summed over the probe.
        part.both_ways.backward(part.sums)
        return losses.mean(1, dtype=torch.float64)

    def _cut(self, shape: Shape, activations: Activations) -> Iterator[_Part]:
        x = self._x
        n_parts = min(math.ceil(shape.n_networks * len(x) * shape.width / _NUMBERS), shape.n_networks)
        # Parts take turns with the buffers; there are at most two sizes of part.
        buffers: dict[int, Buffers] = {}
        scratch = x.new_empty(math.ceil(shape.n_networks / n_parts), len(x), shape.width)
        for i in range(n_parts):
            networks = slice(i * shape.n_networks // n_parts, (i + 1) * shape.n_networks // n_parts)
            n = networks.stop - networks.start
            if n not in buffers:
                own = replace(shape, n_networks=n)
                buffers[n] = Buffers(
                    own, len(x), dtype=x.dtype, device=x.device, measured=True, keeps_h=activations.need_h
                )
            theta, gradients = self._theta.of(networks), self._gradients.of(networks)
            both_ways = Pass(buffers[n], _for_each(x, n), theta, gradients, activations.of(networks))
            yield _Part(networks, both_ways, PartSums(self._sums, networks, scratch[:n]))


def _for_each(t: Tensor, n_networks: int) -> Tensor:
    """The same tensor for each network, (M, ...), without a copy."""
    return t.expand(n_networks, *t.shape)
