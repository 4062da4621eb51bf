"""The network: L hidden layers and an affine readout, forward and backward, M networks at once.

Layer l: z = W y + b of what the layer below hands on, h = z or its norm, x = phi(h). It hands on x or its norm; with
`residual` plus its own input, from layer 2 on. Lists are indexed from 0, so hidden layer l is at l - 1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from worker.engine.activations import Activations
from worker.engine.norm import NORMALIZATIONS, Norm, RunningStatistics
from worker.engine.parameters import Layers, Shape
from worker.engine.sums import PartSums

# Measured with MKL: a product by a transposed view of 64 x 64 matrices takes 1.3 to 2 times as long as by a matrix that
# is so in memory, and transposing takes a quarter of that; of wider ones it takes longer than it saves.
_SMALL_WIDTH, _MANY_SAMPLES = 64, 32


class Pass:
    """The buffers of one forward and backward pass of M networks on B samples.

    After `forward`: h, x, each L tensors (M, B, N). One buffer serves the deltas dL/dz of all layers, so who wants to
    see them looks on: a pass that is made to be `measured` shows `sums` each layer's tensors while they are in the
    cache, and with delta its slope phi'(h), which takes the place of h.
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
        self._delta, self._d_layer = buffers(2)
        self._normalization = NORMALIZATIONS[shape.normalization]
        norm = self._normalization.norm
        self.norms = [norm(h) for h in self.h] if norm else []
        # What each layer hands on, where that is not x itself.
        self._handed = list(self.x)
        first = 0 if self._normalization.after else 1 if shape.residual else shape.depth
        self._handed[first:] = buffers(shape.depth - first)
        # Outputs before samples: with few outputs, products and losses then take half the time.
        self._outputs = torch.empty(shape.n_networks, shape.n_outputs, n_samples, dtype=dtype, device=device)
        self._turned = self._places_for_turned_weights(n_samples, dtype, device)
        self._ones = torch.ones(hidden, dtype=dtype, device=device) if measured else None

    def forward(self, theta: Layers, activations: Activations, x: Tensor, sums: PartSums | None = None) -> Tensor:
        """x: (M, B, D). Returns the outputs (M, C, B), a buffer that the next pass overwrites."""
        self._activations, self._inputs = activations, [x, *self._handed]
        for i in range(self._shape.depth):
            h = torch.baddbmm(theta.b[i], self._inputs[i], self._turn(theta.w[i], i), out=self.h[i])
            if self._normalization.before:
                self.norms[i].forward(h, theta.gamma[i], theta.beta[i], out=h)
            activations.phi(h, out=self.x[i])
            if sums is not None:
                sums.forward(i, h, self.x[i])
            self._hand_on(theta, i)
        return torch.baddbmm(theta.b[-1].mT, theta.w[-1], self._inputs[-1].mT, out=self._outputs)

    def _places_for_turned_weights(self, n_samples: int, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
        """For the hidden layers' W transposed, where it pays to have them so in memory: on a CPU, where products by a
        transposed view of small matrices take up to twice as long as others.
        """
        shape = self._shape
        pays = shape.width <= _SMALL_WIDTH and n_samples >= _MANY_SAMPLES
        if not pays or dtype != torch.float32 or device.type != "cpu":
            return []
        n_in = [shape.n_inputs] + [shape.width] * (shape.depth - 1)
        return [torch.empty(shape.n_networks, n, shape.width) for n in n_in]

    def _turn(self, w: Tensor, i: int) -> Tensor:
        """W transposed, (M, N_in, N_out)."""
        if not self._turned:
            return w.mT
        # NumPy copies it in half the time that PyTorch takes.
        np.copyto(self._turned[i].numpy(), w.mT.numpy())
        return self._turned[i]

    def _hand_on(self, theta: Layers, i: int) -> None:
        """From x of the layer at i to what the next layer gets."""
        x, handed = self.x[i], self._handed[i]
        if self._normalization.after:
            self.norms[i].forward(x, theta.gamma[i], theta.beta[i], out=handed)
            x = handed
        if self._shape.residual and i > 0:
            torch.add(x, self._inputs[i], out=handed)

    def backward(self, theta: Layers, d_outputs: Tensor, gradients: Layers, sums: PartSums | None = None) -> None:
        """From dL/doutputs (M, C, B) to the gradients of all parameters, summed over the samples."""
        d_layer, delta = self._d_layer, self._delta
        torch.bmm(d_outputs, self._inputs[-1], out=gradients.w[-1])
        torch.sum(d_outputs, 2, out=gradients.b[-1].squeeze(1))
        torch.bmm(d_outputs.mT, theta.w[-1], out=d_layer)
        for i in reversed(range(self._shape.depth)):
            d_x = d_layer
            if self._normalization.after:
                d_x = delta
                self.norms[i].backward(d_layer, theta.gamma[i], gradients.gamma[i], gradients.beta[i], out=d_x)
            self._pull(d_x, i)
            if self._normalization.before:
                self.norms[i].backward(delta, theta.gamma[i], gradients.gamma[i], gradients.beta[i], out=delta)
            if sums is not None:
                sums.backward(i, self.h[i], delta)
            _affine_gradients(delta, self._inputs[i], gradients, i)
            if i > 0 and self._shape.residual:
                d_layer.baddbmm_(delta, theta.w[i])
            elif i > 0:
                torch.bmm(delta, theta.w[i], out=d_layer)

    def _pull(self, d_x: Tensor, i: int) -> None:
        """Write d_x * phi'(h) of the layer at i, (M, B, N), to delta; d_x may be that delta."""
        h, x, delta = self.h[i], self.x[i], self._delta
        if self._ones is None:
            self._activations.pull(d_x, h, x, out=delta)
        else:
            torch.mul(d_x, self._activations.pull(self._ones, h, x, out=h), out=delta)


def predict(
    shape: Shape, activations: Activations, theta: Layers, running: RunningStatistics | None, x: Tensor
) -> Tensor:
    """The outputs (M, C, B) on x (M, B, D), batch norm by its running statistics. Keeps nothing."""
    normalization = NORMALIZATIONS[shape.normalization]
    for i in range(shape.depth):
        h = torch.baddbmm(theta.b[i], x, theta.w[i].mT)
        if normalization.before:
            _normalize(h, normalization.before, theta, running, i)
        activations.phi(h, out=h)
        if normalization.after:
            _normalize(h, normalization.after, theta, running, i)
        x = h.add_(x) if shape.residual and i > 0 else h
    return torch.baddbmm(theta.b[-1].mT, theta.w[-1], x.mT)


def _normalize(z: Tensor, norm: type[Norm], theta: Layers, running: RunningStatistics | None, i: int) -> None:
    """In place; z: (M, B, N) of the layer at i. What has no running statistics is normalized as it is in training."""
    if running is not None:
        running.apply(i, z, theta.gamma[i], theta.beta[i])
    else:
        norm(z).forward(z, theta.gamma[i], theta.beta[i], out=z)


def _affine_gradients(delta: Tensor, x: Tensor, gradients: Layers, i: int) -> None:
    torch.bmm(delta.mT, x, out=gradients.w[i])
    torch.sum(delta, 1, keepdim=True, out=gradients.b[i])
