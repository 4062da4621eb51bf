"""The data sets that can be asked for: what they hold. `worker/datasets.py` makes them, one maker an entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from lab.catalog.parameters import Choice, Number, Parameter, Value, Whole

Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a data set holds. `n_outputs` are classes, or values to predict; `sizes` gives (n_train, n_test)."""

    name: str
    description: str
    task: Task
    n_inputs: int
    n_outputs: int
    sizes: Callable[[Mapping[str, Value]], tuple[int, int]]
    parameters: tuple[Parameter, ...] = ()


def _asked(parameters: Mapping[str, Value]) -> tuple[int, int]:
    return int(parameters["n_train"]), int(parameters["n_test"])


def _sizes(n_train: int, n_test: int) -> tuple[Whole, Whole]:
    return (
        Whole("n_train", n_train, 2, 100_000, "Number of training samples."),
        Whole("n_test", n_test, 1, 100_000, "Number of test samples."),
    )


DATASETS: dict[str, Dataset] = {
    entry.name: entry
    for entry in (
        Dataset(
            "digits",
            "scikit-learn's 8 x 8 handwritten digits, standardised with one global mean and standard deviation; "
            "1,437 train, 360 test.",
            "classification",
            n_inputs=64,
            n_outputs=10,
            sizes=lambda parameters: (1437, 360),
        ),
        Dataset(
            "xor",
            "Points uniform on the square [-1, 1]^2; the class says whether the coordinates' signs differ. No linear "
            "function beats chance.",
            "classification",
            n_inputs=2,
            n_outputs=2,
            sizes=_asked,
            parameters=(
                *_sizes(1000, 1000),
                Number("noise", 0.0, 0.0, 10.0, "Standard deviation added to the points."),
            ),
        ),
        Dataset(
            "spirals",
            "Two interleaved spirals of one and a half turns in the plane, within radius 1.",
            "classification",
            n_inputs=2,
            n_outputs=2,
            sizes=_asked,
            parameters=(
                *_sizes(1000, 1000),
                Number("noise", 0.02, 0.0, 10.0, "Standard deviation added to the points."),
            ),
        ),
        Dataset(
            "function_1d",
            "A function of one variable on [0, 1]: training inputs evenly spaced, test inputs between them.",
            "regression",
            n_inputs=1,
            n_outputs=1,
            sizes=_asked,
            parameters=(
                Choice(
                    "function", "sine", ("square", "sine", "sqrt", "abs"), "x^2, sin(2 pi x), sqrt(x) or |x - 1/3|."
                ),
                *_sizes(512, 511),
            ),
        ),
    )
}
