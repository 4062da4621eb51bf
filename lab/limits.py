"""How much one request may ask for. Settings override the defaults; `GET /v1/limits` shows what is in force."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds, all inclusive: `cost` in floating-point operations, `rows` of measurements, `memory` in bytes for
    one network while it trains (see `lab.cost`).
    """

    depth: int = 64
    width: int = 4096
    replicates: int = 1000
    steps: int = 1_000_000
    epochs: int = 100_000
    batch_size: int = 65_536
    learning_rate: float = 1e6
    weight_decay: float = 1e6
    clip_norm: float = 1e6
    points: int = 1000
    probe_size: int = 10_000
    arms: int = 500
    runs: int = 20_000
    cost: int = 10**16
    rows: int = 20_000_000
    memory: int = 4 * 2**30
