"""The bare matrix products once more, by oneDNN's linear kernel, a network at a time: for wide layers, where it
is faster on some machines.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.job import Trained
from benchmarks.peers.products import multiply
from benchmarks.workloads import planned
from lab.plan import Stack
from lab.spec import ExperimentSpec


def pieces(spec: ExperimentSpec) -> Sequence[Stack]:
    return planned(spec).stacks


def train(stack: Stack, *, recording: bool, device: str) -> Trained:
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        raise RuntimeError("The peer 'linear' needs a PyTorch with oneDNN; this one has none.")
    return multiply(_linear, stack, recording=recording, device=device, transposed=True)


def _linear(a: Tensor, b: Tensor, _: Tensor) -> None:
    # The kernel makes its own result. It takes the second factor transposed, as nn.Linear keeps its weights.
    for left, right in zip(a.unbind(), b.mT.unbind(), strict=True):
        torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
