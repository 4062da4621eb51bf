"""Which units were dead when: masks from one recorded step to the next."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Health:
    """Masks of shape (M, L, N). A diverged network's stay as they were at its last recorded step before that."""

    def __init__(self, n_networks: int, depth: int, width: int, *, device: torch.device) -> None:
        self.masks = torch.zeros(4, n_networks, depth, width, dtype=torch.bool, device=device)
        """(4, M, L, N): everything there is to keep."""
        self._first, self._last, self._ever, self._revived = self.masks.unbind()

    def start(self, dead: Tensor) -> None:
        """The state at step 0."""
        self._first.copy_(dead)
        self._last.copy_(dead)
        self._ever.copy_(dead)

    def update(self, dead: Tensor, alive: Tensor) -> None:
        """The state at a later recorded step; alive: (M,), networks that have not diverged."""
        alive = alive[:, None, None]
        self._revived |= self._ever & ~dead & alive
        self._ever |= dead & alive
        torch.where(alive, dead, self._last, out=self._last)

    def by_network(self) -> list[dict[str, Any]]:
        """For each network, every number of `lab.records.RunResult` that is about dead units, by its name."""
        counts = {
            "dead_fraction_start": self._first.double().mean(2),
            "dead_fraction_end": self._last.double().mean(2),
            "units_died": (self._last & ~self._first).sum(2),
            "units_revived": self._revived.sum(2),
        }
        lists = {name: count.tolist() for name, count in counts.items()}
        return [{name: tuple(rows[m]) for name, rows in lists.items()} for m in range(len(self._first))]
