"""The bare matrix products of the job, by `torch.bmm`, in the engine's stacks: no activation, no loss, no update.

Of every layer at every step W x, dW and dx (the inputs' dx excepted); and where it records, the same on the probe and
W x on the test set. Each goes from buffers of its own, as in the engine, so caches hold no more than there; and from
the layout that is quickest, which no training can have for all three without transposing its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from benchmarks.job import Trained
from benchmarks.workloads import planned
from lab.plan import Arm, Stack
from lab.spec import ExperimentSpec

# Numbers of one layer's activations that the engine works on at once on the probe, and on the test set.
_PROBE_NUMBERS, _TEST_NUMBERS = 2**18, 2**20

Product = Callable[[Tensor, Tensor, Tensor], object]
"""Writes the products a b of (M, ., .) tensors into the third."""


def pieces(spec: ExperimentSpec) -> Sequence[Stack]:
    return planned(spec).stacks


def train(stack: Stack, *, recording: bool, device: str) -> Trained:
    return multiply(_bmm, stack, recording=recording, device=device)


def _bmm(a: Tensor, b: Tensor, out: Tensor) -> None:
    torch.bmm(a, b, out=out)


@torch.inference_mode()
def multiply(product: Product, stack: Stack, *, recording: bool, device: str, transposed: bool = False) -> Trained:
    """All products of a stack's job, by `product`; W x reads W through a transposed view where it is `transposed`."""
    arm, m = stack.shape, len(stack.runs)
    _, n_test = arm.sizes
    batch = _layers(arm, m, arm.batch_size, device, transposed)
    for _ in range(arm.steps):
        _forward(batch, product)
        _backward(batch, product)
    if recording:
        per_part = max(_PROBE_NUMBERS // (stack.probe_size * arm.network.width), 1)
        probe = {n: _layers(arm, n, stack.probe_size, device, transposed) for n in set(_sizes(m, per_part))}
        rows = max(_TEST_NUMBERS // (m * arm.network.width), 1)
        test = {n: _layers(arm, m, n, device, transposed) for n in set(_sizes(n_test, rows))}
        for _ in stack.recorded_steps:
            for n in _sizes(m, per_part):
                _forward(probe[n], product)
                _backward(probe[n], product)
            for n in _sizes(n_test, rows):
                _forward(test[n], product)
    return Trained({})


@dataclass(frozen=True, slots=True)
class _Layer:
    """The factors and products of one layer: w (M, out, in), the same transposed, x (M, B, in), delta (M, B, out)."""

    w: Tensor
    w_transposed: Tensor
    x: Tensor
    delta: Tensor
    z: Tensor
    d_w: Tensor
    d_x: Tensor


def _layers(arm: Arm, m: int, n_samples: int, device: str, transposed: bool) -> list[_Layer]:
    widths = [arm.n_inputs, *[arm.network.width] * arm.network.depth, arm.n_outputs]

    def numbers(*size: int) -> Tensor:
        return torch.randn(m, *size, device=device)

    return [
        _Layer(
            w=(w := numbers(n_out, n_in)),
            w_transposed=w.mT if transposed else w.mT.contiguous(),
            x=numbers(n_samples, n_in),
            delta=numbers(n_samples, n_out),
            z=numbers(n_samples, n_out),
            d_w=numbers(n_out, n_in),
            d_x=numbers(n_samples, n_in),
        )
        for n_in, n_out in pairwise(widths)
    ]


def _forward(layers: list[_Layer], product: Product) -> None:
    for layer in layers:
        product(layer.x, layer.w_transposed, layer.z)


def _backward(layers: list[_Layer], product: Product) -> None:
    for i, layer in reversed(list(enumerate(layers))):
        product(layer.delta.mT, layer.x, layer.d_w)
        if i > 0:
            product(layer.delta, layer.w, layer.d_x)


def _sizes(n: int, most: int) -> list[int]:
    """`n` things in parts of nearly equal size, none larger than `most`."""
    n_parts = -(-n // most)
    return [(i + 1) * n // n_parts - i * n // n_parts for i in range(n_parts)]
