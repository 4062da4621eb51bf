"""C1: without a non-linearity depth is pointless."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lab.claims.claim import Asked, Claim, Clause, Effort, Part, Sample, Stage
from lab.claims.evidence import Evidence, Reading, each, log_ratio, minus, only, somewhere
from lab.claims.settings import EPOCHS, JUDGED, TUNED, activation, on_digits
from lab.claims.tuning import JUDGING_SEED, RATE, SCORE, TUNING_SEED, judging, tuned
from lab.plan import Arm
from lab.spec import DatasetSpec, ExperimentSpec, NetworkSpec, RecordingSpec, TrainingSpec
from lab.statistics import Values

DEPTHS: Mapping[Effort, tuple[int, ...]] = {"full": (1, 2, 4, 8), "quick": (1, 8)}
PLANES = ("xor", "circles", "spirals")
"""Data of two inputs that no straight line separates."""
ACTIVATIONS = ("identity", "relu", "tanh")

_LOSS, _ACCURACY = Reading("test_loss"), Reading("test_accuracy")


def _measuring(effort: Effort, _: Evidence) -> Mapping[str, Asked]:
    # Of a network of that depth, the last layer's residual is the network's own.
    residuals = tuple(Reading("affinity_residual", "last", depth) for depth in DEPTHS[effort])
    readings = (_LOSS, _ACCURACY, *residuals)
    asked = {f"plane: {name}": Asked(_on_a_plane(name, effort), readings) for name in PLANES}
    digits = on_digits(
        *ACTIVATIONS,
        network={"width": 64, "initialization": "xavier_normal"},
        training=TrainingSpec(optimizer="adam", learning_rate=0.003, epochs=EPOCHS[effort]),
        replicates=JUDGED[effort],
        sweep=(("network.depth", DEPTHS[effort]),),
        geometry=True,
    )
    grid = (0.01, 0.03, 0.1, 0.3, 1.0) if effort == "full" else (0.03, 0.1, 0.3)
    sweep = (("network.depth", DEPTHS[effort]), (RATE, grid))
    tuning = _linear(effort, replicates=TUNED[effort], seed=TUNING_SEED, sweep=sweep)
    return asked | {"digits": Asked(digits, readings), "tuning": Asked(tuning, (SCORE,))}


def _on_a_plane(name: str, effort: Effort) -> ExperimentSpec:
    return ExperimentSpec(
        activations=tuple(activation(entry) for entry in ACTIVATIONS),
        dataset=DatasetSpec(name, (("n_test", 1000), ("n_train", 1000), ("noise", 0.0))),
        network=NetworkSpec(width=32, initialization="xavier_normal"),
        training=TrainingSpec(optimizer="adam", learning_rate=0.003, steps=1000, epochs=None),
        sweep=(("network.depth", DEPTHS[effort]),),
        replicates=JUDGED[effort],
        seed=JUDGING_SEED,
        recording=RecordingSpec(points=5, geometry=True),
    )


def _judging(effort: Effort, evidence: Evidence) -> Mapping[str, Asked]:
    return judging(_linear(effort, replicates=JUDGED[effort]), tuned(evidence["tuning"]))


def _linear(effort: Effort, **options: Any) -> ExperimentSpec:
    return on_digits("identity", network={"width": 64}, training=TrainingSpec(epochs=EPOCHS[effort]), **options)


def _residuals(evidence: Evidence, *labels: str) -> list[Sample]:
    """Of each data set, activation and depth."""
    return [
        Sample(f"{label}, {_told(key)}, depth {arm.network.depth}", results.values[_residual(arm)][arm.position])
        for key, results in (*only(evidence, "plane"), ("digits", evidence["digits"]))
        for label in labels
        for arm in results.arms()
        if arm.activation.label == label
    ]


def _residual(arm: Arm) -> Reading:
    return Reading("affinity_residual", "last", arm.network.depth)


def _told(key: str) -> str:
    return key.removeprefix("plane: ")


def _collapses(evidence: Evidence) -> list[Sample]:
    return _residuals(evidence, "identity")


def _does_not(evidence: Evidence) -> list[Sample]:
    return _residuals(evidence, "relu", "tanh")


def _by_depth(evidence: Evidence, key: str, label: str, reading: Reading) -> list[tuple[int, Values]]:
    results = evidence[key]
    arms = [arm for arm in results.arms() if arm.activation.label == label]
    return [(arm.network.depth, results.values[reading].get(arm.position, {})) for arm in arms]


def _chance(evidence: Evidence) -> list[Sample]:
    return [
        Sample(f"identity, depth {depth}", each(lambda loss: loss - math.log(2), losses))
        for depth, losses in _by_depth(evidence, "plane: xor", "identity", _LOSS)
    ]


def _solves(evidence: Evidence) -> list[Sample]:
    return [
        Sample(f"relu, depth {depth}", each(lambda share: share - 0.5, accuracies))
        for depth, accuracies in _by_depth(evidence, "plane: xor", "relu", _ACCURACY)
    ]


def _useless(evidence: Evidence) -> list[Sample]:
    relu, identity = (_by_depth(evidence, "digits", label, _ACCURACY) for label in ("relu", "identity"))
    return [
        Sample(f"relu minus identity, depth {depth}", minus(bent, straight))
        for (depth, bent), (_, straight) in zip(relu, identity, strict=True)
    ]


def _same_training(evidence: Evidence) -> list[Sample]:
    rates = {dict(cell.point)["network.depth"]: choice for cell, choice in tuned(evidence["tuning"]).items()}
    depths = sorted({arm.network.depth for arm in evidence["tuning"].arms()})
    auc = {}
    for depth in depths:
        results, arm = somewhere(evidence, "judging", "identity", depth=depth)
        auc[depth] = results.values[SCORE].get(arm.position, {})
    return [
        Sample(f"depth {depth} at {rates[depth]}, against depth 1 at {rates[1]}", log_ratio(auc[depth], auc[1]))
        for depth in depths
        if depth != 1
    ]


CLAIM = Claim(
    name="C1",
    title="Without a non-linearity depth is pointless",
    sentence="Without a non-linear activation a deep network is no more than a single layer: depth is pointless.",
    stages=(Stage("measuring", _measuring), Stage("judging", _judging)),
    parts=(
        Part(
            name="collapses",
            statement="A network without activations computes an affine function, however deep.",
            effect="Largest |f(x + y) - f(x) - f(y) + f(0)| over the largest |f|, 256 pairs of training inputs, of the "
            "networks as trained, in double precision. 0 for an affine function.",
            direction="within",
            sesoi=1e-5,
            explanation="Affine maps one after the other make one affine map, for any weights. What is left is "
            "rounding.",
            would_change="Nothing: it is algebra.",
            figure="",
            samples=_collapses,
            answer=Clause(
                "a network without activations computes an affine function, however deep",
                "a network without activations does not compute an affine function",
            ),
        ),
        Part(
            name="does_not",
            statement="With ReLU or tanh between the layers it does not.",
            effect="The same number.",
            direction="above",
            sesoi=1e-2,
            explanation="One layer of bends is enough to leave the affine functions, on every one of these data sets.",
            would_change="Weights so small, or biases so large, that no unit leaves the straight part of its "
            "activation.",
            figure="",
            samples=_does_not,
        ),
        Part(
            name="chance",
            statement="On XOR, which no affine function separates, deep linear networks stay at chance.",
            effect="Test loss after training minus ln 2, the loss of a fair coin.",
            direction="within",
            sesoi=0.05,
            explanation="The best that an affine function can do on XOR is to answer one half everywhere, which "
            "costs ln 2 = 0.693.",
            would_change="A data set that is nearly linear: on digits a linear network does well.",
            figure="plane: xor/learning_curves",
            samples=_chance,
        ),
        Part(
            name="solves",
            statement="ReLU networks of the same depths learn XOR.",
            effect="Test accuracy after training minus 1/2.",
            direction="above",
            sesoi=0.4,
            explanation="The same networks, draws and batches; only the activation differs.",
            would_change="Too few steps, or networks so deep that they do not start to learn.",
            figure="plane: xor/learning_curves",
            samples=_solves,
        ),
        Part(
            name="useless",
            statement="A network without activations is of no use: on digits it loses more than ten points of "
            "accuracy.",
            effect="Test accuracy of ReLU networks minus that of linear ones of the same depth, in pairs of equal "
            "seeds. 0.01 is one point.",
            direction="above",
            sesoi=0.1,
            explanation="Ten digits of 64 pixels are almost linearly separable. What an affine function cannot do is "
            "little loss where the task hardly asks for it.",
            would_change="A data set like XOR.",
            figure="digits/learning_curves",
            samples=_useless,
            answer=Clause(
                "on digits it loses more than ten points of accuracy to ReLU",
                "on digits it loses less than ten points of accuracy to ReLU",
                said=False,
            ),
        ),
        Part(
            name="same_training",
            statement="Depth makes no difference to a linear network at all: deep ones train as one layer does.",
            effect="ln of the mean training loss over all steps minus that with one hidden layer, digits, each depth "
            "at its own tuned learning rate, PyTorch's initialization.",
            direction="within",
            sesoi=0.1,
            explanation="The functions are the same, the way to them is not: a product of matrices has another "
            "landscape, with plateaus, than one matrix (Saxe et al. 2014), and at PyTorch's initialization the signal "
            "shrinks with every layer besides. The same class of functions does not mean the same training.",
            would_change="An initialization that keeps the product of the layers' matrices at the scale of one.",
            figure="tuning/learning_curves",
            samples=_same_training,
            answer=Clause(
                "depth makes no difference to how it trains",
                "depth makes a difference to how it trains",
            ),
        ),
    ),
)
