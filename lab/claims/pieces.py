"""C3: ReLU networks approximate any function, like a Riemann sum."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import geometric_mean
from typing import Any

import numpy as np

from lab.claims.claim import Asked, Claim, Clause, Effort, Part, Sample, Stage
from lab.claims.evidence import Evidence, Reading, each, somewhere
from lab.claims.settings import JUDGED, TUNED, activation
from lab.claims.tuning import JUDGING_SEED, RATE, TUNING_SEED, judging, tuned
from lab.spec import DatasetSpec, ExperimentSpec, NetworkSpec, RecordingSpec, TrainingSpec
from lab.statistics import Values
from lab.theory.gaussian import Array

Function = Callable[[Array], Array]

# As the data set `function_1d` has them, on [0, 1].
FUNCTIONS: Mapping[str, Function] = {
    "square": lambda x: x**2,
    "sine": lambda x: np.sin(2 * np.pi * x),
    "sqrt": np.sqrt,
    "abs": lambda x: np.abs(x - 1 / 3),
}
EXACTLY_DRAWN = "abs"
"""By two units."""
SIZES = (8, 16, 32, 64, 128)
WIDTHS: Mapping[Effort, tuple[int, ...]] = {"full": (4, 8, 16, 32, 64), "quick": (4, 16, 64)}
TRAINED: Mapping[Effort, tuple[str, ...]] = {"full": ("square", "sine", "sqrt", "abs"), "quick": ("square", "sine")}

_X = np.linspace(0.0, 1.0, 4097)
_PROBE_LOSS, _TEST_LOSS = Reading("probe_loss"), Reading("test_loss")


def _tuning(effort: Effort, _: Evidence) -> Mapping[str, Asked]:
    grid = (0.001, 0.003, 0.01, 0.03, 0.1) if effort == "full" else (0.003, 0.01, 0.03)
    sweep = (("dataset.function", TRAINED[effort]), ("network.width", WIDTHS[effort]), (RATE, grid))
    spec = _spec(effort, replicates=TUNED[effort], seed=TUNING_SEED, sweep=sweep)
    return {"tuning": Asked(spec, (_PROBE_LOSS,))}


def _judging(effort: Effort, evidence: Evidence) -> Mapping[str, Asked]:
    template = _spec(effort, replicates=JUDGED[effort], seed=JUDGING_SEED)
    return judging(template, tuned(evidence["tuning"], score=_PROBE_LOSS), _TEST_LOSS)


def _spec(effort: Effort, **options: Any) -> ExperimentSpec:
    return ExperimentSpec(
        activations=(activation("relu"),),
        dataset=DatasetSpec("function_1d", (("function", "square"), ("n_test", 511), ("n_train", 512))),
        network=NetworkSpec(depth=1),
        training=TrainingSpec(optimizer="adam", batch_size=128, steps=4000 if effort == "full" else 1000, epochs=None),
        recording=RecordingSpec(points=2),
        **options,
    )


def relu_network(knots: Array, values: Array) -> Function:
    """One hidden layer of ReLU units, one a piece: the continuous function through `values` at the rising `knots`."""
    slopes = np.diff(values) / np.diff(knots)
    weights = np.diff(slopes, prepend=0.0)
    return lambda x: np.asarray(values[0] + np.maximum(x[:, None] - knots[:-1], 0.0) @ weights)


def step_network(knots: Array, values: Array) -> Function:
    """One hidden layer of step units: the Riemann sum's bars, `values` (N,) between N + 1 `knots`."""
    jumps = np.diff(values)
    return lambda x: np.asarray(values[0] + (x[:, None] >= knots[1:-1]) @ jumps)


def fitted_network(function: Function, n: int) -> Function:
    """The least-squares fit by ReLU units at n fixed, even knots, and an offset."""
    knots = np.linspace(0.0, 1.0, n + 1)[:-1]

    def features(x: Array) -> Array:
        return np.column_stack([np.ones_like(x), np.maximum(x[:, None] - knots, 0.0)])

    coefficients, *_ = np.linalg.lstsq(features(_X), function(_X), rcond=None)
    return lambda x: np.asarray(features(x) @ coefficients)


def _rms(f: Function, g: Function) -> float:
    return float(np.sqrt(np.mean((f(_X) - g(_X)) ** 2)))


def rate(sizes: tuple[int, ...], errors: list[float]) -> float:
    """The exponent r of error ~ N^-r: minus the slope of ln error on ln N, by least squares."""
    return -float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def interpolated(function: Function, n: int, *, crowding: int = 1) -> Function:
    """Through the function at knots (i/N)^crowding."""
    knots = np.linspace(0.0, 1.0, n + 1) ** crowding
    return relu_network(knots, function(knots))


def bars(function: Function, n: int) -> Function:
    """Riemann's, as high as the function is in their middle."""
    knots = np.linspace(0.0, 1.0, n + 1)
    return step_network(knots, function((knots[:-1] + knots[1:]) / 2))


def _interpolated(_: Evidence) -> list[Sample]:
    return [
        _exact("x^2, even knots", interpolated, "square"),
        _exact("sin(2 pi x), even knots", interpolated, "sine"),
        # Where the function is steep the knots lie closer: with even ones the rate is 1.
        _exact("sqrt(x), knots at (i/N)^4", partial(interpolated, crowding=4), "sqrt"),
    ]


def _fitted(_: Evidence) -> list[Sample]:
    return [
        _exact("x^2, least squares", fitted_network, "square"),
        _exact("sin(2 pi x), least squares", fitted_network, "sine"),
    ]


def _like_riemann(_: Evidence) -> list[Sample]:
    return [_exact("x^2, step units", bars, "square"), _exact("sin(2 pi x), step units", bars, "sine")]


def _exact(told: str, made: Callable[[Function, int], Function], name: str) -> Sample:
    function = FUNCTIONS[name]
    errors = [_rms(made(function, n), function) for n in SIZES]
    return Sample(told, {0: rate(SIZES, errors)}, exact=True, made_of=_told(SIZES, errors))


def _trained(evidence: Evidence) -> list[Sample]:
    arms = evidence["tuning"].arms()
    widths = tuple(sorted({arm.network.width for arm in arms}))
    functions = dict.fromkeys(str(dict(arm.dataset.parameters)["function"]) for arm in arms)

    def exponent(*losses: float) -> float:
        # The test loss is a mean square: its root has half its slope.
        return rate(widths, [math.sqrt(loss) for loss in losses])

    def losses(function: str, width: int) -> Values:
        results, arm = somewhere(evidence, "judging", "relu", function=function, width=width)
        return results.values[_TEST_LOSS].get(arm.position, {})

    def sample(function: str) -> Sample:
        found = [losses(function, width) for width in widths]
        # Of the geometric means over networks the exponent is the mean of the networks' own.
        errors = [geometric_mean(known) if (known := [math.sqrt(x) for x in of.values() if x]) else 0 for of in found]
        return Sample(function, each(exponent, *found), made_of=_told(widths, errors))

    return [sample(function) for function in functions if function != EXACTLY_DRAWN]


def _told(sizes: Sequence[int], errors: Sequence[float]) -> dict[str, float]:
    return {f"error at N = {n}": error for n, error in zip(sizes, errors, strict=True) if error}


CLAIM = Claim(
    name="C3",
    title="ReLU networks approximate like a Riemann sum",
    sentence="With enough ReLU units a network approximates any function, as a Riemann sum does.",
    stages=(Stage("tuning", _tuning), Stage("judging", _judging)),
    parts=(
        Part(
            name="interpolates",
            statement="A hidden layer of N ReLU units can approximate a smooth function, and the square root with "
            "crowded knots, with an error that falls as N^-2.",
            effect="Exponent r of: root mean square error ~ N^-r, of constructed networks of 8 to 128 units on [0, 1].",
            direction="above",
            sesoi=1.9,
            explanation="Each unit adds one bend, so N units draw any line of N pieces, and a chord misses a curve "
            "by the square of its length. sqrt needs knots that crowd where it is steep; with even ones its rate is "
            "about 1. A few functions of one input stand for any.",
            would_change="A function with a jump, or many inputs: the number of pieces needed grows with the "
            "dimension.",
            figure="",
            samples=_interpolated,
            answer=Clause(
                "N ReLU units can approximate a function of one input with an error that falls as N^-2",
                "the error of N ReLU units does not fall as N^-2",
            ),
        ),
        Part(
            name="fits",
            statement="With the best weights for fixed, even knots the error falls as N^-2 too.",
            effect="The same exponent, of least-squares fits with 8 to 128 units.",
            direction="above",
            sesoi=1.9,
            explanation="With the knots fixed only the readout is left to choose, and least squares finds the best "
            "one; it cannot do worse than the constructed network.",
            would_change="Knots in the wrong place.",
            figure="",
            samples=_fitted,
        ),
        Part(
            name="like_riemann",
            statement="A Riemann sum's error falls as N^-2 as well.",
            effect="The same exponent, of the Riemann sum's bars (step units), 8 to 128 of them.",
            direction="above",
            sesoi=1.9,
            explanation="Bars miss a slope by their width, lines only by its square: the sum's rate is 1, ReLU's is "
            "2. The likeness is to the trapezoidal rule.",
            would_change="Nothing: it is arithmetic.",
            figure="",
            samples=_like_riemann,
            answer=Clause(
                "a Riemann sum's error falls as fast",
                "a Riemann sum is the lesser likeness: its error falls more slowly",
            ),
        ),
        Part(
            name="trained",
            statement="Training finds such networks: its error falls as N^-2 too.",
            effect="The same exponent, of the test error of trained networks of 4 to 64 units, Adam at a learning "
            "rate tuned for each width and function.",
            direction="above",
            sesoi=1.9,
            explanation="That good weights exist does not say that descent finds them in the steps it is given. "
            "|x - 1/3| is left out: two units draw it exactly, so its error has no rate.",
            would_change="A method that places the bends, or much longer training.",
            figure="",
            samples=_trained,
            answer=Clause(
                "training finds such networks",
                "training does not find networks as good as these",
                said=False,
            ),
        ),
    ),
)
