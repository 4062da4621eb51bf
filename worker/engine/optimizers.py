"""The optimizers, in PyTorch's form: w += -learning_rate * scale * direction, with a learning rate for each network.

The schedule is a part of the scale; decaying weights are a part of the direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.catalog.schedules import SCHEDULES
from lab.plan import Stack
from worker.engine.clipping import clip
from worker.engine.measurements import norms
from worker.engine.parameters import Parameters

Fade = Callable[[float], float | Tensor]
"""The factor by which a moment fades; in a frozen network it is 1 instead."""


def _momentum(g: Tensor, moment: Tensor, fade: Fade) -> float:
    moment.mul_(fade(0.9)).add_(g)
    return 1.0


def _adam(g: Tensor, moments: Sequence[Tensor], fade: Fade, n_updates: int) -> float:
    """Leaves the direction in g. The bias corrections are drawn out of the quotient into the scale."""
    first, second = moments
    first.mul_(fade(0.9)).add_(g, alpha=1 - 0.9)
    second.mul_(fade(0.999)).addcmul_(g, g, value=1 - 0.999)
    correction = math.sqrt(1 - 0.999**n_updates)
    torch.div(first, torch.sqrt(second, out=g).add_(1e-8 * correction), out=g)
    return correction / (1 - 0.9**n_updates)


def _rmsprop(g: Tensor, moment: Tensor, fade: Fade) -> float:
    """Leaves the direction in g."""
    moment.mul_(fade(0.99)).addcmul_(g, g, value=1 - 0.99)
    g.div_(moment.sqrt().add_(1e-8))
    return 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """`advance(g, moments, fade, n_updates)` updates the moments and returns the scale.

    The direction is then in the first moment where `direction_is_moment`, else in g. Weights decay as part of the
    gradient, or, where that is `decoupled`, as part of the direction.
    """

    n_moments: int
    advance: Callable[[Tensor, Sequence[Tensor], Fade, int], float]
    direction_is_moment: bool = False
    decoupled: bool = False


RULES: dict[str, Rule] = {
    "adam": Rule(2, _adam),
    "adamw": Rule(2, _adam, decoupled=True),
    "momentum": Rule(1, lambda g, moments, fade, n_updates: _momentum(g, moments[0], fade), direction_is_moment=True),
    "rmsprop": Rule(1, lambda g, moments, fade, n_updates: _rmsprop(g, moments[0], fade)),
    "sgd": Rule(0, lambda g, moments, fade, n_updates: 1.0),
}


class Optimizer:
    """Updates `parameters` from `gradients`, which it may overwrite, and keeps the moments."""

    def __init__(self, stack: Stack, parameters: Parameters, gradients: Parameters) -> None:
        shared, each = stack.shape.training, [run.arm.training for run in stack.runs]
        flat = parameters.flat
        self._rule = RULES[shared.optimizer]
        self._parameters, self._gradients = parameters, gradients
        self._schedule, self._n_steps = SCHEDULES[shared.schedule], stack.shape.steps
        self._rates = -flat.new_tensor([training.learning_rate for training in each])[:, None, None]
        self._decays = flat.new_tensor([training.weight_decay for training in each])[:, None, None]
        self._coupled = shared.weight_decay > 0 and not self._rule.decoupled
        self._decoupled = shared.weight_decay > 0 and self._rule.decoupled
        clip_norms = [training.clip_norm for training in each if training.clip_norm is not None]
        self._clip_norms = flat.new_tensor(clip_norms, dtype=torch.float64) if clip_norms else None
        self._scale = 0.0
        self.moments = tuple(parameters.alike() for _ in range(self._rule.n_moments))

    def step(self, n_updates: int) -> None:
        """One update of every network; `n_updates` counts it, from 1."""
        self._step(n_updates, self._rates, lambda factor: factor)

    def step_alive(self, n_updates: int, alive: Tensor) -> None:
        """One update that leaves the parameters and moments of networks that are not `alive`, (M,), as they are.

        Gradients of a frozen network may be NaN, and its weights infinite; 0 * NaN is NaN: what is made of them is set
        to 0 before it is used.
        """
        alive = alive[:, None, None]
        ones = torch.ones_like(self._rates)
        self._step(
            n_updates, self._rates * alive, lambda factor: torch.where(alive, ones * factor, ones), frozen=~alive
        )

    def update_norms(self) -> Tensor:
        """(M, L): the norm of the last update of each hidden layer's W. Valid until the gradients are overwritten."""
        direction = self.moments[0] if self._rule.direction_is_moment else self._gradients
        return norms(direction.layers.w[:-1]) * self._scale * self._rates.abs().squeeze(2)

    def _step(self, n_updates: int, rates: Tensor, fade: Fade, frozen: Tensor | None = None) -> None:
        if self._clip_norms is not None:
            clip(self._gradients, self._clip_norms)
        factor = self._schedule.factor(n_updates - 1, self._n_steps)
        for i, (w, g) in enumerate(zip(self._parameters.blocks, self._gradients.blocks, strict=True)):
            moments = [moment.blocks[i] for moment in self.moments]
            if self._coupled:
                g.addcmul_(w, self._decays)
            if frozen is not None:
                g.masked_fill_(frozen, 0.0)
            scale = self._rule.advance(g, moments, fade, n_updates)
            if self._decoupled:
                g.addcmul_(w, self._decays, value=1 / scale)
            if self._decoupled and frozen is not None:
                g.masked_fill_(frozen, 0.0)
            self._scale = factor * scale
            w.addcmul_(moments[0] if self._rule.direction_is_moment else g, rates, value=self._scale)
