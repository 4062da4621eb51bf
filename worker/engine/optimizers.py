"""The optimizers, in PyTorch's form: w += -learning_rate * scale * direction, with a learning rate for each network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.engine.parameters import Parameters

Decay = Callable[[float], float | Tensor]
"""The factor by which a moment decays; in a frozen network it is 1 instead."""


def _momentum(g: Tensor, moment: Tensor, decay: Decay) -> float:
    moment.mul_(decay(0.9)).add_(g)
    return 1.0


def _adam(g: Tensor, moments: Sequence[Tensor], decay: Decay, n_updates: int) -> float:
    """Leaves the direction in g. The bias corrections are drawn out of the quotient into the scale."""
    first, second = moments
    first.mul_(decay(0.9)).add_(g, alpha=1 - 0.9)
    second.mul_(decay(0.999)).addcmul_(g, g, value=1 - 0.999)
    correction = math.sqrt(1 - 0.999**n_updates)
    torch.div(first, torch.sqrt(second, out=g).add_(1e-8 * correction), out=g)
    return correction / (1 - 0.9**n_updates)


@dataclass(frozen=True, slots=True)
class Rule:
    """`advance(g, moments, decay, n_updates)` updates the moments and returns the scale.

    The direction is then in the first moment where `direction_is_moment`, else in g.
    """

    n_moments: int
    advance: Callable[[Tensor, Sequence[Tensor], Decay, int], float]
    direction_is_moment: bool = False


RULES: dict[str, Rule] = {
    "adam": Rule(2, _adam),
    "momentum": Rule(1, lambda g, moments, decay, n_updates: _momentum(g, moments[0], decay), direction_is_moment=True),
    "sgd": Rule(0, lambda g, moments, decay, n_updates: 1.0),
}


class Optimizer:
    """Updates `parameters` from `gradients`, which it may overwrite, and keeps the moments."""

    def __init__(self, name: str, parameters: Parameters, gradients: Parameters, learning_rates: Tensor) -> None:
        """learning_rates: (M,)."""
        self._rule = RULES[name]
        self._parameters, self._gradients = parameters, gradients
        self._rates = -learning_rates[:, None, None]
        self._scale = 0.0
        self.moments = tuple(parameters.alike() for _ in range(self._rule.n_moments))

    def step(self, n_updates: int) -> None:
        """One update of every network; `n_updates` counts it, from 1."""
        self._step(n_updates, self._rates, lambda factor: factor)

    def step_alive(self, n_updates: int, alive: Tensor) -> None:
        """One update that leaves the parameters and moments of networks that are not `alive`, (M,), as they are.

        Gradients of a frozen network may be NaN, and 0 * NaN is NaN: they are set to 0 first.
        """
        alive = alive[:, None, None]
        for g in self._gradients.blocks:
            g.masked_fill_(~alive, 0.0)
        ones = torch.ones_like(self._rates)
        self._step(n_updates, self._rates * alive, lambda factor: torch.where(alive, ones * factor, ones))

    def update_norms(self) -> Tensor:
        """(M, L): the norm of the last update of each hidden layer's W. Valid until the gradients are overwritten."""
        direction = self.moments[0] if self._rule.direction_is_moment else self._gradients
        norms = [torch.linalg.vector_norm(w, dim=(1, 2), dtype=torch.float64) for w in direction.layers.w[:-1]]
        return torch.stack(norms, 1) * self._scale * self._rates.abs().squeeze(2)

    def _step(self, n_updates: int, rates: Tensor, decay: Decay) -> None:
        for i, (w, g) in enumerate(zip(self._parameters.blocks, self._gradients.blocks, strict=True)):
            moments = [moment.blocks[i] for moment in self.moments]
            self._scale = self._rule.advance(g, moments, decay, n_updates)
            w.addcmul_(moments[0] if self._rule.direction_is_moment else g, rates, value=self._scale)
