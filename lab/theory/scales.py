"""The variances that an arm's weights and biases start with, layer by layer, in the units of mean-field theory."""

from __future__ import annotations

from dataclasses import dataclass

from lab.catalog.initializations import INITIALIZATIONS
from lab.plan import Arm


@dataclass(frozen=True, slots=True)
class Scale:
    """Entries of W have variance sigma_w2 / fan_in, entries of b sigma_b2."""

    sigma_w2: float
    sigma_b2: float = 0.0


def scales(arm: Arm) -> tuple[Scale, ...]:
    """One for each hidden layer: the first has the inputs as its fan_in, and so its own scale.

    Raises ValueError where `no_scales` has a reason.
    """
    if reason := no_scales(arm):
        raise ValueError(reason)
    network = arm.network
    initialization = INITIALIZATIONS[network.initialization]

    def scale(fan_in: int) -> Scale:
        variance = initialization.weight_variance(fan_in, network.width) * network.gain**2
        return Scale(variance * fan_in, initialization.bias_variance(fan_in))

    return (scale(arm.n_inputs), *[scale(network.width)] * (network.depth - 1))


def no_scales(arm: Arm) -> str:
    """Why the start of `arm` is not said by variances alone; empty where it is."""
    initialization = INITIALIZATIONS[arm.network.initialization]
    return "" if initialization.symmetric else f"{initialization.name} draws asymmetric weights whose mean is not 0"
