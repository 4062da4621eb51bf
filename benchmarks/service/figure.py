"""A figure of the service: what was measured, and what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.service.load import Measured


@dataclass(frozen=True, slots=True)
class Bound:
    """At least `value` where more is better, else at most."""

    value: float
    unit: str
    at_least: bool = False

    def is_met(self, measured: float) -> bool:
        return measured >= self.value if self.at_least else measured <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {_short(self.value)}{self.unit}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `n` says what it was taken over; `beside` is MLflow's, where it has the same operation."""

    what: str
    measured: float
    bound: Bound | None
    n: str
    unit: str = ""
    beside: str = ""

    def cells(self) -> list[str]:
        """A line of the table."""
        unit = self.bound.unit if self.bound else self.unit
        wanted = str(self.bound) if self.bound else ""
        met = ("yes" if self.bound.is_met(self.measured) else "**no**") if self.bound else ""
        return [self.what, f"{_short(self.measured)}{unit}", self.n, wanted, met, self.beside]


HEAD = ["what", "measured", "n", "wanted", "met", "MLflow, same run"]

PER_SECOND = "/s"
MS = " ms"


def rate(what: str, measured: Measured, at_least: float | None, *, beside: Measured | None = None) -> Figure:
    """Operations a second."""
    bound = None if at_least is None else Bound(at_least, PER_SECOND, at_least=True)
    told = "" if beside is None else f"{_short(beside.rate)}{PER_SECOND}"
    return Figure(what, measured.rate, bound, _n(measured), PER_SECOND, told)


def p99(what: str, measured: Measured, at_most: float | None, *, beside: Measured | None = None) -> Figure:
    """The 99th percentile in milliseconds, and the median beside it."""
    bound = None if at_most is None else Bound(at_most, MS)
    told = "" if beside is None else f"{_short(beside.ms(99))}{MS} (median {_short(beside.ms(50))})"
    return Figure(f"{what}, p99 (median {_short(measured.ms(50))}{MS})", measured.ms(99), bound, _n(measured), MS, told)


def table(figures: Sequence[Figure]) -> list[list[str]]:
    return [figure.cells() for figure in figures]


def _n(measured: Measured) -> str:
    return f"{measured.n:,} in {measured.wall_s:.0f} s"


def _short(number: float) -> str:
    """Three digits, or all before the point."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"
