"""What this machine gives to training: processes, threads, and the device."""

from __future__ import annotations

import os

from store.settings import InvalidSettings, Settings


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes(settings: Settings) -> int:
    """As many as asked for; else one a core, or one for a GPU, which a single process keeps busy."""
    return settings.processes or (cores() if device_name(settings) == "cpu" else 1)


def threads(settings: Settings) -> int:
    """More threads than cores over all processes slow every one of them down."""
    return settings.threads or max(1, cores() // processes(settings))


def device_name(settings: Settings) -> str:
    """`cpu`, or a CUDA device that is there. Raises InvalidSettings where the one asked for is not."""
    if settings.device == "cpu":
        return "cpu"
    # Costs seconds, and the worker's main process has no other need of it.
    import torch

    if settings.device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    device, n_gpus = torch.device(settings.device), torch.cuda.device_count()
    index = device.index or 0
    if index < n_gpus:
        return f"cuda:{index}"
    allowed = f"cpu, auto, or cuda:N with N below {n_gpus}, the number of GPUs here"
    raise InvalidSettings(f"ACTLAB_DEVICE: given {settings.device!r}; allowed: {allowed}.")
