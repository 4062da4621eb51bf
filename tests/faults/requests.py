"""What a disturbed lab is asked: tiny networks that take many steps, so that a kill strikes amid training."""

from __future__ import annotations

from typing import Any

LONG = 8_000
"""Steps that take seconds also on a quick machine: long enough to be struck amid training, and for what a kill costs
to be a small part.
"""


def a_request(*, steps: int = 300, stacks: int = 1) -> dict[str, Any]:
    """Each depth makes a stack of two runs; a thousand steps take up to a second."""
    return {
        "activations": ["relu", "tanh"],
        "network": {"depth": 1, "width": 8},
        "training": {"steps": steps, "batch_size": 8},
        "sweep": {"network.depth": list(range(1, stacks + 1))} if stacks > 1 else {},
        "replicates": 1,
        "recording": {"points": 6, "spacing": "even", "probe_size": 32},
    }
