"""The numbers of a request when nothing disturbs it: trained in this process, alone, from beginning to end."""

from __future__ import annotations

import json
from typing import Any

import torch

from lab.spec import ExperimentSpec
from store.database import Database
from tests.worker.workplaces import a_workplace, numbers, submitted
from worker.training import train_next


class Undisturbed:
    """Trains each request once. It takes a record of its own, and one thread, as the lab's training processes do."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, dict[str, list[tuple[Any, ...]]]] = {}

    def numbers(self, spec: dict[str, Any]) -> dict[str, list[tuple[Any, ...]]]:
        """Every number of the experiment with this spec, by table, arm and replicate."""
        key = json.dumps(spec)
        if key not in self._known:
            torch.set_num_threads(1)
            experiment_id = submitted(self._database, ExperimentSpec.from_json(spec))
            while train_next(a_workplace(self._database)):
                pass
            self._known[key] = numbers(self._database, experiment_id)
        return self._known[key]
