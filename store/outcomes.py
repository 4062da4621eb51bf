"""How a run ended, as the columns of `runs`: per-layer numbers in `layers`, and what they add up to."""

from __future__ import annotations

import math
from typing import Any

from lab.records import RunResult


def outcome(result: RunResult) -> dict[str, Any]:
    """The dead fractions are means over layers, the units sums. What is not finite becomes None."""
    return {
        "diverged_at": result.diverged_at,
        "train_loss": finite(result.train_loss),
        "probe_loss": finite(result.probe_loss),
        "test_loss": finite(result.test_loss),
        "test_accuracy": finite(result.test_accuracy),
        "loss_auc": finite(result.loss_auc),
        "dead_fraction_start": _mean(result.dead_fraction_start),
        "dead_fraction_end": _mean(result.dead_fraction_end),
        "units_died": sum(result.units_died),
        "units_revived": sum(result.units_revived),
        "layers": [
            {
                "layer": layer,
                "dead_fraction_start": finite(start),
                "dead_fraction_end": finite(end),
                "units_died": int(died),
                "units_revived": int(revived),
            }
            for layer, (start, end, died, revived) in enumerate(_by_layer(result), start=1)
        ],
    }


def finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _mean(values: tuple[float, ...]) -> float | None:
    return finite(math.fsum(values) / len(values)) if values else None


def _by_layer(result: RunResult) -> list[tuple[float, float, int, int]]:
    columns = (result.dead_fraction_start, result.dead_fraction_end, result.units_died, result.units_revived)
    return list(zip(*columns, strict=True))
