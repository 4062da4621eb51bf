"""Which units died, and which came back: what claims about death have in common."""

from __future__ import annotations

from lab.claims.evidence import Reading, Results, each
from lab.claims.settings import PROBE
from lab.plan import Arm
from lab.statistics import Values

DIED, REVIVALS = Reading("units_died"), Reading("units_revived")

DEATHS = f"Share of hidden units that died: dead on {PROBE} at the end and not at step 0."
REVIVED = (
    "Units that were dead at one recorded step and alive at a later one, over these and those that died (dead at the "
    "end and not at step 0). A unit that came back and died again counts among both."
)


def died(results: Results, arm: Arm) -> dict[int, float | None]:
    """The share of an arm's hidden units that died, replicate by replicate."""
    n_units = arm.network.depth * arm.network.width
    return each(lambda n: n / n_units, results.values[DIED].get(arm.position, {}))


def came_back(died: Values, revived: Values) -> dict[int, float | None]:
    """The share of units that came back; None where no unit was dead."""
    return each(lambda d, r: r / (d + r), died, revived)
