"""How gradients change a layer where a norm gives layer 1, whose inputs are no activations, a factor of its own."""

from __future__ import annotations

from lab.claims.evidence import Reading, Results, each, log_ratio

DEPTH = 10
NEAR, FAR = Reading("delta_norm", "first", layer=2), Reading("delta_norm", "first", layer=DEPTH)


def log_factor(results: Results, activation: str) -> dict[int, float | None]:
    """By which the squared per-sample gradient norm changes from a layer to the one below it, before training: the mean
    over layers 2 to `DEPTH`, the network's last.
    """
    near, far = (results.of(reading, activation) for reading in (NEAR, FAR))
    return each(lambda x: 2 * x / (DEPTH - 2), log_ratio(near, far))
