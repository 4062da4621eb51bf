"""One `nn.Module` at a time, through autograd: what one would write to train a single network, and well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import measured
from benchmarks.draws import batch_rows, initial_layers, samples
from benchmarks.job import Trained
from benchmarks.measured import Values
from benchmarks.workloads import planned
from lab.catalog.activations import ACTIVATIONS
from lab.catalog.measurements import CURVES, GEOMETRY, MEASUREMENTS
from lab.plan import Run, Stack
from lab.spec import ExperimentSpec

MODULES: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


def pieces(spec: ExperimentSpec) -> Sequence[Stack]:
    """A piece for each run."""
    samples(spec.recording.probe_size)
    plan = planned(spec)
    runs = [(stack, run) for stack in plan.stacks for run in stack.runs]
    return [replace(stack, position=i, runs=(run,)) for i, (stack, run) in enumerate(runs)]


def train(stack: Stack, *, recording: bool, device: str) -> Trained:
    alone = Alone(stack.runs[0], stack.seed, torch.device(device))
    if not recording:
        alone.advance_to(stack.recorded_steps[-1], and_keep_update=False)
        return Trained({})
    readings: list[Values] = []
    for step in stack.recorded_steps:
        alone.advance_to(step, and_keep_update=True)
        readings.append(alone.read(with_rank=step in (0, stack.recorded_steps[-1])))
    names = [*MEASUREMENTS, *CURVES]
    return Trained(
        {name: torch.stack([each[name] for each in readings])[:, None].double().cpu().numpy() for name in names}
    )


class Alone:
    """One network, its optimizer, and its data."""

    def __init__(self, run: Run, seed: int, device: torch.device) -> None:
        arm, of = run.arm, samples(run.arm.probe_size)
        self._x, self._y = torch.from_numpy(of.x_train).to(device), torch.from_numpy(of.y_train).to(device)
        self._x_probe, self._y_probe = torch.from_numpy(of.x_probe).to(device), torch.from_numpy(of.y_probe).to(device)
        self._x_test, self._y_test = torch.from_numpy(of.x_test).to(device), torch.from_numpy(of.y_test).to(device)
        self._rows = torch.from_numpy(batch_rows(run, seed)).to(device)
        self._phi = MODULES[arm.activation.name]()
        self._net = _network(run, seed, self._phi).to(device)
        self._affine = [module for module in self._net if isinstance(module, nn.Linear)]
        self._rate = arm.training.learning_rate
        self._optimizer = torch.optim.SGD(self._net.parameters(), lr=self._rate)
        self._supremum = ACTIVATIONS[arm.activation.name].supremum(**dict(arm.activation.parameters))
        self._step = self._read_at = 0
        self._loss_since = torch.zeros((), dtype=torch.float64, device=device)

    def advance_to(self, step: int, *, and_keep_update: bool) -> None:
        """Train until `step` updates are done. The gradients stay: they are the last update, but for the rate."""
        for rows in self._rows[self._step : step]:
            loss = functional.cross_entropy(self._net(self._x[rows]), self._y[rows])
            self._optimizer.zero_grad()
            torch.autograd.backward(loss)
            self._optimizer.step()
            if and_keep_update:
                self._loss_since += loss.detach()
        self._step = step

    def read(self, *, with_rank: bool) -> Values:
        """Measurements (L,) and curves ()."""
        with torch.no_grad():
            updates = self._update_norms()
            test = self._net(self._x_test)
            curves = {
                "train_loss": self._loss_since / (self._step - self._read_at) if self._step else self._loss_since / 0,
                "test_loss": functional.cross_entropy(test, self._y_test),
                "test_accuracy": (test.argmax(1) == self._y_test).float().mean(),
            }
            self._loss_since = torch.zeros_like(self._loss_since)
        self._read_at = self._step
        return curves | self._read_probe(updates, with_rank)

    def _read_probe(self, updates: Tensor, with_rank: bool) -> Values:
        h, x, outputs = self._forward()
        losses = functional.cross_entropy(outputs, self._y_probe, reduction="none")
        w, b = [layer.weight for layer in self._affine[:-1]], [layer.bias for layer in self._affine[:-1]]
        # Of the sum: the gradient by h is that of each sample's own loss.
        gradients = torch.autograd.grad(losses.sum(), [*h, *w, *b])
        delta, d_w, d_b = (gradients[i * len(h) : (i + 1) * len(h)] for i in range(3))
        all_h = torch.stack(h).detach()
        slope = self._slope(all_h)
        with torch.no_grad():
            n, all_x = len(losses), torch.stack(x)
            values = measured.of_units(all_h, all_x, torch.stack(delta), slope, self._supremum)
            values |= measured.of_weights(w, [each / n for each in d_w], [each / n for each in d_b], updates)
            undefined = torch.full_like(updates, torch.nan)
            rank = measured.effective_rank(all_x) if with_rank else undefined
            values |= dict.fromkeys(GEOMETRY, undefined)
            return values | {"effective_rank": rank, "probe_loss": losses.mean()}

    def _forward(self) -> tuple[list[Tensor], list[Tensor], Tensor]:
        h, x = [], [self._x_probe]
        for layer in self._affine[:-1]:
            h.append(layer(x[-1]))
            x.append(self._phi(h[-1]))
        return h, x[1:], self._affine[-1](x[-1])

    def _slope(self, h: Tensor) -> Tensor:
        h.requires_grad_()
        x = self._phi(h)
        return torch.autograd.grad(x, h, torch.ones_like(x))[0]

    def _update_norms(self) -> Tensor:
        """(L,): of the last update of each hidden layer's W, NaN where there was none."""
        if not self._step:
            return torch.full((len(self._affine) - 1,), torch.nan, device=self._x.device)
        gradients = [layer.weight.grad for layer in self._affine[:-1] if layer.weight.grad is not None]
        return torch.stack([torch.linalg.vector_norm(g) for g in gradients]) * self._rate


def _network(run: Run, seed: int, phi: nn.Module) -> nn.Sequential:
    arm = run.arm
    widths = [arm.n_inputs, *[arm.network.width] * arm.network.depth, arm.n_outputs]
    modules: list[nn.Module] = []
    for (n_in, n_out), (w, b) in zip(pairwise(widths), initial_layers(run, seed), strict=True):
        layer = nn.Linear(n_in, n_out)
        layer.load_state_dict({"weight": torch.from_numpy(w), "bias": torch.from_numpy(b)})
        modules += [layer, phi]
    return nn.Sequential(*modules[:-1])
