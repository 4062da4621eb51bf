"""The minibatches: which training samples each network sees at each step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from worker.engine.seeds import Role, stream


class Batches:
    """Every epoch visits the training set in a new order, the same for all networks of a replicate."""

    def __init__(self, x: Tensor, y: Tensor, *, batch_size: int, replicates: Sequence[int], seed: int) -> None:
        """x: (n, D); y: (n,) or (n, C); one replicate for each network."""
        self._x, self._y, self._seed, self._batch_size = x, y, seed, batch_size
        self._distinct = sorted(set(replicates))
        places = [self._distinct.index(replicate) for replicate in replicates]
        self._place = torch.tensor(places, device=x.device)
        self._per_epoch = len(x) // batch_size
        self._epoch = -1
        n_networks = len(replicates)
        self._x_batch = x.new_empty(n_networks * batch_size, x.shape[1])
        self.x = self._x_batch.view(n_networks, batch_size, x.shape[1])
        """(M, B, D): the inputs of the batch that was last asked for."""

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of the update after `step` updates: `x`, and y (M, B) or (M, B, C)."""
        epoch, batch = divmod(step, self._per_epoch)
        if epoch != self._epoch:
            self._order, self._epoch = self._draw(epoch), epoch
        start = batch * self._batch_size
        rows = self._order[:, start : start + self._batch_size].index_select(0, self._place).flatten()
        torch.index_select(self._x, 0, rows, out=self._x_batch)
        y = self._y.index_select(0, rows)
        return self.x, y.view(*self.x.shape[:2], *y.shape[1:])

    def _draw(self, epoch: int) -> Tensor:
        """(replicates, n): the order of the training set in `epoch`."""
        streams = [stream(self._seed, replicate, Role.ORDER, epoch) for replicate in self._distinct]
        orders = np.stack([each.permutation(len(self._x)) for each in streams])
        return torch.from_numpy(orders).to(self._x.device)
