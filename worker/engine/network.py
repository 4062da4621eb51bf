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

    After `forward`: h, x, each L tensors (M, B, N). After `backward`: delta = dL/dz of every layer too, where
    `keep_delta` asks for it; otherwise one buffer serves all layers.
    """

    def __init__(
        self,
        shape: Shape,
        n_samples: int,
        *,
        dtype: torch.dtype,
        device: torch.device,
        keep_delta: bool,
    ) -> None:
        self._shape = shape
        hidden = (shape.n_networks, n_samples, shape.width)

        def buffers(n: int) -> list[Tensor]:
            return [torch.empty(hidden, dtype=dtype, device=device) for _ in range(n)]

        self.h, self.x = buffers(shape.depth), buffers(shape.depth)
        self.delta = buffers(shape.depth) if keep_delta else buffers(1) * shape.depth
        self._d_layer = buffers(1)[0]
        # What each layer hands on: its x, plus its input where there is a residual.
        self._handed = [self.x[0], *buffers(shape.depth - 1)] if shape.residual else self.x
        self.norms = [BatchNorm(h) for h in self.h] if shape.normalized else []
        self._outputs = torch.empty(shape.n_networks, n_samples, shape.n_outputs, dtype=dtype, device=device)

    def forward(self, theta: Layers, activations: Activations, x: Tensor) -> Tensor:
        """x: (M, B, D). Returns the outputs (M, B, C), a buffer that the next pass overwrites."""
        self._activations, self._inputs = activations, [x, *self._handed]
        for i in range(self._shape.depth):
            h = torch.baddbmm(theta.b[i], self._inputs[i], theta.w[i].mT, out=self.h[i])
            if self.norms:
                self.norms[i].forward(h, theta.gamma[i], theta.beta[i])
            activations.phi(h, out=self.x[i])
            if self._shape.residual and i > 0:
                torch.add(self.x[i], self._inputs[i], out=self._handed[i])
        return torch.baddbmm(theta.b[-1], self._inputs[-1], theta.w[-1].mT, out=self._outputs)

    def backward(self, theta: Layers, d_outputs: Tensor, gradients: Layers) -> None:
        """From dL/doutputs (M, B, C) to the gradients of all parameters, summed over the samples."""
        d_layer = self._d_layer
        _affine_gradients(d_outputs, self._inputs[-1], gradients, -1)
        torch.bmm(d_outputs, theta.w[-1], out=d_layer)
        for i in reversed(range(self._shape.depth)):
            delta = self._activations.pull(d_layer, self.h[i], self.x[i], out=self.delta[i])
            if self.norms:
                self.norms[i].backward(delta, theta.gamma[i], gradients.gamma[i], gradients.beta[i])
            _affine_gradients(delta, self._inputs[i], gradients, i)
            if i > 0 and self._shape.residual:
                d_layer.baddbmm_(delta, theta.w[i])
            elif i > 0:
                torch.bmm(delta, theta.w[i], out=d_layer)

    def derivative(self, i: int) -> Tensor:
        """phi'(h) of the layer at i, (M, B, N)."""
        return self._activations.derivative(self.h[i], self.x[i])


def predict(
    shape: Shape, activations: Activations, theta: Layers, running: RunningStatistics | None, x: Tensor
) -> Tensor:
    """The outputs (M, B, C) on x (M, B, D), batch norm by its running statistics. Keeps nothing."""
    for i in range(shape.depth):
        h = torch.baddbmm(theta.b[i], x, theta.w[i].mT)
        if running is not None:
            running.apply(i, h, theta.gamma[i], theta.beta[i])
        activations.phi(h, out=h)
        x = h.add_(x) if shape.residual and i > 0 else h
    return torch.baddbmm(theta.b[-1], x, theta.w[-1].mT)


def _affine_gradients(delta: Tensor, x: Tensor, gradients: Layers, i: int) -> None:
    torch.bmm(delta.mT, x, out=gradients.w[i])
    torch.sum(delta, 1, keepdim=True, out=gradients.b[i])
