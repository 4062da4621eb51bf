"""Which units were dead when: masks from one recorded step to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Changes:
    """Since the recorded step before: units that have become dead, and that no longer are. Both (M, L, N)."""

    died: Tensor
    revived: Tensor


class Health:
    """Masks of shape (M, L, N). A diverged network's stay as they were at its last recorded step before that."""

    def __init__(self, n_networks: int, depth: int, width: int, *, device: torch.device) -> None:
        self.masks = torch.zeros(3, n_networks, depth, width, dtype=torch.bool, device=device)
        """(3, M, L, N): everything there is to keep."""
        self._first, self._last, self._revived = self.masks.unbind()

    def start(self, dead: Tensor) -> Changes:
        """The state at step 0: what is dead has died."""
        self._first.copy_(dead)
        self._last.copy_(dead)
        return Changes(dead, torch.zeros_like(dead))

    def update(self, dead: Tensor, alive: Tensor) -> Changes:
        """The state at a later recorded step; alive: (M,), networks that have not diverged."""
        alive = alive[:, None, None]
        changed = (dead != self._last) & alive
        changes = Changes(changed & dead, changed & ~dead)
        self._revived |= changes.revived
        torch.where(alive, dead, self._last, out=self._last)
        return changes

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
