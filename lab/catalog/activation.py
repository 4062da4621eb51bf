"""What an activation is, and the affine wrapper that every one of them takes: scale_out * phi(scale_in * h) + shift."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lab.catalog.parameters import Number

Array = NDArray[np.float64]


def no_kinks(**_: float) -> tuple[float, ...]:
    """Of an activation whose derivative jumps nowhere."""
    return ()


@dataclass(frozen=True, slots=True)
class Activation:
    """One activation: `phi` and its derivative take (h, **parameters) and keep the shape of h.

    `supremum` of |derivative| is infinite where the derivative is unbounded. `kinks` are the points where the
    derivative jumps, in rising order; there the derivative takes the value PyTorch gives it. A derivative that only
    bends, as softsign's does at 0, has no kink. Both take (**parameters).
    """

    name: str
    formula: str
    description: str
    phi: Callable[..., Array]
    derivative: Callable[..., Array]
    supremum: Callable[..., float]
    kinks: Callable[..., tuple[float, ...]] = no_kinks
    parameters: tuple[Number, ...] = ()

    @property
    def defaults(self) -> dict[str, float]:
        return {parameter.name: parameter.default for parameter in self.parameters}


AFFINE = (
    Number("scale_in", 1.0, -1e3, 1e3, "Multiplies h before the activation."),
    Number("scale_out", 1.0, -1e3, 1e3, "Multiplies the activation's value."),
    Number("shift", 0.0, -1e3, 1e3, "Added to the value after scale_out."),
)


def with_affine(bare: Activation) -> Activation:
    """`bare` with three more parameters: scale_out * phi(scale_in * h) + shift.

    A scale of 0 is allowed: a constant, whose every unit is dead.
    """

    def phi(h: Array, **parameters: float) -> Array:
        scale_in, scale_out, shift, own = _parted(parameters)
        return scale_out * bare.phi(scale_in * h, **own) + shift

    def derivative(h: Array, **parameters: float) -> Array:
        scale_in, scale_out, _, own = _parted(parameters)
        return scale_out * scale_in * bare.derivative(scale_in * h, **own)

    def supremum(**parameters: float) -> float:
        scale_in, scale_out, _, own = _parted(parameters)
        scale = abs(scale_out * scale_in)
        # Zero times an infinite supremum is not a number; the constant's supremum is 0.
        return scale * bare.supremum(**own) if scale else 0.0

    def kinks(**parameters: float) -> tuple[float, ...]:
        scale_in, scale_out, _, own = _parted(parameters)
        if not scale_out * scale_in:
            return ()
        # Adding zero makes -0.0 a plain 0.0; a tiny scale_in can put a kink beyond all numbers.
        points = sorted(kink / scale_in + 0.0 for kink in bare.kinks(**own))
        return tuple(point for point in points if math.isfinite(point))

    return replace(
        bare, phi=phi, derivative=derivative, supremum=supremum, kinks=kinks, parameters=(*bare.parameters, *AFFINE)
    )


def _parted(parameters: dict[str, float]) -> tuple[float, float, float, dict[str, float]]:
    """The wrapper's scale_in, scale_out and shift, defaults filled in; and the activation's own parameters."""
    own = dict(parameters)
    scale_in, scale_out, shift = (own.pop(parameter.name, parameter.default) for parameter in AFFINE)
    return scale_in, scale_out, shift, own
