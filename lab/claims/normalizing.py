"""C9: batch norm removes ReLU's drawbacks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lab.claims.claim import Asked, Claim, Effort, Part, Sample, Stage
from lab.claims.evidence import Evidence, Reading, each, log_ratio, minus, somewhere
from lab.claims.settings import EPOCHS, JUDGED, PROBE, START, TUNED, on_digits
from lab.claims.tuning import RATE, SCORE, TUNING_SEED, judging, tuned
from lab.spec import ExperimentSpec, TrainingSpec
from lab.statistics import Values

PLACES = ("batch", "batch_after")
"""Batch norm before the activation, and after it."""
TRAINED = ("relu", "sigmoid", "tanh")
RATES = (0.1, 0.3, 1.0)
"""A decade in which ReLU networks without batch norm go from their best learning rate to dead units."""

_DEAD_START, _DEAD = Reading("dead_fraction", "first"), Reading("dead_fraction", "last")
_MEAN, _STD = Reading("activation_mean", "first", layer=2), Reading("activation_std", "first", layer=2)
_RATIO = Reading("gradient_ratio", "first")
_NORMALIZATION = "network.normalization"


def _measuring(effort: Effort, _: Evidence) -> Mapping[str, Asked]:
    wide = {"depth": 10, "width": 256 if effort == "full" else 128, "initialization": "he_normal"}
    started = on_digits(*TRAINED, network=wide | {"normalization": "batch"}, training=START, replicates=JUDGED[effort])
    rates = on_digits(
        "relu",
        network={"depth": 3, "width": 64},
        training=TrainingSpec(epochs=EPOCHS[effort]),
        replicates=JUDGED[effort],
        points=10,
        sweep=((_NORMALIZATION, ("none", *PLACES)), (RATE, RATES)),
    )
    grid = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0) if effort == "full" else (0.03, 0.3)
    sweep = ((_NORMALIZATION, ("none", *PLACES)), (RATE, grid))
    tuning = _deep(effort, replicates=TUNED[effort], seed=TUNING_SEED, sweep=sweep)
    return {
        "start": Asked(started, (_MEAN, _STD, _RATIO)),
        "rates": Asked(rates, (_DEAD_START, _DEAD)),
        "tuning": Asked(tuning, (SCORE,)),
    }


def _judging(effort: Effort, evidence: Evidence) -> Mapping[str, Asked]:
    return judging(_deep(effort, replicates=JUDGED[effort]), tuned(evidence["tuning"]))


def _deep(effort: Effort, **options: Any) -> ExperimentSpec:
    network = {"depth": 8, "width": 64, "initialization": "pytorch"}
    return on_digits(*TRAINED, network=network, training=TrainingSpec(epochs=EPOCHS[effort]), **options)


def _died(evidence: Evidence, normalization: str, rate: float) -> dict[int, float | None]:
    rates = evidence["rates"]
    end, start = (rates.of(r, "relu", normalization=normalization, learning_rate=rate) for r in (_DEAD, _DEAD_START))
    return minus(end, start)


def _death(evidence: Evidence, place: str) -> list[Sample]:
    return [Sample(f"relu, {place}, lr {rate:g}", _died(evidence, place, rate)) for rate in RATES]


def _spared(evidence: Evidence) -> list[Sample]:
    rate = RATES[-1]
    saved = minus(_died(evidence, "none", rate), _died(evidence, "batch", rate))
    return [Sample(f"relu at lr {rate:g}: none minus batch norm", saved)]


def _centred(evidence: Evidence) -> list[Sample]:
    start = evidence["start"]
    return [Sample("relu", each(lambda m, s: m / math.hypot(m, s), start.of(_MEAN, "relu"), start.of(_STD, "relu")))]


def _scale(evidence: Evidence) -> list[Sample]:
    return [Sample("relu", each(math.log, evidence["start"].of(_RATIO, "relu")))]


def _auc(evidence: Evidence, label: str, normalization: str) -> Values:
    results, arm = somewhere(evidence, "judging", label, normalization=normalization)
    return results.values[SCORE].get(arm.position, {})


def _trains(evidence: Evidence, place: str) -> list[Sample]:
    rates = {(cell.activation.label, cell.point[0][1]): choice for cell, choice in tuned(evidence["tuning"]).items()}
    return [
        Sample(
            f"{label}: none at {rates[label, 'none']}, {place} at {rates[label, place]}",
            log_ratio(_auc(evidence, label, "none"), _auc(evidence, label, place)),
        )
        for label in TRAINED
    ]


_EFFECT = f"Share of hidden units that are dead on {PROBE} at the end, minus that at step 0."
_FASTER = (
    "ln of the mean training loss over all steps without batch norm minus that with it, 8 hidden layers, PyTorch's "
    "initialization, each at its own tuned learning rate. 0.1 is 10 %."
)

_AFTER_PARTS = (
    Part(
        name="death_after",
        statement="Batch norm after ReLU keeps units from dying as well.",
        effect=_EFFECT,
        direction="within",
        sesoi=0.01,
        explanation="Here the norm acts on what the unit puts out, not on what it takes in: it cannot turn a unit on "
        "that is off for every input. Whether units get there depends on the steps.",
        would_change="Learning rates other than this decade's.",
        figure="rates/dead_fraction",
        samples=lambda evidence: _death(evidence, "batch_after"),
    ),
    Part(
        name="trains_after",
        statement="Batch norm after the activation makes deep networks train faster, whatever the activation.",
        effect=_FASTER,
        direction="above",
        sesoi=0.1,
        explanation="Wherever it stands in a layer, the norm gives the next one inputs of mean zero and variance one.",
        would_change="Shallow networks, or an initialization that already keeps the signal's scale.",
        figure="",
        samples=lambda evidence: _trains(evidence, "batch_after"),
    ),
)

_PARTS = (
    Part(
        name="death",
        statement="With batch norm before ReLU no units die over a decade of learning rates.",
        effect=_EFFECT,
        direction="within",
        sesoi=0.01,
        explanation="Over each batch the norm gives every unit inputs of both signs, until its learned shift is "
        "driven several standard deviations down.",
        would_change="Adaptive optimizers at high learning rates, which do drive the shift down.",
        figure="rates/dead_fraction",
        samples=lambda evidence: _death(evidence, "batch"),
    ),
    Part(
        name="spared",
        statement="That is batch norm's doing: at the highest of these rates, units die without it.",
        effect="The share that died without batch norm minus that with it, in pairs of equal seeds.",
        direction="above",
        sesoi=0.02,
        explanation="Where no unit dies without the norm either, the norm has removed nothing.",
        would_change="A learning rate at which no unit dies.",
        figure="rates/dead_fraction",
        samples=_spared,
    ),
    Part(
        name="centred",
        statement="Batch norm before ReLU gives its outputs mean zero.",
        effect="Mean activation over its root mean square, layer 2, before training.",
        direction="within",
        sesoi=0.1,
        explanation="It centres what goes into ReLU. What comes out is cut off at zero as before, with a mean of "
        "1/sqrt(2 pi), or 0.56 of its root mean square.",
        would_change="The norm after the activation, which centres what is handed on.",
        figure="start/mean_activation",
        samples=_centred,
    ),
    Part(
        name="scale",
        statement="Batch norm keeps gradients at the same scale from layer to layer.",
        effect="ln of the factor by which the squared per-sample gradient norm changes from a layer to the one below "
        "it, before training, 10 layers. 0.1 is 10 %.",
        direction="within",
        sesoi=0.1,
        explanation="Dividing by the standard deviation of what ReLU lets through amplifies: theory says by pi/(pi - "
        "1), or 1.467, a layer (Yang et al. 2019), so gradients grow towards the input.",
        would_change="Shallow networks, where few factors multiply, or residual connections.",
        figure="start/gradient_flow",
        samples=_scale,
    ),
    Part(
        name="trains",
        statement="Batch norm before the activation makes deep networks train faster, whatever the activation.",
        effect=_FASTER,
        direction="above",
        sesoi=0.1,
        explanation="At PyTorch's initialization signal and gradient shrink a layer; the norm restores the signal's "
        "scale at each. It need not remove every drawback to help.",
        would_change="Shallow networks, or an initialization that already keeps the signal's scale.",
        figure="tuning/learning_curves",
        samples=lambda evidence: _trains(evidence, "batch"),
    ),
    *_AFTER_PARTS,
)

CLAIM = Claim(
    name="C9",
    title="Batch norm removes the drawbacks",
    sentence="Batch norm removes ReLU's drawbacks: dying units, the mean that is not zero, gradients of the wrong "
    "scale.",
    stages=(Stage("measuring", _measuring), Stage("judging", _judging)),
    parts=_PARTS,
)
