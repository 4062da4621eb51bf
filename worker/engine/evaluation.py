"""Loss and accuracy of a stack on held-out data."""

from __future__ import annotations

import torch
from torch import Tensor

from worker.engine.activations import Activations
from worker.engine.losses import Loss
from worker.engine.network import predict
from worker.engine.norm import RunningStatistics
from worker.engine.parameters import Parameters

# Numbers of one layer's activations that are worked on at once.
_NUMBERS = 2**20


class Evaluation:
    """The test set, and how a stack is judged on it."""

    def __init__(self, x: Tensor, y: Tensor, *, activations: Activations, loss: Loss, classification: bool) -> None:
        """x: (n, D); y: (n,) or (n, C)."""
        self._x, self._y, self._activations, self._loss = x, y, activations, loss
        self._classification = classification

    def __call__(self, parameters: Parameters, running: RunningStatistics | None) -> tuple[Tensor, Tensor]:
        """Mean loss and accuracy, each (M,) float64; accuracy is NaN for regression and where the loss is NaN."""
        shape = parameters.shape
        loss = torch.zeros(shape.n_networks, dtype=torch.float64, device=self._x.device)
        correct = torch.zeros_like(loss)
        n_rows = max(_NUMBERS // (shape.n_networks * shape.width), 1)
        for x, y in zip(torch.split(self._x, n_rows), torch.split(self._y, n_rows), strict=True):
            x, y = x.expand(shape.n_networks, *x.shape), y.expand(shape.n_networks, *y.shape)
            outputs = predict(shape, self._activations, parameters.layers, running, x)
            if self._classification:
                correct += (_predicted(outputs) == y).sum(1)
            losses, _ = self._loss(outputs, y)
            loss += losses.sum(1, dtype=torch.float64)
        n_samples = len(self._x)
        accuracy = correct / n_samples if self._classification else torch.full_like(loss, torch.nan)
        return loss / n_samples, accuracy.masked_fill_(loss.isnan(), torch.nan)


def _predicted(outputs: Tensor) -> Tensor:
    """(M, B): the first of the largest of the C outputs, (M, C, B). PyTorch's argmax takes many times as long."""
    n_outputs = outputs.shape[1]
    largest = torch.eq(outputs, outputs.amax(1, keepdim=True), out=torch.empty_like(outputs))
    from_the_end = torch.arange(n_outputs, 0, -1, dtype=outputs.dtype, device=outputs.device)
    return n_outputs - largest.mul_(from_the_end[:, None]).amax(1)
