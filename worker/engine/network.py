"""The network: L hidden layers and an affine readout, forward and backward, M networks at once.

Layer l: z = W y + b of what the layer below hands on, h = z or its norm, x = phi(h). It hands on x or its norm; with
`residual` plus its own input, from layer 2 on. Lists are indexed from 0, so hidden layer l is at l - 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from worker.engine.activations import Activations, Parts
from worker.engine.norm import NORMALIZATIONS, Norm, RunningStatistics
from worker.engine.parameters import Layers, Shape
from worker.engine.products import Product, product
from worker.engine.sums import PartSums

# Measured with MKL: a product by a transposed view of 64 x 64 matrices takes 1.3 to 2 times as long as by a matrix that
# is so in memory, and transposing takes a quarter of that; of wider ones it takes longer than it saves.
_SMALL_WIDTH, _MANY_SAMPLES = 64, 32


class Buffers:
    """What one forward and backward pass of M networks on B samples writes; passes may take turns with it.

    After `Pass.forward`: x, L tensors (M, B, N), and h likewise where an activation's backward pass needs it. Else
    there is one h for all layers, or, unless the pass is to be `measured`, none but x. One buffer serves the deltas
    dL/dz of all layers, and one the transposed weights.
    """

    def __init__(
        self,
        shape: Shape,
        n_samples: int,
        *,
        dtype: torch.dtype,
        device: torch.device,
        measured: bool,
        keeps_h: bool,
    ) -> None:
        self.shape = shape
        hidden = (shape.n_networks, n_samples, shape.width)

        def several(n: int) -> list[Tensor]:
            return [torch.empty(hidden, dtype=dtype, device=device) for _ in range(n)]

        self.x = self.h = several(shape.depth)
        # What is soon overwritten stays in the cache, and reading memory is what takes long of a small layer.
        if keeps_h:
            self.h = several(shape.depth)
        elif measured:
            self.h = several(1) * shape.depth
        self.delta, self.d_layer = several(2)
        normalization = NORMALIZATIONS[shape.normalization]
        self.norms = [normalization.norm(h) for h in self.h] if normalization.norm else []
        # What each layer hands on, where that is not x itself.
        self.handed = list(self.x)
        first = 0 if normalization.after else 1 if shape.residual else shape.depth
        self.handed[first:] = several(shape.depth - first)
        # Outputs before samples: with few outputs, products and losses then take half the time.
        self.outputs = torch.empty(shape.n_networks, shape.n_outputs, n_samples, dtype=dtype, device=device)
        self.turned = self._places_for_turned_weights(n_samples, dtype, device)
        self.ones = torch.ones(hidden, dtype=dtype, device=device) if measured else None

    def _places_for_turned_weights(self, n_samples: int, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
        """For each hidden layer's W transposed, where it pays to have it so in memory: on a CPU, where products by a
        transposed view of small matrices take up to twice as long as others.
        """
        shape = self.shape
        pays = shape.width <= _SMALL_WIDTH and n_samples >= _MANY_SAMPLES
        if not pays or dtype != torch.float32 or device.type != "cpu":
            return []
        of_first, of_others = (torch.empty(shape.n_networks, n, shape.width) for n in (shape.n_inputs, shape.width))
        return [of_first] + [of_others] * (shape.depth - 1)


class Pass:
    """Forward and backward through M networks that stay where they are, as do their inputs, on buffers that may be
    another's too.

    A pass on buffers that are made to be measured shows `sums` each layer's tensors while they are in the cache, and
    with delta its slope phi'(h), which takes the place of h.
    """

    def __init__(self, buffers: Buffers, x: Tensor, theta: Layers, gradients: Layers, activations: Activations) -> None:
        """x: (M, B, D)."""
        self.buffers = buffers
        self._shape, self._theta, self._gradients = buffers.shape, theta, gradients
        self._normalization = NORMALIZATIONS[buffers.shape.normalization]
        # A view takes as long to make as the arithmetic of a small layer: here they are made once.
        self._inputs = inputs = [x, *buffers.handed]
        w_mt = buffers.turned or [w.mT for w in theta.w[:-1]]
        self._to_h = _products(inputs, w_mt, buffers.h)
        self._readout = theta.b[-1].mT, theta.w[-1], inputs[-1].mT
        self._to_d_w = _products([buffers.delta.mT] * self._shape.depth, inputs, gradients.w)
        self._d_b_readout = gradients.b[-1].squeeze(1)
        self._to_d_readout = product(buffers.outputs, inputs[-1], gradients.w[-1])
        self._to_d_last = product(buffers.outputs.mT, theta.w[-1], buffers.d_layer)
        self._to_d_below = [product(buffers.delta, w, buffers.d_layer) for w in theta.w[1:-1]]
        self._turns = [(turned.numpy(), w.mT.numpy()) for turned, w in zip(buffers.turned, theta.w, strict=False)]
        self._phis = [activations.each(h, x) for h, x in zip(buffers.h, buffers.x, strict=True)]
        self._pulls = [self._pull_of(activations, h, x) for h, x in zip(buffers.h, buffers.x, strict=True)]

    def _pull_of(self, activations: Activations, h: Tensor, x: Tensor) -> Parts:
        buffers = self.buffers
        if buffers.ones is not None:
            return activations.each(buffers.ones, h, x, h)
        return activations.each(buffers.delta if self._normalization.after else buffers.d_layer, h, x, buffers.delta)

    def forward(self, sums: PartSums | None = None) -> Tensor:
        """Returns the outputs (M, C, B), a buffer that the next pass overwrites."""
        theta, buffers = self._theta, self.buffers
        for i, phi in enumerate(self._phis):
            if self._turns:
                # NumPy copies it in half the time that PyTorch takes.
                np.copyto(*self._turns[i])
            self._to_h[i]()
            h = buffers.h[i].add_(theta.b[i])
            if self._normalization.before:
                buffers.norms[i].forward(h, theta.gamma[i], theta.beta[i], out=h)
            for kernel, (h_part, x_part) in phi:
                kernel.phi(h_part, x_part)
            if sums is not None:
                sums.forward(i, h, buffers.x[i])
            self._hand_on(i)
        return torch.baddbmm(*self._readout, out=buffers.outputs)

    def _hand_on(self, i: int) -> None:
        """From x of the layer at i to what the next layer gets."""
        x, handed = self.buffers.x[i], self.buffers.handed[i]
        if self._normalization.after:
            self.buffers.norms[i].forward(x, self._theta.gamma[i], self._theta.beta[i], out=handed)
            x = handed
        if self._shape.residual and i > 0:
            torch.add(x, self._inputs[i], out=handed)

    def backward(self, sums: PartSums | None = None) -> None:
        """From dL/doutputs (M, C, B), which has taken the outputs' place, to the gradients of all parameters, summed
        over the samples.
        """
        theta, gradients, buffers = self._theta, self._gradients, self.buffers
        delta, d_layer = buffers.delta, buffers.d_layer
        self._to_d_readout()
        torch.sum(buffers.outputs, 2, out=self._d_b_readout)
        self._to_d_last()
        for i in reversed(range(self._shape.depth)):
            if self._normalization.after:
                buffers.norms[i].backward(d_layer, theta.gamma[i], gradients.gamma[i], gradients.beta[i], out=delta)
            self._pull(i)
            if self._normalization.before:
                buffers.norms[i].backward(delta, theta.gamma[i], gradients.gamma[i], gradients.beta[i], out=delta)
            if sums is not None:
                sums.backward(i, buffers.h[i], delta)
            self._to_d_w[i]()
            torch.sum(delta, 1, keepdim=True, out=gradients.b[i])
            if i > 0 and self._shape.residual:
                d_layer.baddbmm_(delta, theta.w[i])
            elif i > 0:
                self._to_d_below[i - 1]()

    def _pull(self, i: int) -> None:
        """Write dL/dx * phi'(h) of the layer at i, (M, B, N), to delta, where dL/dx may lie."""
        buffers = self.buffers
        for kernel, parts in self._pulls[i]:
            kernel.pull(*parts)
        if buffers.ones is not None:
            d_x = buffers.delta if self._normalization.after else buffers.d_layer
            torch.mul(d_x, buffers.h[i], out=buffers.delta)


def _products(a: Sequence[Tensor], b: Sequence[Tensor], out: Sequence[Tensor]) -> list[Product]:
    """One for each layer, as far as all of them go."""
    return [product(*each) for each in zip(a, b, out, strict=False)]


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
