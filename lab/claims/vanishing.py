"""C4: sigmoid's slope is at most 1/4, so gradients vanish with depth."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lab.claims.claim import Asked, Claim, Clause, Effort, Part, Sample, Stage
from lab.claims.evidence import Evidence, Reading, Results, each, log, minus
from lab.claims.gradients import DEPTH, FAR, NEAR, log_factor
from lab.claims.settings import EPOCHS, JUDGED, START, on_digits
from lab.plan import Arm
from lab.spec import TrainingSpec
from lab.theory.prediction import Inputs, predict

# By theory the sigma_w^2 at which a sigmoid network neither shrinks nor grows its gradients: its critical point.
CRITICAL_GAIN = math.sqrt(103)
INITIALIZATIONS = ("pytorch", "xavier_normal", "he_normal")
ACTIVATIONS = ("sigmoid", "tanh", "relu")

_BEFORE = Reading("gradient_ratio", "first")
_AFTER = Reading("gradient_ratio", "last")
# Of the digits: q0 by standardisation. The others play a part only with batch norm, which is not predicted here.
_DIGITS = Inputs(q0=1.0, v0=1.0, participation=1.0)


def _experiments(effort: Effort, _: Evidence) -> Mapping[str, Asked]:
    n = JUDGED[effort]
    wide = {"depth": DEPTH, "width": 256 if effort == "full" else 128}
    usual = on_digits(
        *ACTIVATIONS,
        network=wide,
        training=START,
        replicates=n,
        sweep=(
            ("network.initialization", INITIALIZATIONS),
            ("network.depth", (5, 10, 20) if effort == "full" else (10,)),
        ),
    )
    critical = on_digits(
        "sigmoid",
        network=wide | {"initialization": "xavier_normal", "gain": CRITICAL_GAIN},
        training=START,
        replicates=n,
    )
    normalized = on_digits("sigmoid", network=wide | {"normalization": "batch"}, training=START, replicates=n)
    trained = on_digits(
        *ACTIVATIONS,
        network={"depth": 8, "width": 64},
        training=TrainingSpec(epochs=EPOCHS[effort]),
        replicates=n,
        points=10,
    )
    return {
        "usual": Asked(usual, (_BEFORE,)),
        "critical": Asked(critical, (_BEFORE,)),
        "normalized": Asked(normalized, (NEAR, FAR)),
        "trained": Asked(trained, (_BEFORE, _AFTER, Reading("test_accuracy"))),
    }


def _vanishes(evidence: Evidence) -> list[Sample]:
    return [Sample(arm.label, _loss(usual, arm)) for usual in [evidence["usual"]] for arm in _of(usual, "sigmoid")]


def _as_predicted(evidence: Evidence) -> list[Sample]:
    usual, critical = evidence["usual"], evidence["critical"]
    return [_against_theory(results, arm) for results in (usual, critical) for arm in results.arms()]


def _whatever_the_weights(evidence: Evidence) -> list[Sample]:
    critical, normalized = evidence["critical"], evidence["normalized"]
    above = each(lambda x: -x, log_factor(normalized, "sigmoid"))
    return [
        Sample("sigmoid, sigma_w^2 = 103", _loss(critical, critical.arm("sigmoid"))),
        Sample(f"sigmoid, batch norm before it, layers 2 to {DEPTH}", above),
    ]


def _relu_is_spared(evidence: Evidence) -> list[Sample]:
    usual = evidence["usual"]
    pairs = zip(_of(usual, "tanh", "pytorch"), _of(usual, "relu", "pytorch"), strict=True)
    return [
        Sample(f"tanh minus relu, depth {tanh.network.depth}", minus(_loss(usual, tanh), _loss(usual, relu)))
        for tanh, relu in pairs
    ]


def _relu_keeps(evidence: Evidence) -> list[Sample]:
    usual = evidence["usual"]
    return [Sample(f"relu, depth {arm.network.depth}", _loss(usual, arm)) for arm in _of(usual, "relu", "pytorch")]


def _stays(evidence: Evidence) -> list[Sample]:
    trained = evidence["trained"]
    return [Sample("sigmoid, depth 8, after training", each(lambda r: -math.log(r), trained.of(_AFTER, "sigmoid")))]


def _of(results: Results, activation: str, initialization: str | None = None) -> list[Arm]:
    return [
        arm
        for arm in results.arms()
        if arm.activation.name == activation and initialization in (None, arm.network.initialization)
    ]


def _loss(results: Results, arm: Arm) -> dict[int, float | None]:
    """-ln of the factor by which squared gradients change a layer: how fast they vanish."""
    return each(lambda ratio: -math.log(ratio), results.values[_BEFORE].get(arm.position, {}))


def _against_theory(results: Results, arm: Arm) -> Sample:
    prediction = predict(arm, _DIGITS)
    ratio, bands = prediction.gradient_ratio, [layer.band for layer in prediction.layers[:-1] if layer.band]
    measured = log(results.values[_BEFORE].get(arm.position, {}))
    of = f"{arm.activation.label}, gain {arm.network.gain:.3g}, {arm.network.initialization}, depth {arm.network.depth}"
    if ratio is None:
        return Sample(of, dict.fromkeys(measured))
    told = f"{of}: predicted x {ratio:.3g} a layer"
    return Sample(told, each(lambda x: x - math.log(ratio), measured), sesoi=max(band.margin for band in bands))


CLAIM = Claim(
    name="C4",
    title="Sigmoid's gradients vanish with depth",
    sentence="Sigmoid's slope is at most 1/4, so gradients vanish in deep networks; ReLU's slope is 1, so they do not.",
    stages=(Stage("measuring", _experiments),),
    parts=(
        Part(
            name="vanishes",
            statement="At the usual initializations a sigmoid network's gradients shrink from layer to layer, "
            "towards the input.",
            effect="-ln of the factor by which the squared per-sample gradient norm (by the pre-activations, not the "
            "weights) changes from a layer to the one below it, before training, mean over layers: -2 ln(delta_norm[1] "
            "/ delta_norm[L]) / (L - 1) of L hidden layers. 0.69 is a halving a layer.",
            direction="above",
            sesoi=math.log(2),
            explanation="A layer multiplies the squared gradient by sigma_w^2 E[slope^2]. With sigma_w^2 of 1/3 to 2 "
            "and a squared slope near 1/16 that is far below 1, and the factors of all layers multiply: the layers "
            "next to the input hardly learn.",
            would_change="Weights whose variance is large enough to make up for the slope.",
            figure="usual/gradient_flow",
            samples=_vanishes,
            answer=Clause(
                "a sigmoid network's gradients vanish with depth at the usual initializations",
                "a sigmoid network's gradients do not vanish at every usual initialization",
            ),
        ),
        Part(
            name="as_predicted",
            statement="The factor is the one that mean-field theory predicts, sigma_w^2 E[slope^2], for every "
            "activation, initialization and depth tried.",
            effect="ln(measured factor / predicted factor), mean over layers.",
            direction="within",
            sesoi=0.05,
            explanation="Theory follows the variance of the pre-activations from layer to layer and averages the "
            "squared slope over it. Where measurement and theory agree to a few percent, what makes gradients vanish "
            "is understood. The margin is 5 %, or the bias that theory itself gives for a network of this width.",
            would_change="Narrow networks, correlated weights, or any state after training has begun.",
            figure="usual/gradient_flow",
            samples=_as_predicted,
        ),
        Part(
            name="whatever_the_weights",
            statement="The bound of 1/4 is the reason: a sigmoid network's gradients vanish whatever its weights and "
            "normalization.",
            effect="-ln of the factor a layer, as above, for sigmoid networks with larger weights and with batch norm.",
            direction="above",
            sesoi=math.log(2),
            explanation="The slope is still at most 1/4 in both, so if the bound alone decided, both would vanish. "
            "What decides is the product sigma_w^2 E[slope^2]: larger weights raise it until units saturate, and "
            "batch norm divides by a small standard deviation, which raises it too.",
            would_change="A gradient that at least halves a layer in spite of such weights.",
            figure="critical/gradient_flow",
            samples=_whatever_the_weights,
            answer=Clause(
                "they vanish whatever its weights and normalization, so the bound of 1/4 is the reason",
                "the bound of 1/4 alone is not the reason: with larger weights or batch norm they do not vanish",
            ),
        ),
        Part(
            name="relu_is_spared",
            statement="At PyTorch's default initialization ReLU's gradients shrink less from layer to layer than "
            "tanh's.",
            effect="-ln of tanh's factor a layer minus that of ReLU's; positive where ReLU shrinks less.",
            direction="above",
            sesoi=0.1,
            explanation="ReLU's slope is 1 for half of the inputs and 0 for the others: its mean square is 1/2. At "
            "sigma_w^2 = 1/3, which nn.Linear draws, that makes 1/6 a layer; tanh works near 0, where its slope is "
            "nearly 1, and makes almost 1/3. ReLU needs its own initialization (He's), as sigmoid does.",
            would_change="An initialization with larger weights, where tanh saturates and ReLU does not.",
            figure="usual/gradient_flow",
            samples=_relu_is_spared,
            answer=Clause(
                "ReLU's gradients shrink less than tanh's at PyTorch's default initialization",
                "ReLU's gradients shrink no less than tanh's at PyTorch's default initialization",
                said=False,
            ),
        ),
        Part(
            name="relu_keeps",
            statement="ReLU's slope is 1, so at PyTorch's default initialization its gradients do not vanish.",
            effect="-ln of ReLU's factor a layer, before training. 0.69 is a halving a layer.",
            direction="within",
            sesoi=math.log(2),
            explanation="A slope of 1 for half of the inputs has a mean square of 1/2, and the weights' variance "
            "counts as much as the slope: 1/3 of 1/2 is left a layer, ln 6 = 1.79.",
            would_change="He's initialization, sigma_w^2 = 2, at which ReLU's factor is 1.",
            figure="usual/gradient_flow",
            samples=_relu_keeps,
            answer=Clause(
                "ReLU's gradients do not vanish at PyTorch's default initialization",
                "ReLU's gradients do not keep their scale at PyTorch's default initialization either",
            ),
        ),
        Part(
            name="stays",
            statement="After training at the default settings the sigmoid network's gradients still vanish.",
            effect="-ln of the factor a layer at the last step, 8 hidden layers of 64 units, PyTorch's "
            "initialization, SGD at learning rate 0.1.",
            direction="above",
            sesoi=math.log(2),
            explanation="Layers that get no gradient do not change, so the network may stay where it began, "
            "and guess. Theory says nothing here; only the measurement does.",
            would_change="A learning rate or optimizer that moves the weights of the first layers far enough.",
            figure="trained/learning_curves",
            samples=_stays,
        ),
    ),
)
