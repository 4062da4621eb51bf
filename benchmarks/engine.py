"""The engine against the code its users would write: one `nn.Module` at a time, through autograd.

    make bench

Both do whole jobs on one thread in this process, in turn. The engine also records every statistic of the catalog at 40
points; the peer only trains, so the ratio is a lower bound.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from lab.limits import Limits
from lab.plan import Run, plan
from lab.spec import ActivationSpec, ExperimentSpec, NetworkSpec, TrainingSpec
from worker import datasets
from worker.engine import StackTraining
from worker.engine.data import Data

CPU = torch.device("cpu")
MODULES: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


def workloads() -> dict[str, ExperimentSpec]:
    """Name to request: 4 activations x replicates, on digits."""
    base = ExperimentSpec(activations=tuple(ActivationSpec(name) for name in MODULES))
    return {
        "tiny: 3 x 16, batch 32, 500 steps, 100 networks": replace(
            base,
            network=NetworkSpec(depth=3, width=16),
            training=TrainingSpec(batch_size=32, steps=500, epochs=None),
            replicates=25,
        ),
        "demo: 6 x 64, batch 64, 440 steps, 20 networks": replace(
            base,
            network=NetworkSpec(depth=6),
            training=TrainingSpec(batch_size=64, steps=440, epochs=None),
            replicates=5,
        ),
        "mid: 8 x 64, batch 64, 200 steps, 100 networks": replace(
            base,
            network=NetworkSpec(depth=8),
            training=TrainingSpec(batch_size=64, steps=200, epochs=None),
            replicates=25,
        ),
    }


def stacked_s(spec: ExperimentSpec) -> float:
    """Seconds the engine takes for all stacks of `spec`, recording at every recorded step."""
    started = time.perf_counter()
    for stack in plan(spec, Limits()).stacks:
        data = datasets.load(stack.shape.dataset)
        probe = datasets.probe_indices(stack.shape.dataset, stack.probe_size)
        training = StackTraining(stack, data, probe, device=CPU)
        for step in stack.recorded_steps:
            training.advance_to(step)
            training.record()
        training.results()
    return time.perf_counter() - started


def one_at_a_time_s(spec: ExperimentSpec) -> float:
    """Seconds that training alone takes, one network after the other."""
    started = time.perf_counter()
    for stack in plan(spec, Limits()).stacks:
        data = datasets.load(stack.shape.dataset)
        for run in stack.runs:
            _train_alone(run, data)
    return time.perf_counter() - started


def _train_alone(run: Run, data: Data) -> None:
    x, y = torch.from_numpy(data.x_train).float(), torch.from_numpy(data.y_train)
    arm = run.arm
    widths = [arm.n_inputs] + [arm.network.width] * arm.network.depth
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), MODULES[arm.activation.name]()]
    net = nn.Sequential(*layers, nn.Linear(widths[-1], arm.n_outputs))
    optimizer = torch.optim.SGD(net.parameters(), lr=arm.training.learning_rate)
    order = np.random.default_rng(run.replicate)
    for step in range(arm.steps):
        at = step % arm.steps_per_epoch
        if at == 0:
            shuffled = torch.from_numpy(order.permutation(len(x)))
        batch = shuffled[at * arm.batch_size : (at + 1) * arm.batch_size]
        loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()


def main() -> None:
    """Prints one line a workload: seconds of each, best of three, and the median ratio of the pairs."""
    torch.set_num_threads(1)
    print(
        f"torch {torch.__version__}, {platform.machine()}, 1 thread; best of 3 pairs, in turn; "
        "the engine records, the peer does not"
    )
    for name, spec in workloads().items():
        pairs = [(one_at_a_time_s(spec), stacked_s(spec)) for _ in range(3)]
        ratio = float(np.median([alone / stacked for alone, stacked in pairs]))
        alone, stacked = (min(side) for side in zip(*pairs, strict=True))
        print(f"{name}: one at a time {alone:.2f} s, stacked {stacked:.2f} s: {ratio:.1f} x faster", flush=True)


if __name__ == "__main__":
    main()
