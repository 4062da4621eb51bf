"""C8: tanh trains faster than sigmoid because its mean is zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.claims.claim import Asked, Claim, Clause, Effort, Part, Sample, Stage
from lab.claims.evidence import Evidence, Reading, log_ratio, mean_of, minus, somewhere
from lab.claims.settings import EPOCHS, JUDGED, TUNED, activation, on_digits
from lab.claims.tuning import RATE, SCORE, TUNING_SEED, judging, tuned
from lab.spec import ExperimentSpec, TrainingSpec
from lab.statistics import Values

SIGMOID = activation("sigmoid")
CENTRED = activation("sigmoid", shift=-0.5)
STEEP = activation("sigmoid", scale_in=4.0)
CENTRED_STEEP = activation("sigmoid", scale_out=4.0, shift=-2.0)
TANH = activation("tanh")
TANH_RAISED = activation("tanh", shift=1.0)
FACTORIAL = (SIGMOID, CENTRED, STEEP, TANH, CENTRED_STEEP, TANH_RAISED)

DEPTHS: Mapping[Effort, tuple[int, ...]] = {"full": (1, 3, 5, 8), "quick": (1, 5)}
DEEP = 5
"""From here on a network counts as deep."""

_ACCURACY = Reading("test_accuracy")


def _tuning(effort: Effort, _: Evidence) -> Mapping[str, Asked]:
    grid = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if effort == "full" else (0.03, 0.1, 0.3, 1.0, 3.0)
    sweep = (("network.depth", DEPTHS[effort]), (RATE, grid))
    return {"tuning": Asked(_spec(effort, replicates=TUNED[effort], seed=TUNING_SEED, sweep=sweep), (SCORE,))}


def _judging(effort: Effort, evidence: Evidence) -> Mapping[str, Asked]:
    return judging(_spec(effort, replicates=JUDGED[effort]), tuned(evidence["tuning"]), _ACCURACY)


def _spec(effort: Effort, **options: Any) -> ExperimentSpec:
    network = {"width": 64, "initialization": "xavier_normal"}
    return on_digits(*FACTORIAL, network=network, training=TrainingSpec(epochs=EPOCHS[effort]), **options)


def _depths(evidence: Evidence) -> list[int]:
    return sorted({arm.network.depth for arm in evidence["tuning"].arms()})


def _auc(evidence: Evidence, label: str, depth: int) -> Values:
    results, arm = somewhere(evidence, "judging", label, depth=depth)
    return results.values[SCORE].get(arm.position, {})


def _faster(evidence: Evidence, depth: int, than: str, label: str) -> dict[int, float | None]:
    """By how much `label` is faster: ln of the other's mean loss minus its own."""
    return log_ratio(_auc(evidence, than, depth), _auc(evidence, label, depth))


def _tanh_against_sigmoid(evidence: Evidence, depths: list[int]) -> list[Sample]:
    rates = {
        (cell.activation.label, dict(cell.point)["network.depth"]): choice
        for cell, choice in tuned(evidence["tuning"]).items()
    }
    return [
        Sample(
            f"depth {depth}: tanh at {rates['tanh', depth]}, sigmoid at {rates['sigmoid', depth]}",
            _faster(evidence, depth, "sigmoid", "tanh"),
        )
        for depth in depths
    ]


def _deep(evidence: Evidence) -> list[Sample]:
    return _tanh_against_sigmoid(evidence, [depth for depth in _depths(evidence) if depth >= DEEP])


def _shallow(evidence: Evidence) -> list[Sample]:
    return _tanh_against_sigmoid(evidence, [1])


def _centring(evidence: Evidence, depth: int) -> dict[str, dict[int, float | None]]:
    """What a mean of zero gains at equal slope, for a small slope and a large one."""
    return {
        "slope 1/4: sigmoid - 1/2 against sigmoid": _faster(evidence, depth, SIGMOID.label, CENTRED.label),
        "slope 1: tanh against tanh + 1": _faster(evidence, depth, TANH_RAISED.label, TANH.label),
    }


def _of_mean(evidence: Evidence, depth: int) -> dict[int, float | None]:
    """What centring gains at equal slope, averaged over a small slope and a large one."""
    return mean_of(list(_centring(evidence, depth).values()))


def _of_slope(evidence: Evidence, depth: int) -> dict[int, float | None]:
    """What a slope of 1 in place of 1/4 gains at equal mean, averaged over mean 1/2 and mean 0."""
    raised = _faster(evidence, depth, SIGMOID.label, STEEP.label)
    centred = _faster(evidence, depth, CENTRED.label, CENTRED_STEEP.label)
    return mean_of([raised, centred])


def _mean_helps(evidence: Evidence) -> list[Sample]:
    return _centred(evidence, [depth for depth in _depths(evidence) if depth >= DEEP])


def _mean_helps_shallow(evidence: Evidence) -> list[Sample]:
    return _centred(evidence, [1])


def _centred(evidence: Evidence, depths: list[int]) -> list[Sample]:
    return [
        Sample(f"depth {depth}, {told}", gained)
        for depth in depths
        for told, gained in _centring(evidence, depth).items()
    ]


def _mean_is_all(evidence: Evidence) -> list[Sample]:
    """tanh(x) = 2 s(2x) - 1 differs from s - 1/2, which is centred as it is, in slope and range alone."""
    return [
        Sample(f"depth {d}: tanh against sigmoid - 1/2", _faster(evidence, d, CENTRED.label, TANH.label))
        for d in _depths(evidence)
        if d >= DEEP
    ]


def _mean_before_slope(evidence: Evidence) -> list[Sample]:
    return _mean_against_slope(evidence, [depth for depth in _depths(evidence) if depth >= DEEP])


def _mean_before_slope_shallow(evidence: Evidence) -> list[Sample]:
    return _mean_against_slope(evidence, [depth for depth in _depths(evidence) if depth < DEEP])


def _mean_against_slope(evidence: Evidence, depths: list[int]) -> list[Sample]:
    return [Sample(f"depth {depth}", minus(_of_mean(evidence, depth), _of_slope(evidence, depth))) for depth in depths]


_FASTER = (
    "ln of sigmoid's mean training loss over all steps minus that of tanh's, each at its own tuned learning rate. "
    "0.1 is 10 %."
)
_CENTRING = (
    "What a mean of zero gains at equal slope: ln of the other's mean training loss over all steps minus that of the "
    "centred one's, each at its own tuned learning rate."
)
_AGAINST_SLOPE = (
    "What centring gains (the mean over slopes of 1/4 and 1) minus what a slope of 1 in place of 1/4 gains "
    "(sigmoid(4x) against sigmoid, 4 (sigmoid - 1/2) against sigmoid - 1/2, their mean), as ln of mean training losses."
)

CLAIM = Claim(
    name="C8",
    title="Tanh is faster than sigmoid, because its mean is zero",
    sentence="Tanh trains faster than sigmoid, because its output has mean zero.",
    stages=(Stage("tuning", _tuning), Stage("judging", _judging)),
    parts=(
        Part(
            name="deep",
            statement="In deep networks (five hidden layers and more) tanh trains faster than sigmoid.",
            effect=_FASTER,
            direction="above",
            sesoi=0.1,
            explanation="Sigmoid's gradients shrink from layer to layer (C4), so in the steps given a deep sigmoid "
            "network may hardly leave the plateau it starts on, at any learning rate.",
            would_change="Normalization, larger weights at the start, or very many more steps.",
            figure="tuning/comparison",
            samples=_deep,
            answer=Clause(
                "tanh trains faster than sigmoid in deep networks",
                "tanh does not always train faster than sigmoid in deep networks",
            ),
        ),
        Part(
            name="shallow",
            statement="With one hidden layer tanh trains faster than sigmoid.",
            effect=_FASTER,
            direction="above",
            sesoi=0.1,
            explanation="With one hidden layer no factors multiply, and sigmoid can make up for much of its slope by a "
            "larger learning rate. How much slower it still is must be measured.",
            would_change="An optimizer that adapts its steps to each weight.",
            figure="tuning/comparison",
            samples=_shallow,
            answer=Clause(
                "tanh trains faster than sigmoid with one hidden layer",
                "tanh trains no faster than sigmoid with one hidden layer",
            ),
        ),
        Part(
            name="mean_helps",
            statement="At equal slope a mean of zero makes deep networks train faster.",
            effect=_CENTRING,
            direction="above",
            sesoi=0.1,
            explanation="The pairs differ in a constant alone, so slope, range and shape are the same. A mean of zero "
            "can help only where the slope lets a network train at all; where it does not, both stay on the plateau "
            "of guessing and the mean changes nothing.",
            would_change="Batch norm before the activation, or biases that take the constant away.",
            figure="",
            samples=_mean_helps,
            answer=Clause(
                "at equal slope a mean of zero makes deep networks train faster",
                "at equal slope a mean of zero does not help every deep network",
                said=False,
            ),
        ),
        Part(
            name="mean_helps_shallow",
            statement="At equal slope a mean of zero makes a network with one hidden layer train faster.",
            effect=_CENTRING,
            direction="above",
            sesoi=0.1,
            explanation="The pairs differ in a constant alone, which the readout's biases could take away. The "
            "table of learning rates shows how far they differ at others than the best; why was not measured.",
            would_change="Smaller learning rates.",
            figure="tuning/comparison",
            samples=_mean_helps_shallow,
            answer=Clause(
                "at equal slope a mean of zero helps a network with one hidden layer",
                "at equal slope a mean of zero does not help a network with one hidden layer",
                said=False,
            ),
        ),
        Part(
            name="mean_is_all",
            statement="The mean is the reason: sigmoid - 1/2, whose mean is zero, trains as fast as tanh.",
            effect="ln of the mean training loss of sigmoid - 1/2 minus that of tanh.",
            direction="within",
            sesoi=0.1,
            explanation="tanh(x) = 2 sigmoid(2x) - 1: it is the centred sigmoid, four times as steep at 0. If the "
            "mean were all, the steepness would not matter.",
            would_change="Weights four times as large for the centred sigmoid, which make the two alike.",
            figure="tuning/comparison",
            samples=_mean_is_all,
            answer=Clause(
                "the mean of zero is the reason: sigmoid - 1/2 trains as tanh does",
                "the mean of zero is not the whole reason: sigmoid - 1/2 has it too and does not train as tanh does",
            ),
        ),
        Part(
            name="mean_before_slope",
            statement="In deep networks the mean matters more than the slope.",
            effect=_AGAINST_SLOPE,
            direction="above",
            sesoi=0.1,
            explanation="Both halves of the factorial are measured on the same seeds, so the two gains can be "
            "compared.",
            would_change="An initialization in which the slope is made up for by the weights.",
            figure="tuning/comparison",
            samples=_mean_before_slope,
            answer=Clause(
                "in deep networks the mean matters more than the slope",
                "in deep networks the mean does not matter more than the slope",
                said=False,
            ),
        ),
        Part(
            name="mean_before_slope_shallow",
            statement="In shallower networks (one hidden layer, or three) the mean matters more than the slope.",
            effect=_AGAINST_SLOPE,
            direction="above",
            sesoi=0.1,
            explanation="With few layers a slope of 1/4 costs little that a larger learning rate does not make up for, "
            "so the two gains can come close to each other.",
            would_change="Deeper networks, in which slopes multiply.",
            figure="tuning/comparison",
            samples=_mean_before_slope_shallow,
        ),
    ),
)
