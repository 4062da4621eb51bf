"""Evidence made by hand: an experiment's results as a function of arm and replicate."""

from __future__ import annotations

from collections.abc import Callable

from lab.claims.claim import Asked, Claim, Effort
from lab.claims.evidence import Evidence, Reading, Results
from lab.plan import Arm, arms_of

PREDICTED = 0.3
"""Whatever theory predicts."""
Measured = Callable[[Reading, Arm, int], float | None]


def results(asked: Asked, measured: Measured) -> Results:
    return Results(
        asked.spec,
        {
            reading: {
                arm.position: {
                    replicate: measured(reading, arm, replicate) for replicate in range(asked.spec.replicates)
                }
                for arm in Results(asked.spec, {}).arms()
            }
            for reading in asked.readings
        },
        {
            (arm.position, layer, quantity): PREDICTED
            for arm in arms_of(asked.spec)
            for layer in range(1, arm.network.depth + 1)
            for quantity in asked.predicted
        },
    )


def evidence_of(claim: Claim, effort: Effort, measured: Measured) -> Evidence:
    """Every stage of the claim, with what `measured` says of each reading, arm and replicate."""
    evidence: dict[str, Results] = {}
    for stage in claim.stages:
        evidence |= {key: results(asked, measured) for key, asked in stage.experiments(effort, evidence).items()}
    return evidence
