"""How the engine's time and memory grow with the size of what is asked, each drawn beside what is expected.

    python -m benchmarks.scaling docs/scaling.svg

Every point is a job in a fresh process with one thread. Takes a few minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import job
from benchmarks.job import Job, Share, Task
from benchmarks.workloads import WORKLOADS, planned
from lab import cost
from lab.spec import ExperimentSpec, NetworkSpec, RecordingSpec

_ONE = Share(1, 1)
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Axis:
    """What grows, in `values`; `asked` makes the request for one of them."""

    name: str
    values: Sequence[int]
    asked: Callable[[int], ExperimentSpec]


@dataclass(frozen=True, slots=True)
class Point:
    """One job: its seconds without start-up, and the bytes that its largest stack held beyond the libraries."""

    value: int
    seconds: float
    bytes_held: int
    bytes_planned: int


def _networks(n: int) -> ExperimentSpec:
    tiny = WORKLOADS["tiny"]
    return _of_steps(replace(tiny, replicates=max(n // len(tiny.activations), 1)), 100)


def _of_steps(spec: ExperimentSpec, steps: int) -> ExperimentSpec:
    # Few recorded points: what is recorded stays in memory here, where a worker writes it away.
    return replace(spec, training=replace(spec.training, steps=steps), recording=RecordingSpec(points=3))


def _shaped(depth: int, width: int, replicates: int) -> ExperimentSpec:
    return _of_steps(replace(WORKLOADS["mid"], network=NetworkSpec(depth, width), replicates=replicates), 50)


AXES: tuple[Axis, ...] = (
    Axis("networks", (12, 32, 100, 300, 1000, 3000, 10_000), _networks),
    Axis("steps", (100, 300, 1000, 3000, 10_000), lambda steps: _of_steps(WORKLOADS["tiny"], steps)),
    Axis("depth", (1, 2, 4, 8, 16, 32, 64), lambda depth: _shaped(depth, 64, 5)),
    Axis("width", (16, 32, 64, 128, 256, 512, 1024), lambda width: _shaped(4, width, 2)),
)


def main() -> None:
    """Prints each axis as a table, and draws all of them into the file that is named."""
    if len(sys.argv) != 2:
        raise SystemExit("Usage: python -m benchmarks.scaling FILE.svg")
    libraries = _done(_of_steps(_shaped(1, 1, 1), 1)).peak_bytes
    print(f"A process with its libraries, before it trains: {libraries / _MIB:.0f} MiB")
    drawn = {axis.name: list(_measured(axis, libraries)) for axis in AXES}
    draw(drawn, Path(sys.argv[1]))


def _measured(axis: Axis, libraries: int) -> Iterator[Point]:
    print(f"\n| {axis.name} | seconds | seconds / {axis.name} | MiB held | MiB planned |\n|---|---|---|---|---|")
    for value in axis.values:
        spec = axis.asked(value)
        done = _done(spec)
        planned_bytes = max(cost.memory_bytes(stack.shape, n_runs=len(stack.runs)) for stack in planned(spec).stacks)
        point = Point(value, done.work_s, max(done.peak_bytes - libraries, 0), planned_bytes)
        numbers = f"{point.seconds:.2f} | {point.seconds / value:.2g}"
        print(f"| {value} | {numbers} | {point.bytes_held / _MIB:.0f} | {planned_bytes / _MIB:.0f} |", flush=True)
        yield point


def _done(spec: ExperimentSpec) -> Job:
    return job.run(Task("engine", spec), _ONE)


def draw(drawn: dict[str, list[Point]], path: Path) -> None:
    from matplotlib import pyplot, rcParams

    # The same numbers give the same file.
    rcParams["svg.hashsalt"] = "scaling"
    figure, panes = pyplot.subplots(2, len(drawn), figsize=(3.2 * len(drawn), 5.6), layout="constrained")
    for (name, points), of_time, of_memory in zip(drawn.items(), *panes, strict=True):
        _draw_time(of_time, points)
        _draw_memory(of_memory, points)
        of_memory.set_xlabel(name)
    panes[0][0].set_ylabel("seconds")
    panes[1][0].set_ylabel("MiB beyond the libraries")
    figure.savefig(path, metadata={"Date": None})


def _draw_time(pane: Any, points: list[Point]) -> None:
    last = points[-1]
    values = [point.value for point in points]
    pane.loglog(values, [point.seconds for point in points], marker="o", label="measured")
    proportional = [last.seconds * value / last.value for value in values]
    pane.loglog(values, proportional, linestyle=":", color="grey", label="in proportion")
    pane.legend(frameon=False)


def _draw_memory(pane: Any, points: list[Point]) -> None:
    values = [point.value for point in points]
    pane.loglog(values, [max(point.bytes_held / _MIB, 1.0) for point in points], marker="o", label="held")
    pane.loglog(values, [point.bytes_planned / _MIB for point in points], color="grey", linestyle=":", label="planned")
    pane.legend(frameon=False)


if __name__ == "__main__":
    main()
