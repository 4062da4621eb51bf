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
from worker.engine.network import Pass
from worker.engine.parameters import Layers, Parameters

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
    """Some neighbouring networks of the stack, their parameters, and where their gradients go."""

    n_networks: int
    activations: Activations
    suprema: Tensor
    theta: Layers
    gradients: Layers


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
        self._parts = list(_parts(x, activations, parameters, gradients))
        # Parts take turns with the buffers; there are at most two sizes of part.
        self._buffers = {
            n: Pass(replace(parameters.shape, n_networks=n), len(x), dtype=x.dtype, device=x.device, measured=True)
            for n in {part.n_networks for part in self._parts}
        }

    def read(self, update_norms: Tensor, *, with_rank: bool) -> Reading:
        """update_norms: (M, L), the norm of the last update of each W, NaN where there was none."""
        parts = [self._read_part(part, with_rank) for part in self._parts]
        by_layer = {name: torch.cat([part.measurements[name] for part in parts]) for name in parts[0].measurements}
        theta, gradients = self._theta, self._gradients
        of_weights = measurements.weights(theta.w[:-1], gradients.w[:-1], gradients.b[:-1], len(self._x), update_norms)
        return Reading(
            by_layer | of_weights,
            torch.cat([part.loss for part in parts]),
            torch.cat([part.dead for part in parts]),
        )

    def _read_part(self, part: _Part, with_rank: bool) -> Reading:
        buffers = self._buffers[part.n_networks]
        outputs = buffers.forward(part.theta, part.activations, _for_each(self._x, part.n_networks))
        losses, d_outputs = self._loss(outputs, _for_each(self._y, part.n_networks))
        values = measurements.preactivations(buffers.h) | measurements.activations(buffers.x)
        undefined = torch.full_like(values["activation_mean"], torch.nan)
        values |= measurements.effective_rank(buffers.x) if with_rank else {"effective_rank": undefined}
        # The gradient of each sample's own loss: gradients of parameters come out summed over the probe.
        buffers.backward(part.theta, d_outputs, part.gradients)
        of_slopes, dead = measurements.slopes(buffers.slope, part.suprema)
        values |= of_slopes | measurements.deltas(buffers.delta)
        return Reading(values, losses.mean(1, dtype=torch.float64), dead)


def _parts(x: Tensor, activations: Activations, parameters: Parameters, gradients: Parameters) -> Iterator[_Part]:
    shape = parameters.shape
    n_parts = min(math.ceil(shape.n_networks * len(x) * shape.width / _NUMBERS), shape.n_networks)
    for i in range(n_parts):
        networks = slice(i * shape.n_networks // n_parts, (i + 1) * shape.n_networks // n_parts)
        own = activations.of(networks)
        yield _Part(
            networks.stop - networks.start,
            own,
            torch.tensor(own.suprema, dtype=torch.float64, device=x.device),
            parameters.layers.of(networks),
            gradients.layers.of(networks),
        )


def _for_each(t: Tensor, n_networks: int) -> Tensor:
    """The same tensor for each network, (M, ...), without a copy."""
    return t.expand(n_networks, *t.shape)
