"""The one task: a hint that a stack may be waiting. It carries nothing, and does nothing where nothing waits."""

from __future__ import annotations

import os
from functools import cache

import torch
from celery import Task, shared_task

from store import leases
from store.database import Database
from store.leases import RanOn
from store.queue import TASK, Hints
from worker.app import settings, worker_name
from worker.attempt import Workplace
from worker.machine import device_name, threads
from worker.training import train_next


class TrainTask(Task[[], None]):
    Request = "worker.lost:TrainRequest"


@shared_task(name=TASK, ignore_result=True, base=TrainTask)
def train() -> None:
    """Trains one waiting stack, then hints again while more wait."""
    workplace = _workplace()
    if not train_next(workplace):
        return
    with workplace.database.reading() as session:
        more = leases.any_waiting(session)
    if more:
        _hints().send()


@cache
def _workplace() -> Workplace:
    """Made at a process's first task: torch and the device are never touched before the process is spawned."""
    torch.set_num_threads(threads(settings))
    ran_on = RanOn(device_name(settings), threads(settings), torch.__version__)
    name = f"{worker_name(os.getppid())}{os.getpid()}"
    return Workplace(settings, Database.connect(settings.database_url), name, ran_on)


@cache
def _hints() -> Hints:
    return Hints(settings)
