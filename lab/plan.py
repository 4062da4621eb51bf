"""From a request to work: arms, runs and stacks, the steps that are recorded, and what it all costs.

Everything here is a pure function of the spec: the same request gives the same stacks on any lab.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab import bounds, cost
from lab.catalog.dataset import Dataset
from lab.catalog.datasets import DATASETS
from lab.limits import Limits
from lab.spec import (
    ActivationSpec,
    DatasetSpec,
    ExperimentSpec,
    NetworkSpec,
    RecordingSpec,
    Swept,
    TrainingSpec,
    in_words,
    with_value,
)


@dataclass(frozen=True, slots=True)
class Arm:
    """One setting of everything but the seed. `swept` holds the grid point, path to value, in the sweep's order."""

    position: int
    activation: ActivationSpec
    dataset: DatasetSpec
    network: NetworkSpec
    training: TrainingSpec
    swept: tuple[tuple[str, Swept], ...]
    probe_size: int
    """Training inputs that statistics are taken on: as many as asked for, or all where there are fewer."""
    baseline: int
    """Position of the arm that this one is compared with: the baseline activation at the same grid point."""

    @property
    def label(self) -> str:
        grid = ", ".join(f"{path.partition('.')[2]}={value}" for path, value in self.swept)
        return f"{self.activation.label}, {grid}" if grid else self.activation.label

    @property
    def point(self) -> str:
        """The grid point in words; empty without a sweep."""
        return ", ".join(f"{path.partition('.')[2]} {in_words(value)}" for path, value in self.swept)

    @property
    def data(self) -> Dataset:
        return DATASETS[self.dataset.name]

    @property
    def n_inputs(self) -> int:
        return self.data.n_inputs(dict(self.dataset.parameters))

    @property
    def n_outputs(self) -> int:
        """Classes, or values to predict."""
        return self.data.n_outputs(dict(self.dataset.parameters))

    @property
    def sizes(self) -> tuple[int, int]:
        """(n_train, n_test)."""
        return self.data.sizes(dict(self.dataset.parameters))

    @property
    def batch_size(self) -> int:
        return min(self.training.batch_size, self.sizes[0])

    @property
    def steps_per_epoch(self) -> int:
        """The last partial batch of an epoch is dropped."""
        return self.sizes[0] // self.batch_size

    @property
    def steps(self) -> int:
        if self.training.steps is not None:
            return self.training.steps
        return (self.training.epochs or 0) * self.steps_per_epoch

    @property
    def n_parameters(self) -> int:
        """Weights and biases of one network, a norm's scale and shift included."""
        width, depth = self.network.width, self.network.depth
        hidden = (self.n_inputs + 1) * width + (depth - 1) * (width + 1) * width
        norm = 2 * width * depth if self.network.normalization != "none" else 0
        return hidden + norm + (width + 1) * self.n_outputs


@dataclass(frozen=True, slots=True)
class Run:
    """One network: an arm at a replicate."""

    arm: Arm
    replicate: int


@dataclass(frozen=True, slots=True)
class Stack:
    """Runs of one shape that train together.

    Data set, depth, width, normalization, residual, dtype, optimizer, schedule, batch size and number of steps are the
    same for all, and so is whether weights decay and whether gradients are clipped. Activation, initialization, gain,
    learning rate, how much weights decay or gradients are clipped, and replicate may differ.
    """

    position: int
    runs: tuple[Run, ...]
    seed: int
    recording: RecordingSpec

    @property
    def shape(self) -> Arm:
        """An arm that stands for what all runs of the stack share."""
        return self.runs[0].arm

    @property
    def recorded_steps(self) -> tuple[int, ...]:
        return recorded_steps(self.shape.steps, self.recording)

    @property
    def probe_size(self) -> int:
        return self.shape.probe_size

    @property
    def cost_flops(self) -> int:
        arms = {run.arm.position: run.arm for run in self.runs}
        of_arm = {position: cost.flops(arm, self.recording) for position, arm in arms.items()}
        return sum(of_arm[run.arm.position] for run in self.runs)


@dataclass(frozen=True, slots=True)
class Plan:
    arms: tuple[Arm, ...]
    stacks: tuple[Stack, ...]
    cost_flops: int

    @property
    def n_runs(self) -> int:
        return sum(len(stack.runs) for stack in self.stacks)

    @property
    def n_steps(self) -> int:
        """Of all stacks, each counted once per run in it."""
        return sum(stack.shape.steps * len(stack.runs) for stack in self.stacks)


def plan(spec: ExperimentSpec, limits: Limits) -> Plan:
    """The work that `spec` asks for.

    Raises InvalidRequest, before anything large is made, where it is too much or where its arms are not distinct.
    """
    bounds.check_counts(spec, limits)
    arms = arms_of(spec)
    bounds.check_arms(spec, arms, limits)
    total = spec.replicates * sum(cost.flops(arm, spec.recording) for arm in arms)
    return Plan(arms, tuple(_stacks(spec, arms)), total)


def plan_more(spec: ExperimentSpec, limits: Limits, *, replicates: int, n_stacks: int) -> Plan:
    """What `spec` asks for beyond the first `replicates` of every arm, where these made `n_stacks` stacks.

    The arms are those of `spec`, and the stacks are counted on. Raises InvalidRequest where `spec` as a whole is too
    much.
    """
    whole = plan(spec, limits)
    stacks = tuple(_stacks(spec, whole.arms, since=replicates, position=n_stacks))
    return Plan(whole.arms, stacks, sum(stack.cost_flops for stack in stacks))


def arms_of(spec: ExperimentSpec) -> tuple[Arm, ...]:
    """Activations times every combination of the sweep, in that order."""
    return tuple(_arms(spec))


def recorded_steps(steps: int, recording: RecordingSpec) -> tuple[int, ...]:
    """At most `points` distinct steps, 0 and the last among them; fewer where the run is shorter."""
    n = min(recording.points, steps + 1)
    if recording.spacing == "even":
        return tuple(round(i * steps / (n - 1)) for i in range(n))
    # Logarithmic spacing rounds several early points to one step: each is pushed on to the next free step.
    spaced: list[int] = [0]
    for i in range(1, n):
        exact = steps ** ((i - 1) / (n - 2)) if n > 2 else steps
        spaced.append(max(spaced[-1] + 1, round(exact)))
    return (*spaced[:-1], steps)


def _arms(spec: ExperimentSpec) -> Iterator[Arm]:
    grid = list(itertools.product(*(values for _, values in spec.sweep)))
    paths = [path for path, _ in spec.sweep]
    for i, activation in enumerate(spec.activations):
        for j, values in enumerate(grid):
            swept = tuple(zip(paths, values, strict=True))
            point = spec
            for path, value in swept:
                point = with_value(point, path, value)
            n_train, _ = DATASETS[point.dataset.name].sizes(dict(point.dataset.parameters))
            yield Arm(
                position=i * len(grid) + j,
                activation=activation,
                dataset=point.dataset,
                network=point.network,
                training=point.training,
                swept=swept,
                probe_size=min(spec.recording.probe_size, n_train),
                baseline=spec.baseline * len(grid) + j,
            )


# On a CPU a stack's activations at one layer stay in a core's second-level cache: this many numbers, 256 kB in float32.
_STACK_NUMBERS = 65_536
_FEWEST, _MOST = 4, 128
# With a quarter of that, calling the operations takes about as long as doing them: smaller stacks waste a worker.
_SMALL_STACK_NUMBERS = 16_384
# So few stacks may all be taken at once: then they should take the same time, whatever their activations cost.
_FEW_STACKS = 4
# A stack of large networks stays well below what a worker's machine has.
_STACK_BYTES = 2**30


def _stacks(spec: ExperimentSpec, arms: tuple[Arm, ...], *, since: int = 0, position: int = 0) -> Iterator[Stack]:
    """Runs of one shape, those of replicates from `since` on, cut into pieces."""
    shapes: dict[object, list[Arm]] = {}
    for arm in arms:
        shapes.setdefault(_shape_key(arm), []).append(arm)
    replicates = range(since, spec.replicates)
    for members in shapes.values():
        sizes = list(_sizes(members[0], len(members) * len(replicates)))
        for runs in _cut(members, replicates, sizes):
            yield Stack(position, runs, spec.seed, spec.recording)
            position += 1


def _cut(arms: Sequence[Arm], replicates: Sequence[int], sizes: Sequence[int]) -> Iterator[tuple[Run, ...]]:
    """Runs of one arm stand together, in the order of replicates. Where stacks are few each has its share of every
    arm; else of few arms, for every other activation is another call.
    """
    runs = [Run(arm, replicate) for arm in arms for replicate in replicates]
    if len(sizes) <= _FEW_STACKS:
        runs.sort(key=lambda run: run.replicate)
    start = 0
    for size in sizes:
        yield tuple(sorted(runs[start : start + size], key=lambda run: (run.arm.position, run.replicate)))
        start += size


def _sizes(arm: Arm, n_runs: int) -> Iterator[int]:
    """How many runs each stack takes: half of what is left, as far as that works well. The last ones are small, so that
    however many workers there are, none waits long for another's last stack.
    """
    most = _most_runs(arm)
    fewest = max(1, min(_SMALL_STACK_NUMBERS // (arm.batch_size * arm.network.width), most // 2))
    while n_runs:
        size = min(max(n_runs // 2, fewest), most) if n_runs >= 2 * fewest else n_runs
        yield size
        n_runs -= size


def _most_runs(arm: Arm) -> int:
    """Runs of one stack: as many as work well together, and fit."""
    quick = min(max(_STACK_NUMBERS // (arm.batch_size * arm.network.width), _FEWEST), _MOST)
    alone = cost.memory_bytes(arm)
    each = cost.memory_bytes(arm, n_runs=2) - alone
    return max(1, min(quick, 1 + (_STACK_BYTES - alone) // each))


def _shape_key(arm: Arm) -> object:
    network, training = arm.network, arm.training
    return (
        arm.dataset,
        (network.depth, network.width, network.normalization, network.residual),
        (training.optimizer, training.schedule, training.dtype, arm.batch_size, arm.steps),
        # What no run of a stack asks for costs it nothing.
        (training.weight_decay > 0, training.clip_norm is not None),
    )
