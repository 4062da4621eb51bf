"""C5: units of sigmoid-like activations saturate, but they do not die."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.claims.claim import Asked, Claim, Clause, Effort, Part, Sample, Stage
from lab.claims.evidence import Evidence, Reading, each, minus, only
from lab.claims.lives import DIED, REVIVALS, REVIVED, came_back
from lab.claims.settings import EPOCHS, JUDGED, PROBE, TUNED, on_digits
from lab.claims.tuning import RATE, SCORE, TUNING_SEED, judging, tuned
from lab.spec import ExperimentSpec, TrainingSpec

ACTIVATIONS = ("sigmoid", "tanh")
HIGH = 100.0
"""Far above any learning rate at which these networks learn."""

_START, _END = Reading("dead_fraction", "first"), Reading("dead_fraction", "last")
_SATURATED = Reading("saturated_fraction", "last")


def _measuring(effort: Effort, _: Evidence) -> Mapping[str, Asked]:
    grid = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0) if effort == "full" else (0.1, 0.3, 1.0, 3.0)
    tuning = _spec(effort, replicates=TUNED[effort], seed=TUNING_SEED, sweep=((RATE, grid),))
    high = _spec(
        effort,
        replicates=JUDGED[effort],
        sweep=(("training.dtype", ("float32", "float64")), (RATE, (HIGH / 10, HIGH))),
        points=10,
    )
    return {"tuning": Asked(tuning, (SCORE,)), "high": Asked(high, (_START, _END, _SATURATED, DIED, REVIVALS))}


def _judging(effort: Effort, evidence: Evidence) -> Mapping[str, Asked]:
    return judging(_spec(effort, replicates=JUDGED[effort], points=10), tuned(evidence["tuning"]), _END, _SATURATED)


def _spec(effort: Effort, **options: Any) -> ExperimentSpec:
    network = {"depth": 2, "width": 64, "initialization": "xavier_normal"}
    return on_digits(*ACTIVATIONS, network=network, training=TrainingSpec(epochs=EPOCHS[effort]), **options)


def _of_judged(evidence: Evidence, reading: Reading) -> list[Sample]:
    return [
        Sample(
            f"{arm.activation.label} at its best rate (lr {arm.training.learning_rate:g})",
            results.values[reading][arm.position],
        )
        for _, results in only(evidence, "judging")
        for arm in results.arms()
    ]


def _live(evidence: Evidence) -> list[Sample]:
    return _of_judged(evidence, _END)


def _saturate(evidence: Evidence) -> list[Sample]:
    return _of_high(evidence, _SATURATED)


def _of_high(evidence: Evidence, reading: Reading) -> list[Sample]:
    high = evidence["high"]
    return [
        Sample(f"{label} at lr {HIGH:g}, float32", high.of(reading, label, dtype="float32", learning_rate=HIGH))
        for label in ACTIVATIONS
    ]


def _at_any_rate(evidence: Evidence) -> list[Sample]:
    high = evidence["high"]
    return [
        Sample(f"{label} at lr {rate:g}, float32", high.of(_END, label, dtype="float32", learning_rate=rate))
        for label in ACTIVATIONS
        for rate in (HIGH / 10, HIGH)
    ]


def _precision(evidence: Evidence) -> list[Sample]:
    high = evidence["high"]

    def dead(label: str, dtype: str) -> dict[int, float | None]:
        return each(lambda x: x, high.of(_END, label, dtype=dtype, learning_rate=HIGH))

    return [
        Sample(f"{label} at lr {HIGH:g}, float32 minus float64", minus(dead(label, "float32"), dead(label, "float64")))
        for label in ACTIVATIONS
    ]


def _revival(evidence: Evidence) -> list[Sample]:
    high = evidence["high"]
    found = []
    for label in ACTIVATIONS:
        died, revived = (high.of(r, label, dtype="float32", learning_rate=HIGH) for r in (DIED, REVIVALS))
        found.append(Sample(f"{label} at lr {HIGH:g}, float32", came_back(died, revived)))
    return found


CLAIM = Claim(
    name="C5",
    title="Sigmoid-like units saturate; they do not die",
    sentence="Units of sigmoid and tanh saturate, but they do not die as ReLU's do.",
    stages=(Stage("measuring", _measuring), Stage("judging", _judging)),
    parts=(
        Part(
            name="live",
            statement="Where the network learns, no unit is dead: trained at its best learning rate.",
            effect=f"Share of hidden units that are dead on {PROBE} at the end: derivative exactly 0 on every one.",
            direction="within",
            sesoi=0.01,
            explanation="The derivative of sigmoid and tanh is nowhere exactly zero, only small: some gradient "
            "always passes. That h <= 0 for every input means nothing for them.",
            would_change="Weights so large that the derivative rounds to zero.",
            figure="judging/dead_fraction",
            samples=_live,
            answer=Clause(
                "no unit of sigmoid and tanh is dead where the network learns",
                "some units of sigmoid or tanh are dead even where the network learns",
            ),
        ),
        Part(
            name="saturate",
            statement="Units of sigmoid and tanh saturate: at a learning rate far too high most entries have almost no "
            "slope.",
            effect="Share of entries whose derivative is below a twentieth of its largest, at the end, learning rate "
            f"{HIGH:g}.",
            direction="above",
            sesoi=0.1,
            explanation="Large steps make large weights, and large inputs lie on the flat parts.",
            would_change="Smaller steps.",
            figure="high/comparison",
            samples=_saturate,
            answer=Clause(
                "they saturate at a learning rate far too high",
                "they hardly saturate even at a learning rate far too high",
            ),
        ),
        Part(
            name="at_any_rate",
            statement="Units of sigmoid and tanh never die, whatever the learning rate.",
            effect=f"Share of hidden units that are dead on {PROBE} at the end, single precision, at two learning "
            "rates that are too high.",
            direction="within",
            sesoi=0.01,
            explanation="A computer's numbers end: in single precision tanh's derivative is exactly 0 from |h| = "
            "9.01 on, sigmoid's from h = 16.6 on and below -88.7. A unit beyond that for every input is as dead as a "
            "ReLU that is off.",
            would_change="Learning rates at which the weights stay moderate.",
            figure="high/dead_fraction",
            samples=_at_any_rate,
            answer=Clause(
                "they do not die at learning rates that are too high",
                "they do die at learning rates that are too high",
            ),
        ),
        Part(
            name="precision",
            statement=f"The number type has a part in it: at learning rate {HIGH:g} fewer die in double precision.",
            effect="The dead share in single minus that in double precision, in pairs of equal seeds, learning rate "
            f"{HIGH:g}.",
            direction="above",
            sesoi=0.01,
            explanation="The same networks, draws and batches; only the digits differ. Double precision holds "
            "smaller derivatives, so a unit must be driven further before it is dead. How far large steps drive it is "
            "for the measurement to say.",
            would_change="Steps so large that double precision ends as well.",
            figure="high/dead_fraction",
            samples=_precision,
        ),
        Part(
            name="revival",
            statement=f"Units of sigmoid and tanh that die at learning rate {HIGH:g} come back.",
            effect=REVIVED,
            direction="above",
            sesoi=0.1,
            explanation="A dead unit's own weights get no gradient. It can come back only where the layers below "
            "move its inputs.",
            would_change="Layers below that go on learning.",
            figure="high/dead_fraction",
            samples=_revival,
            answer=Clause(
                "units that died so come back",
                "few units that died so come back",
                said=False,
            ),
        ),
    ),
)
