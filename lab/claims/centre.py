"""C7: ReLU's mean output is not zero, and its output has no bound."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lab.catalog.activations import ACTIVATIONS
from lab.claims.claim import Asked, Claim, Clause, Effort, Part, Sample, Stage
from lab.claims.evidence import Evidence, Reading, each, log_ratio, somewhere
from lab.claims.settings import EPOCHS, JUDGED, START, TUNED, activation, on_digits
from lab.claims.tuning import RATE, SCORE, TUNING_SEED, judging, tuned
from lab.plan import Arm
from lab.spec import ExperimentSpec, TrainingSpec
from lab.statistics import Values

CENTRED = activation("relu", shift=-0.5)
GAINS = (1.0, 10.0)
DEPTHS = (3, 8)

_MEAN = Reading("activation_mean", "first", layer=1)
_SPREAD = Reading("activation_std", "first", layer=1)
_H_MEAN = Reading("preactivation_mean", "first", layer=1)
_H_STD = Reading("preactivation_std", "first", layer=1)
_RELU_MEAN = 1 / math.sqrt(2 * math.pi)


def _measuring(effort: Effort, _: Evidence) -> Mapping[str, Asked]:
    he = {"depth": 1, "initialization": "he_normal"}
    relu = on_digits("relu", network=he | {"width": 1024}, training=START, replicates=2 * JUDGED[effort])
    every = on_digits(*ACTIVATIONS, network=he | {"width": 256}, training=START, replicates=JUDGED[effort])
    gains = on_digits(
        "relu",
        network=he | {"width": 256},
        training=START,
        replicates=JUDGED[effort],
        sweep=(("network.gain", GAINS),),
    )
    grid = (0.01, 0.03, 0.1, 0.3, 1.0) if effort == "full" else (0.03, 0.1, 0.3)
    sweep = (("network.depth", DEPTHS if effort == "full" else DEPTHS[:1]), (RATE, grid))
    return {
        "relu": Asked(relu, (_MEAN, _H_MEAN, _H_STD)),
        "every activation": Asked(every, (_MEAN, _H_MEAN, _H_STD)),
        "gains": Asked(gains, (_SPREAD,)),
        "tuning": Asked(_trained(effort, replicates=TUNED[effort], seed=TUNING_SEED, sweep=sweep), (SCORE,)),
    }


def _judging(effort: Effort, evidence: Evidence) -> Mapping[str, Asked]:
    return judging(_trained(effort, replicates=JUDGED[effort]), tuned(evidence["tuning"]))


def _trained(effort: Effort, **options: object) -> ExperimentSpec:
    network = {"depth": 3, "width": 64, "initialization": "he_normal"}
    training = TrainingSpec(epochs=EPOCHS[effort])
    return on_digits("relu", CENTRED, network=network, training=training, **options)  # type: ignore[arg-type]


def _off_centre(evidence: Evidence, key: str, arm: Arm) -> dict[int, float | None]:
    """The mean activation over sqrt(q), q the mean square of h."""
    values = evidence[key].values
    mean, h_mean, h_std = (values[reading].get(arm.position, {}) for reading in (_MEAN, _H_MEAN, _H_STD))
    return each(lambda m, a, b: m / math.hypot(a, b), mean, h_mean, h_std)


def _not_zero(evidence: Evidence) -> list[Sample]:
    return [Sample("relu", _off_centre(evidence, "relu", evidence["relu"].arm("relu")))]


def _as_predicted(evidence: Evidence) -> list[Sample]:
    measured = _off_centre(evidence, "relu", evidence["relu"].arm("relu"))
    return [Sample("relu: predicted 1/sqrt(2 pi) = 0.399", each(lambda m: math.log(m / _RELU_MEAN), measured))]


def _unbounded(evidence: Evidence) -> list[Sample]:
    spread = [evidence["gains"].of(_SPREAD, "relu", gain=gain) for gain in GAINS]
    exponent = each(lambda x: x / math.log(GAINS[1] / GAINS[0]), log_ratio(spread[1], spread[0]))
    return [Sample("relu", exponent)]


def _alone(evidence: Evidence) -> list[Sample]:
    every = evidence["every activation"]
    others = [_off_centre(evidence, "every activation", arm) for arm in every.arms() if arm.activation.label != "relu"]
    centred = each(lambda *means: sum(abs(mean) < 0.1 for mean in means) / len(means), *others)
    return [Sample(f"share of {len(others)} other activations", centred)]


def _drawback(evidence: Evidence) -> list[Sample]:
    found = []
    chosen = tuned(evidence["tuning"])
    for depth in sorted({arm.network.depth for arm in evidence["tuning"].arms()}):
        auc: dict[str, Values] = {}
        for label in ("relu", CENTRED.label):
            results, arm = somewhere(evidence, "judging", label, depth=depth)
            auc[label] = results.values[SCORE].get(arm.position, {})
        rates = {
            cell.activation.label: choice
            for cell, choice in chosen.items()
            if dict(cell.point)["network.depth"] == depth
        }
        told = f"depth {depth}: relu at {rates['relu']}, centred at {rates[CENTRED.label]}"
        found.append(Sample(told, log_ratio(auc["relu"], auc[CENTRED.label])))
    return found


CLAIM = Claim(
    name="C7",
    title="ReLU is off centre and unbounded",
    sentence="ReLU's expected output is not zero and its output has no bound, which is a drawback.",
    stages=(Stage("measuring", _measuring), Stage("judging", _judging)),
    parts=(
        Part(
            name="not_zero",
            statement="The mean output of ReLU units is not zero.",
            effect="Mean activation over the root mean square of the pre-activations, layer 1, before training, He's "
            "initialization.",
            direction="above",
            sesoi=0.1,
            explanation="ReLU cuts off the negative half of its inputs and keeps the positive one, so its outputs "
            "cannot average to zero.",
            would_change="Inputs to the unit that are almost always negative.",
            figure="every activation/mean_activation",
            samples=_not_zero,
            answer=Clause(
                "ReLU's mean output is not zero",
                "ReLU's mean output is next to zero",
            ),
        ),
        Part(
            name="as_predicted",
            statement="The mean is 1/sqrt(2 pi), or 0.399, of the pre-activations' root mean square.",
            effect="ln(measured / 0.399).",
            direction="within",
            sesoi=0.05,
            explanation="Before training pre-activations are close to normal with mean zero, and half of a normal "
            "distribution has that mean.",
            would_change="Pre-activations that are far from normal: narrow layers, or training.",
            figure="",
            samples=_as_predicted,
        ),
        Part(
            name="unbounded",
            statement="ReLU's output has no bound: it grows in proportion to its input.",
            effect="Exponent e in: spread of activations ~ (gain of the weights)^e, from gain 1 to 10. A bounded "
            "activation comes to 0, a proportional one to 1.",
            direction="above",
            sesoi=0.9,
            explanation="relu(a h) = a relu(h) for a > 0: ten times the weights give ten times the output, exactly. "
            "Nothing saturates, and nothing is held back.",
            would_change="A ceiling, as in relu6.",
            figure="",
            samples=_unbounded,
            answer=Clause(
                "its output has no bound",
                "its output does not grow in proportion to its input",
            ),
        ),
        Part(
            name="alone",
            statement="That sets ReLU apart: nearly all other activations are centred.",
            effect="Share of the other activations whose mean, over the root mean square of the pre-activations, is "
            "smaller than 0.1.",
            direction="above",
            sesoi=0.9,
            explanation="An odd function (tanh, erf, sin, softsign, the identity) is centred by symmetry. Most "
            "others are not: softplus is further off than ReLU is, sigmoid and GELU a little less.",
            would_change="A catalog with more odd functions in it.",
            figure="every activation/mean_activation",
            samples=_alone,
            answer=Clause(
                "nearly all other activations are centred",
                "it is not ReLU's alone: other activations are not centred either",
                said=False,
            ),
        ),
        Part(
            name="drawback",
            statement="It is a drawback: ReLU centred by a shift of -0.5 trains faster.",
            effect="ln of ReLU's mean training loss over all steps minus that of the centred one's, each at its own "
            "tuned learning rate. 0.1 is 10 %.",
            direction="above",
            sesoi=0.1,
            explanation="It is commonly put down to outputs of one sign, which push all weights of a unit above the "
            "same way. The shift is what was changed; it also makes the outputs' mean square smaller, so not all of "
            "what it changes need be the mean's own.",
            would_change="Batch norm, or an optimizer that adapts its steps: neither was tried here.",
            figure="judging/learning_curves",
            samples=_drawback,
            answer=Clause(
                "the mean is a drawback: shifted towards zero, ReLU trains faster",
                "the mean is no drawback: shifted towards zero, ReLU trains no faster",
            ),
        ),
    ),
)
