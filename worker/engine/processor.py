"""The processor of this machine, as PyTorch tells of it."""

from __future__ import annotations

from collections.abc import Mapping

import torch


def processor() -> Mapping[str, object]:
    """Its maker's name for it, `cpu_name`, and which instructions it has. An older PyTorch tells nothing."""
    told: Mapping[str, object] = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return told
