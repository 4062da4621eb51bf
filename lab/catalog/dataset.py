"""What a data set is: its task, how large it is, and the parameters it takes, all known without loading it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from lab.catalog.parameters import Parameter, Value, Whole

Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a data set holds. `n_inputs`, `n_outputs` and `sizes` take its parameters, by name.

    `n_outputs` are classes, or values to predict; `sizes` gives (n_train, n_test).
    """

    name: str
    description: str
    task: Task
    n_inputs: Callable[[Mapping[str, Value]], int]
    n_outputs: Callable[[Mapping[str, Value]], int]
    sizes: Callable[[Mapping[str, Value]], tuple[int, int]]
    parameters: tuple[Parameter, ...] = ()

    @property
    def defaults(self) -> dict[str, Value]:
        return {parameter.name: parameter.default for parameter in self.parameters}


def drawn(
    name: str,
    description: str,
    task: Task,
    *parameters: Parameter,
    n_inputs: Callable[[Mapping[str, Value]], int] = lambda parameters: 2,
    n_outputs: Callable[[Mapping[str, Value]], int] = lambda parameters: 2,
    sizes: tuple[int, int] = (1000, 1000),
) -> Dataset:
    """A data set of as many samples as are asked for; two classes in the plane unless told. `sizes` are defaults."""
    n_train, n_test = sizes
    asked = (
        Whole("n_train", n_train, 2, 100_000, "Number of training samples."),
        Whole("n_test", n_test, 1, 100_000, "Number of test samples."),
    )
    return Dataset(
        name,
        description,
        task,
        n_inputs,
        n_outputs,
        sizes=lambda given: (int(given["n_train"]), int(given["n_test"])),
        parameters=(*parameters, *asked),
    )


def collected(name: str, description: str, task: Task, *, n_inputs: int, n_outputs: int, n_samples: int) -> Dataset:
    """A data set that is what it is: four fifths of its samples to train on, the rest to test on."""
    n_train = n_samples * 4 // 5
    return Dataset(
        name,
        description,
        task,
        n_inputs=lambda parameters: n_inputs,
        n_outputs=lambda parameters: n_outputs,
        sizes=lambda parameters: (n_train, n_samples - n_train),
    )
