"""The network: L hidden layers and an affine readout, forward and backward, M networks at once.

Layer l: z = W x + b, h = z or its batch norm, x = phi(h); with `residual` the layer's output is x plus its input, from
layer 2 on. Lists are indexed from 0, so hidden layer l is at l - 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from worker.engine.activations import Activations
from worker.engine.norm import BatchNorm, RunningStatistics
from worker.engine.parameters import Layers, Shape


class Pass:
    """The buffers of one forward and backward pass of M networks on B samples.

    After `forward`: h, x, each L tensors (M, B, N). With `measured`, after `backward`: delta = dL/dz of every layer,
    and its slope phi'(h), which takes the place of h; otherwise one buffer serves the deltas of all layers.
    """

    def __init__(
        self,
        shape: Shape,
        n_samples: int,
        *,
        dtype: torch.dtype,
        device: torch.device,
        measured: bool,
    ) -> None:
        self._shape = shape
        hidden = (shape.n_networks, n_samples, shape.width)

        def buffers(n: int) -> list[Tensor]:
            return [torch.empty(hidden, dtype=dtype, device=device) for _ in range(n)]

        self.h, self.x = buffers(shape.depth), buffers(shape.depth)
        self.delta = buffers(shape.depth) if measured else buffers(1) * shape.depth
        self._d_layer = buffers(1)[0]
        # What each layer hands on: its x, plus its input where there is a residual.
        self._handed = [self.x[0], *buffers(shape.depth - 1)] if shape.residual else self.x
        self.norms = [BatchNorm(h) for h in self.h] if shape.normalized else []
        # Outputs before samples: with few outputs, products and losses then take half the time.
        self._outputs = torch.empty(shape.n_networks, shape.n_outputs, n_samples, dtype=dtype, device=device)
        self.slope = self.h
        self._ones = torch.ones(hidden, dtype=dtype, device=device) if measured else None

    def forward(self, theta: Layers, activations: Activations, x: Tensor) -> Tensor:
        """x: (M, B, D). Returns the outputs (M, C, B), a buffer that the next pass overwrites."""
        self._activations, self._inputs = activations, [x, *self._handed]
        for i in range(self._shape.depth):
            h = torch.baddbmm(theta.b[i], self._inputs[i], theta.w[i].mT, out=self.h[i])
            if self.norms:
                self.norms[i].forward(h, theta.gamma[i], theta.beta[i])
            activations.phi(h, out=self.x[i])
            if self._shape.residual and i > 0:
                torch.add(self.x[i], self._inputs[i], out=self._handed[i])
        return torch.baddbmm(theta.b[-1].mT, theta.w[-1], self._inputs[-1].mT, out=self._outputs)

    def backward(self, theta: Layers, d_outputs: Tensor, gradients: Layers) -> None:
        """From dL/doutputs (M, C, B) to the gradients of all parameters, summed over the samples."""
        d_layer = self._d_layer
        torch.bmm(d_outputs, self._inputs[-1], out=gradients.w[-1])
        torch.sum(d_outputs, 2, out=gradients.b[-1].squeeze(1))
        torch.bmm(d_outputs.mT, theta.w[-1], out=d_layer)
        for i in reversed(range(self._shape.depth)):
            delta = self._pull(d_layer, i)
            if self.norms:
                self.norms[i].backward(delta, theta.gamma[i], gradients.gamma[i], gradients.beta[i])
            _affine_gradients(delta, self._inputs[i], gradients, i)
            if i > 0 and self._shape.residual:
                d_layer.baddbmm_(delta, theta.w[i])
            elif i > 0:
                torch.bmm(delta, theta.w[i], out=d_layer)

    def _pull(self, d_layer: Tensor, i: int) -> Tensor:
        """d_layer * phi'(h) of the layer at i, (M, B, N)."""
        h, x, delta = self.h[i], self.x[i], self.delta[i]
        if self._ones is None:
            return self._activations.pull(d_layer, h, x, out=delta)
        return torch.mul(d_layer, self._activations.pull(self._ones, h, x, out=self.slope[i]), out=delta)


def predict(
    shape: Shape, activations: Activations, theta: Layers, running: RunningStatistics | None, x: Tensor
) -> Tensor:
    """The outputs (M, C, B) on x (M, B, D), batch norm by its running statistics. Keeps nothing."""
    for i in range(shape.depth):
        h = torch.baddbmm(theta.b[i], x, theta.w[i].mT)
        if running is not None:
            running.apply(i, h, theta.gamma[i], theta.beta[i])
        activations.phi(h, out=h)
        x = h.add_(x) if shape.residual and i > 0 else h
    return torch.baddbmm(theta.b[-1].mT, theta.w[-1], x.mT)


def _affine_gradients(delta: Tensor, x: Tensor, gradients: Layers, i: int) -> None:
    torch.bmm(delta.mT, x, out=gradients.w[i])
    torch.sum(delta, 1, keepdim=True, out=gradients.b[i])
