"""C9: batch norm removes ReLU's drawbacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from lab.claims.claim import Asked, Claim, Clause, Effort, Part, Sample, Stage
from lab.claims.evidence import Evidence, Reading, Results, each, log_ratio, minus, somewhere
from lab.claims.gradients import DEPTH, FAR, NEAR, log_factor
from lab.claims.lives import DEATHS, DIED, died
from lab.claims.ranges import STARTED, Trained, decades, highest, trained
from lab.claims.settings import EPOCHS, JUDGED, START, TUNED, on_digits
from lab.claims.tuning import RATE, SCORE, TUNING_SEED, judging, tuned
from lab.spec import ExperimentSpec, Swept, TrainingSpec
from lab.statistics import Values

PLACES = ("batch", "batch_after")
"""Batch norm before the activation, and after it."""
TRAINED = ("relu", "sigmoid", "tanh")
RATES = (0.1, 0.3, 1.0)
"""A decade in which ReLU networks without batch norm go from their best learning rate to dead units."""
BATCHES: Mapping[Effort, tuple[int, ...]] = {"full": (8, 32, 128, 256), "quick": (16, 256)}
"""Batch norm sees one batch at a time: with few samples in it, what it divides by is a guess."""
RANGE: Mapping[Effort, tuple[float, ...]] = {
    "full": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "quick": (0.01, 0.1, 1.0, 10.0),
}
"""Learning rates at equal ratios, by which the width of the range that trains is counted."""

_MEAN, _STD = Reading("activation_mean", "first", layer=2), Reading("activation_std", "first", layer=2)
_NORMALIZATION, _BATCH = "network.normalization", "training.batch_size"


def _measuring(effort: Effort, _: Evidence) -> Mapping[str, Asked]:
    wide = {"depth": DEPTH, "width": 256 if effort == "full" else 128, "initialization": "he_normal"}
    started = on_digits(*TRAINED, network=wide | {"normalization": "batch"}, training=START, replicates=JUDGED[effort])
    rates = _shallow(effort, sweep=((_NORMALIZATION, ("none", *PLACES)), (RATE, RATES)))
    batches = _shallow(effort, normalization="batch", sweep=((_BATCH, BATCHES[effort]), (RATE, RATES)))
    grid = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0) if effort == "full" else (0.03, 0.3)
    sweep = ((_NORMALIZATION, ("none", *PLACES)), (RATE, grid))
    tuning = _deep(effort, *TRAINED, replicates=TUNED[effort], seed=TUNING_SEED, sweep=sweep)
    ranges = _deep(
        effort,
        "relu",
        initialization="he_normal",
        replicates=JUDGED[effort],
        sweep=((_NORMALIZATION, ("none", "batch")), (_BATCH, BATCHES[effort]), (RATE, RANGE[effort])),
    )
    return {
        "start": Asked(started, (_MEAN, _STD, NEAR, FAR)),
        "rates": Asked(rates, (DIED,)),
        "batches": Asked(batches, (DIED,)),
        "ranges": Asked(ranges, (STARTED, SCORE)),
        "tuning": Asked(tuning, (SCORE,)),
    }


def _judging(effort: Effort, evidence: Evidence) -> Mapping[str, Asked]:
    return judging(_deep(effort, *TRAINED, replicates=JUDGED[effort]), tuned(evidence["tuning"]))


def _shallow(effort: Effort, *, normalization: str = "none", **options: Any) -> ExperimentSpec:
    network = {"depth": 3, "width": 64, "normalization": normalization}
    training = TrainingSpec(epochs=EPOCHS[effort])
    return on_digits("relu", network=network, training=training, replicates=JUDGED[effort], points=10, **options)


def _deep(effort: Effort, *activations: str, initialization: str = "pytorch", **options: Any) -> ExperimentSpec:
    network = {"depth": 8, "width": 64, "initialization": initialization}
    return on_digits(*activations, network=network, training=TrainingSpec(epochs=EPOCHS[effort]), **options)


def _died(results: Results, **swept: Swept) -> dict[int, float | None]:
    return died(results, results.arm("relu", **swept))


def _death(evidence: Evidence, place: str) -> list[Sample]:
    return [
        Sample(f"relu, {place}, lr {rate:g}", _died(evidence["rates"], normalization=place, learning_rate=rate))
        for rate in RATES
    ]


def _death_by_batch(evidence: Evidence) -> list[Sample]:
    results = evidence["batches"]
    return [
        Sample(f"relu, batch norm, batch {size}, lr {rate:g}", _died(results, batch_size=size, learning_rate=rate))
        for size in _sizes(results)
        for rate in RATES
    ]


def _spared(evidence: Evidence, place: str) -> list[Sample]:
    rate = RATES[-1]
    without, spared = (_died(evidence["rates"], normalization=n, learning_rate=rate) for n in ("none", place))
    return [Sample(f"relu at lr {rate:g}: none minus {place}", minus(without, spared))]


def _centred(evidence: Evidence) -> list[Sample]:
    start = evidence["start"]
    return [Sample("relu", each(lambda m, s: m / math.hypot(m, s), start.of(_MEAN, "relu"), start.of(_STD, "relu")))]


def _scale(evidence: Evidence) -> list[Sample]:
    return [Sample("relu", log_factor(evidence["start"], "relu"))]


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


def _by_size(evidence: Evidence, of: Callable[[Trained], dict[int, float | None]]) -> list[Sample]:
    """What batch norm adds to something that follows from the rates at which a network trains, for each batch size."""
    results = evidence["ranges"]
    found = []
    for size in _sizes(results):
        normed, plain = (trained(results, "relu", normalization=n, batch_size=size) for n in ("batch", "none"))
        found.append(Sample(f"relu, batch {size}", minus(of(normed), of(plain))))
    return found


def _sizes(results: Results) -> list[int]:
    return sorted({arm.training.batch_size for arm in results.arms()})


_FASTER = (
    "ln of the mean training loss over all steps without batch norm minus that with it, 8 hidden layers, PyTorch's "
    "initialization, each at its own tuned learning rate. 0.1 is 10 %."
)
_AS_TRAINED = (
    "It trains where its mean training loss over all steps is below half that of guessing (1.15); where it diverges it "
    "does not. 8 hidden layers, He's initialization."
)

_AFTER_PARTS = (
    Part(
        name="death_after",
        statement="With batch norm after ReLU no units die over the same decade of learning rates.",
        effect=DEATHS,
        direction="within",
        sesoi=0.01,
        explanation="Here the norm acts on what the unit puts out, not on what it takes in: it cannot turn a unit on "
        "that is off for every input. Whether units get there depends on the steps.",
        would_change="Learning rates other than this decade's.",
        figure="rates/dead_fraction",
        samples=lambda evidence: _death(evidence, "batch_after"),
    ),
    Part(
        name="spared_after",
        statement="Batch norm after ReLU spares units all the same: at the highest of these rates fewer die than "
        "without it.",
        effect="The share that died without batch norm minus that with it after ReLU, in pairs of equal seeds.",
        direction="above",
        sesoi=0.02,
        explanation="Units that die in spite of the norm do not show that it does nothing: it keeps what goes into the "
        "next layer at one scale, so the same steps can do less harm. At this rate a network without it may diverge: "
        "its pair then has no value.",
        would_change="A learning rate at which few units die without it.",
        figure="rates/dead_fraction",
        samples=lambda evidence: _spared(evidence, "batch_after"),
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
        effect=DEATHS,
        direction="within",
        sesoi=0.01,
        explanation="Over each batch the norm gives every unit inputs of both signs, until its learned shift is "
        "driven several standard deviations down.",
        would_change="Adam at high learning rates: units die there (C6, normalized).",
        figure="rates/dead_fraction",
        samples=lambda evidence: _death(evidence, "batch"),
        answer=Clause(
            "with batch norm before ReLU no units die over a decade of learning rates",
            "with batch norm before ReLU units die all the same",
        ),
    ),
    Part(
        name="death_by_batch",
        statement="With batch norm before ReLU no units die, whatever the batch size, from 8 to 256.",
        effect=DEATHS,
        direction="within",
        sesoi=0.01,
        explanation="With few samples the norm's mean and deviation are noisy. But in as many epochs small batches "
        "also mean many more updates (in 20 epochs 3,580 with 8 samples, 100 with 256): these are not told apart.",
        would_change="Smaller learning rates, or no batches as small as eight.",
        figure="batches/dead_fraction",
        samples=_death_by_batch,
        answer=Clause(
            "no units die whatever the batch size",
            "at some batch sizes units die",
            said=False,
        ),
    ),
    Part(
        name="spared",
        statement="That is batch norm's doing: at the highest of these rates, units die without it.",
        effect="The share that died without batch norm minus that with it, in pairs of equal seeds.",
        direction="above",
        sesoi=0.02,
        explanation="Where few units die without the norm either, as at the lower two of these rates, it has little to "
        "remove. At the highest a network without it may diverge: its pair then has no value.",
        would_change="A learning rate at which few units die without it.",
        figure="rates/dead_fraction",
        samples=lambda evidence: _spared(evidence, "batch"),
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
        answer=Clause(
            "ReLU's outputs have mean zero with it",
            "ReLU's outputs keep a mean that is not zero",
        ),
    ),
    Part(
        name="scale",
        statement="Batch norm keeps gradients at the same scale from layer to layer.",
        effect="ln of the factor by which the squared per-sample gradient norm changes from a layer to the one below "
        f"it, before training, mean over layers 2 to {DEPTH}: 2 ln(delta_norm[2] / delta_norm[{DEPTH}]) / {DEPTH - 2}. "
        "0.1 is 10 %.",
        direction="within",
        sesoi=0.1,
        explanation="Dividing by the standard deviation of what ReLU lets through amplifies: theory says by pi/(pi - "
        "1), or 1.467, a layer (Yang et al. 2019), whose ln is 0.383, so gradients grow towards the input; narrow "
        "layers and data of few directions add some hundredths. Layer 1, whose inputs are no activations, has another "
        "factor.",
        would_change="Shallow networks, where few factors multiply, or residual connections.",
        figure="start/gradient_flow",
        samples=_scale,
        answer=Clause(
            "gradients keep their scale from layer to layer with it",
            "gradients do not keep their scale from layer to layer",
        ),
    ),
    Part(
        name="trains",
        statement="Batch norm before the activation makes deep networks train faster, whatever the activation.",
        effect=_FASTER,
        direction="above",
        sesoi=0.1,
        explanation="At PyTorch's initialization signal and gradient shrink from layer to layer, so that a "
        "network without a norm may never leave the plateau of guessing; the norm restores the signal's scale at each "
        "layer. It need not remove every drawback to help.",
        would_change="Shallow networks, or an initialization that already keeps the signal's scale.",
        figure="tuning/learning_curves",
        samples=lambda evidence: _trains(evidence, "batch"),
        answer=Clause(
            "deep networks train faster with it, whatever the activation",
            "not all deep networks train faster with it",
            said=False,
        ),
    ),
    Part(
        name="faster_steps",
        statement="Batch norm raises the highest learning rate at which a deep network trains, whatever the batch "
        "size.",
        effect="log10 of the highest learning rate of the grid at which the network trains with batch norm, minus that "
        f"without, in pairs of equal seeds. {_AS_TRAINED}",
        direction="above",
        sesoi=0.25,
        explanation="The norm undoes what a large step does to the scale of weights, so the network can survive it. "
        "He's initialization is the one that ReLU trains well from without a norm.",
        would_change="Normalizing gradients by other means, as clipping them does.",
        figure="",
        samples=lambda evidence: _by_size(evidence, highest),
    ),
    Part(
        name="range",
        statement="Batch norm widens the range of learning rates at which a deep network trains, whatever the batch "
        "size.",
        effect="Decades of learning rate at which the network trains, with batch norm minus without, in pairs of equal "
        f"seeds. {_AS_TRAINED}",
        direction="above",
        sesoi=0.5,
        explanation="The norm may let higher rates train, and may keep low ones from getting anywhere in the same "
        "epochs: the range has two ends. One that reaches an end of the grid may be wider than was measured.",
        would_change="More epochs, in which small rates arrive, or large batches only.",
        figure="",
        samples=lambda evidence: _by_size(evidence, decades),
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
