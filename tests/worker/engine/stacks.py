"""Trainings for tests, and the same networks as ordinary modules with autograd: slow, obvious, independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from lab.limits import Limits
from lab.plan import Run, Stack, plan
from lab.records import StackRecord
from lab.spec import ActivationSpec, ExperimentSpec
from worker.datasets import load, probe_indices
from worker.engine import StackTraining
from worker.engine.batches import Batches
from worker.engine.initialization import initialize
from worker.engine.parameters import Layers, Parameters, Shape

CPU = torch.device("cpu")
DTYPES = {"float32": torch.float32, "float64": torch.float64}

AUTOGRAD: dict[str, Callable[..., Tensor]] = {
    # Not PyTorch's own: its gradient has the digits of a float32 in float64 too. So has hardsigmoid's.
    "celu": lambda h, alpha: alpha * nn.functional.elu(h / alpha),
    "elu": nn.functional.elu,
    "erf": torch.erf,
    "gelu": nn.functional.gelu,
    "gelu_tanh": lambda h: nn.functional.gelu(h, approximate="tanh"),
    "hard_sigmoid": lambda h: nn.functional.relu6(h + 3) / 6,
    "hard_swish": nn.functional.hardswish,
    "hard_tanh": nn.functional.hardtanh,
    "identity": lambda h: h,
    "leaky_relu": nn.functional.leaky_relu,
    "mish": nn.functional.mish,
    "relu": nn.functional.relu,
    "relu6": nn.functional.relu6,
    "selu": nn.functional.selu,
    "sigmoid": torch.sigmoid,
    "silu": nn.functional.silu,
    "sin": torch.sin,
    # Linear only where float64 cannot tell: the usual threshold of 20 is wrong by 2e-9.
    "softplus": lambda h, beta: nn.functional.softplus(h, beta, threshold=40),
    "softsign": nn.functional.softsign,
    "square": torch.square,
    "tanh": torch.tanh,
}
"""Each activation as autograd differentiates it."""


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
SCHEDULERS: dict[str, Callable[[torch.optim.Optimizer, int], torch.optim.lr_scheduler.LRScheduler]] = {
    "constant": lambda optimizer, steps: torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0),
    "cosine": lambda optimizer, steps: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
    # Over the first tenth of the steps; n updates have n - 1 rises between them.
    "warmup": lambda optimizer, steps: torch.optim.lr_scheduler.LinearLR(optimizer, 10 / steps, 1.0, steps // 10 - 1),
}
"""For a number of steps that ten divides."""


def the_stack(spec: ExperimentSpec) -> Stack:
    (stack,) = plan(spec, Limits()).stacks
    return stack


def a_training(stack: Stack) -> StackTraining:
    dataset = stack.shape.dataset
    return StackTraining(stack, load(dataset), probe_indices(dataset, stack.probe_size), device=CPU)


def train(training: StackTraining, stack: Stack) -> list[StackRecord]:
    """To the end, with a record at every recorded step."""
    records = []
    for step in stack.recorded_steps:
        training.advance_to(step)
        records.append(training.record())
    return records


def parameters_of(stack: Stack, training: StackTraining | None = None) -> Parameters:
    """A copy of those that `training` has now; without one, those the stack starts from."""
    parameters = Parameters(Shape.of(stack), dtype=DTYPES[stack.shape.training.dtype], device=CPU)
    if training is None:
        initialize(parameters, stack.runs, stack.seed)
    else:
        parameters.flat.copy_(training.state()["parameters"])
    return parameters


def layers_of(stack: Stack, training: StackTraining | None = None) -> Layers:
    """The parameters that `parameters_of` gives, layer by layer."""
    return parameters_of(stack, training).layers


class OneNetwork(nn.Module):
    """One run's network. `z`, `h` and `x` of the last forward pass are kept, layer by layer."""

    def __init__(self, run: Run, theta: Layers, m: int) -> None:
        super().__init__()
        self.run = run
        self.affine = [_linear(w[m], b[m, 0]) for w, b in zip(theta.w, theta.b, strict=True)]
        self.norms = [
            _norm(run.arm.network.normalization, gamma[m, 0], beta[m, 0])
            for gamma, beta in zip(theta.gamma, theta.beta, strict=True)
        ]
        self.modules_of_lists = nn.ModuleList([*self.affine, *self.norms])

    def forward(self, x: Tensor) -> Tensor:
        self.z: list[Tensor] = []
        self.h: list[Tensor] = []
        self.x: list[Tensor] = []
        network = self.run.arm.network
        after = network.normalization == "batch_after"
        for i, affine in enumerate(self.affine[:-1]):
            self.z.append(affine(x))
            self.h.append(self.norms[i](self.z[-1]) if self.norms and not after else self.z[-1])
            self.x.append(activate(self.run.arm.activation, self.h[-1]))
            out = self.norms[i](self.x[-1]) if after else self.x[-1]
            x = out + x if network.residual and i > 0 else out
        return cast(Tensor, self.affine[-1](x))

    def losses(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of each sample."""
        if self.run.arm.data.task == "classification":
            return nn.functional.cross_entropy(self(x), y, reduction="none")
        return nn.functional.mse_loss(self(x), y, reduction="none").mean(1)

    def optimizer(self) -> torch.optim.Optimizer:
        training = self.run.arm.training
        return OPTIMIZERS[training.optimizer](
            self.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
        )


def activate(activation: ActivationSpec, h: Tensor) -> Tensor:
    parameters = {name: float(value) for name, value in activation.parameters}
    scale_in, scale_out, shift = (parameters.pop(name) for name in ("scale_in", "scale_out", "shift"))
    return scale_out * AUTOGRAD[activation.name](scale_in * h, **parameters) + shift


def train_one(network: OneNetwork, batches: Sequence[tuple[Tensor, Tensor]]) -> list[float]:
    """The minibatch losses."""
    optimizer, training = network.optimizer(), network.run.arm.training
    schedule = SCHEDULERS[training.schedule](optimizer, network.run.arm.steps)
    losses = []
    for x, y in batches:
        optimizer.zero_grad()
        loss = network.losses(x, y).mean()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        if training.clip_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def batches_of(stack: Stack, run: Run) -> list[tuple[Tensor, Tensor]]:
    """Every minibatch that `run` trains on."""
    data = load(stack.shape.dataset)
    x, y = torch.from_numpy(data.x_train).to(DTYPES[stack.shape.training.dtype]), torch.from_numpy(data.y_train)
    batches = Batches(x, y, batch_size=stack.shape.batch_size, replicates=[run.replicate], seed=stack.seed)
    taken = (batches.at(step) for step in range(stack.shape.steps))
    return [(x[0].clone(), y[0]) for x, y in taken]


def _linear(w: Tensor, b: Tensor) -> nn.Linear:
    linear = nn.Linear(w.shape[1], w.shape[0], dtype=w.dtype)
    with torch.no_grad():
        linear.weight.copy_(w)
        linear.bias.copy_(b)
    return linear


_NORMS: dict[str, Callable[..., nn.BatchNorm1d | nn.LayerNorm]] = {
    "batch": nn.BatchNorm1d,
    "batch_after": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}


def _norm(name: str, gamma: Tensor, beta: Tensor) -> nn.BatchNorm1d | nn.LayerNorm:
    norm = _NORMS[name](len(gamma), dtype=gamma.dtype)
    with torch.no_grad():
        norm.weight.copy_(gamma)
        norm.bias.copy_(beta)
    return norm
