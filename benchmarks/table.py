"""What the rounds say: each peer's seconds, and the ratios beside what they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import median

from benchmarks.job import Job
from benchmarks.rounds import Rounds

Seconds = Callable[[Job], float]
WHOLE: Seconds = attrgetter("whole_s")
WORK: Seconds = attrgetter("work_s")
BUSY: Seconds = attrgetter("busy_s")

Ratio = Callable[[Rounds], Sequence[float]]
"""Its value in each round."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio, and by workload what it should be: at least that where more is better, else at most."""

    name: str
    needs: tuple[str, ...]
    ratio: Ratio
    bounds: dict[str, float]
    at_least: bool = True

    def line(self, workload: str, rounds: Rounds) -> str:
        """The median of the rounds, and whether it is what it should be."""
        value, bound = median(self.ratio(rounds)), self.bounds.get(workload)
        if bound is None:
            return f"{self.name}: {value:.2f}"
        reached = value >= bound if self.at_least else value <= bound
        sign = "at least" if self.at_least else "at most"
        return f"{self.name}: {value:.2f} ({sign} {bound:g}: {'reached' if reached else 'not reached'})"


def _quotient(top: tuple[str, Seconds], bottom: tuple[str, Seconds]) -> Ratio:
    return lambda rounds: [a / b for a, b in zip(rounds.each(*top), rounds.each(*bottom), strict=True)]


def _against_products(rounds: Rounds) -> list[float]:
    """The engine over the bare products, by bmm or by oneDNN, whichever is quicker."""
    by_kernel = [rounds.each(name, WORK) for name in ("products, bmm", "products, oneDNN") if name in rounds]
    best = [min(seconds) for seconds in zip(*by_kernel, strict=True)]
    return [seconds / least for seconds, least in zip(rounds.each("engine", WORK), best, strict=True)]


def _recording(rounds: Rounds) -> list[float]:
    """What recording adds to the engine over what its passes' products add to training's."""
    engine = _added(rounds, "engine", "engine, not recording")
    products = _added(rounds, "products, bmm", "products, bmm, training's")
    return [of_engine / of_products for of_engine, of_products in zip(engine, products, strict=True)]


def _added(rounds: Rounds, more: str, less: str) -> list[float]:
    return [a - b for a, b in zip(rounds.each(more, BUSY), rounds.each(less, BUSY), strict=True)]


GOALS: tuple[Goal, ...] = (
    Goal(
        "nn.Module / engine, whole jobs",
        ("nn.Module", "engine"),
        _quotient(("nn.Module", WHOLE), ("engine", WHOLE)),
        {"tiny": 8.0, "mid": 3.0, "wide": 2.0},
    ),
    Goal(
        "nn.Module / engine, without start-up",
        ("nn.Module", "engine"),
        _quotient(("nn.Module", WORK), ("engine", WORK)),
        {},
    ),
    Goal(
        "nn.Module / engine, neither recording, whole jobs",
        ("nn.Module, not recording", "engine, not recording"),
        _quotient(("nn.Module, not recording", WHOLE), ("engine, not recording", WHOLE)),
        {},
    ),
    Goal(
        "JAX / engine, whole jobs",
        ("JAX", "engine"),
        _quotient(("JAX", WHOLE), ("engine", WHOLE)),
        {"tiny": 6.0, "mid": 1.6, "wide": 1.3},
    ),
    Goal(
        "JAX / engine, without start-up and compiling",
        ("JAX", "engine"),
        _quotient(("JAX", WORK), ("engine", WORK)),
        {},
    ),
    Goal(
        "engine / best products, recording passes too, without start-up",
        ("engine", "products, bmm"),
        _against_products,
        {"mid": 2.2, "wide": 2.2},
        at_least=False,
    ),
    Goal(
        "recording / its passes' products, without start-up",
        ("engine", "engine, not recording", "products, bmm", "products, bmm, training's"),
        _recording,
        {"tiny": 1.5, "mid": 1.5, "wide": 1.5},
        at_least=False,
    ),
)


def told(name: str, share: object, job: Job) -> str:
    """One job, in a line."""
    parts = f"start-up {job.startup_s:.2f}, compiling {job.compile_s:.2f}, work {job.work_s:.2f}"
    memory = f"{job.peak_bytes / 2**20:.0f} MiB a process"
    return f"  {name:<30} {share!s:>4}  {job.whole_s:7.2f} s ({parts}); idle {job.idle_share:.0%}; {memory}"


def ratios(workload: str, rounds: Rounds) -> Iterator[str]:
    """A line for each ratio whose peers took part."""
    for goal in GOALS:
        if all(name in rounds for name in goal.needs):
            yield f"  {goal.line(workload, rounds)}"
    if "engine" in rounds:
        idle = median(rounds.each("engine", attrgetter("idle_share")))
        yield f"  engine: one worker waits for the other at the end for {idle:.0%} of the time"


def agreement(rounds: Rounds) -> Iterator[str]:
    """The mean over networks of the last test loss, of every peer that records: the peers did the same work."""
    last = {name: jobs[-1].recorded for name, jobs in rounds.jobs.items()}
    losses = [f"{name} {recorded['test_loss'][-1].mean():.4f}" for name, recorded in last.items() if recorded]
    if losses:
        yield f"  test loss at the end, mean over networks: {', '.join(losses)}"


def row(workload: str, rounds: Rounds, names: Sequence[str]) -> list[str]:
    """A line of the table: the medians of whole and of work seconds, for each of the entries `names`."""
    cells = [
        f"{median(rounds.each(name, WHOLE)):.2f} / {median(rounds.each(name, WORK)):.2f}" if name in rounds else ""
        for name in names
    ]
    return [workload, *cells]


def as_table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    """Markdown."""
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cells)} |"
