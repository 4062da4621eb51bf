"""How long an attempt at a stack may take. A hung training keeps its lease: time alone tells it from a long one."""

from __future__ import annotations

from store.settings import Settings

# A step of the smallest networks takes this many times as long as its few operations would.
_STEP_FLOPS = 10**7
# Three years: a timer does not take any number.
_LONGEST_S = 1e8


def deadline_s(settings: Settings, *, cost_flops: int, steps: int) -> float:
    """Seconds from the start of an attempt: at the slowest speed that is still taken for training, and a while more
    for data and starting up.
    """
    slowest_s = (cost_flops + steps * _STEP_FLOPS) / settings.slowest_flops
    return min(settings.deadline_s + slowest_s, _LONGEST_S)
