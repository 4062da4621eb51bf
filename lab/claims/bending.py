"""C2: ReLU looks linear, but it is not: it bends."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.predictions import BREAKPOINTS
from lab.claims.claim import Asked, Claim, Clause, Effort, Part, Sample, Stage
from lab.claims.evidence import Evidence, Reading, each, log_ratio
from lab.claims.settings import EPOCHS, JUDGED, on_digits
from lab.spec import TrainingSpec
from lab.statistics import Values
from lab.theory.geometry import N_SEGMENTS

WIDTH, DEPTH = 256, 3
LAYERS = range(1, DEPTH + 1)

_AT_START = {layer: Reading(BREAKPOINTS, "first", layer) for layer in LAYERS}
_AT_END = {layer: Reading(BREAKPOINTS, "last", layer) for layer in LAYERS}
_MISS_AT_START, _MISS_AT_END = (Reading("piece_residual", at, DEPTH) for at in ("first", "last"))


def _measuring(effort: Effort, _: Evidence) -> Mapping[str, Asked]:
    spec = on_digits(
        "relu",
        network={"depth": DEPTH, "width": WIDTH, "initialization": "he_normal"},
        training=TrainingSpec(epochs=EPOCHS[effort]),
        replicates=JUDGED[effort],
        geometry=True,
    )
    readings = (*_AT_START.values(), *_AT_END.values(), _MISS_AT_START, _MISS_AT_END)
    return {"trained": Asked(spec, readings, predicted=(BREAKPOINTS,))}


def _of_trained(evidence: Evidence, reading: Reading) -> Values:
    return evidence["trained"].of(reading, "relu")


def _not_additive(_: Evidence) -> list[Sample]:
    relu = ACTIVATIONS["relu"].phi
    gap = relu(np.array(-1.0)) + relu(np.array(1.0)) - relu(np.array(0.0))
    return [Sample("relu(-1) + relu(1) - relu(-1 + 1)", {0: float(gap)}, exact=True)]


def _not_homogeneous(_: Evidence) -> list[Sample]:
    # Powers of two scale without rounding.
    h, factors = np.linspace(-4, 4, 257), 2.0 ** np.arange(-8, 9)[:, None]
    relu = ACTIVATIONS["relu"].phi
    gap = np.abs(relu(factors * h) - factors * relu(h)).max()
    return [Sample("largest |relu(a h) - a relu(h)|, a > 0", {0: float(gap)}, exact=True)]


def _counts(evidence: Evidence) -> list[Sample]:
    return [_over_predicted(evidence, layer, _AT_START[layer]) for layer in LAYERS]


def _over_predicted(evidence: Evidence, layer: int, reading: Reading) -> Sample:
    predicted = evidence["trained"].predicted.get((0, layer, BREAKPOINTS))
    excess = each(lambda count: count / predicted - 1 if predicted else None, _of_trained(evidence, reading))
    told = f" ({predicted:.1f} breakpoints predicted)" if predicted else ""
    return Sample(f"layer {layer}{told}", excess)


def _affine_between(evidence: Evidence) -> list[Sample]:
    readings = {"before training": _MISS_AT_START, "after training": _MISS_AT_END}
    return [Sample(f"largest over all pieces, {when}", _of_trained(evidence, at)) for when, at in readings.items()]


def _kept(evidence: Evidence) -> list[Sample]:
    return [
        Sample(
            f"layer {layer}", log_ratio(_of_trained(evidence, _AT_END[layer]), _of_trained(evidence, _AT_START[layer]))
        )
        for layer in LAYERS
    ]


CLAIM = Claim(
    name="C2",
    title="ReLU is not linear, but bends",
    sentence="ReLU looks linear, but it is not: it bends, and so do networks of it.",
    stages=(Stage("measuring", _measuring),),
    parts=(
        Part(
            name="not_additive",
            statement="ReLU is not linear: relu(x) + relu(y) is not relu(x + y).",
            effect="relu(-1) + relu(1) - relu(0); 0 for a linear function.",
            direction="above",
            sesoi=1e-9,
            explanation="A linear function has f(x) + f(y) = f(x + y) everywhere. One counterexample is enough.",
            would_change="Nothing: it is arithmetic.",
            figure="",
            samples=_not_additive,
            answer=Clause(
                "ReLU is not linear",
                "ReLU is linear",
            ),
        ),
        Part(
            name="not_homogeneous",
            statement="It has nothing of a linear function: relu(a h) is not a relu(h), not even for positive a.",
            effect="The largest |relu(a h) - a relu(h)| over h from -4 to 4 and positive a.",
            direction="above",
            sesoi=1e-9,
            explanation="ReLU is positively homogeneous: it scales as a linear function does, and fails only at "
            "adding. That is why a ReLU network without biases only changes scale when its weights do.",
            would_change="Negative factors: relu(-h) is not -relu(h).",
            figure="",
            samples=_not_homogeneous,
            answer=Clause(
                "ReLU does not even scale as a linear function does",
                "ReLU scales as a linear function does: relu(a h) = a relu(h) for positive a",
                said=False,
            ),
        ),
        Part(
            name="counts",
            statement="Along a line from one input to another an untrained ReLU network bends as often as theory says, "
            "in every layer.",
            effect="Breakpoints counted exactly over those that Kac and Rice expect of wide layers, minus 1, before "
            f"training; {DEPTH} layers of {WIDTH} units, He's initialization, a mean over {N_SEGMENTS} lines between "
            "two digits.",
            direction="within",
            sesoi=0.1,
            explanation="A breakpoint is where some unit switches on or off. Each is solved for, not searched on a "
            "grid. A smooth activation, such as tanh, has none: for it the question has no meaning, and the answer "
            "is not 0.",
            would_change="Narrow layers, in which units of one layer depend on each other.",
            figure="",
            samples=_counts,
            answer=Clause(
                "untrained networks of it bend along a line as often as theory says",
                "untrained networks of it do not bend along a line as often as theory says",
            ),
        ),
        Part(
            name="affine_between",
            statement="Between its breakpoints the network is affine, before training and after: a line, piece by "
            "piece.",
            effect="Largest distance of the middle of a piece from the mean of two points beside it, over the range "
            "of the outputs on the line, in double precision.",
            direction="within",
            sesoi=1e-9,
            explanation="Where no unit switches, every layer is an affine map, and so is the whole, whatever the "
            "weights. All bending is at the breakpoints.",
            would_change="An activation that is curved.",
            figure="",
            samples=_affine_between,
            answer=Clause(
                "between the bends they are affine",
                "between the bends they are not affine",
                said=False,
            ),
        ),
        Part(
            name="kept",
            statement="Training leaves the number of bends between two inputs as it was.",
            effect=f"ln of the breakpoints after training over those before, in each layer. {math.log(1.1):.1f} is "
            "10 %.",
            direction="within",
            sesoi=0.1,
            explanation="The count that theory gives holds for independent weights, which training makes dependent. It "
            "need not keep the count, nor need it change it by much.",
            would_change="Fewer or smaller steps.",
            figure="",
            samples=_kept,
            answer=Clause(
                "training leaves the number of bends as it was",
                "training changes the number of bends",
                said=False,
            ),
        ),
    ),
)
