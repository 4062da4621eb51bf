"""Verdicts in sentences that follow from their numbers: of a part, and of a claim as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from lab.claims.claim import Clause
from lab.claims.verdict import EXACT, Judged, JudgedClaim, JudgedPart, Verdict, standing

# More samples than this make no sentence: the table beside it has them all.
_MOST_LISTED = 3


def say(judged: JudgedPart) -> str:
    """Names the numbers that decided, with their intervals and n."""
    if not judged.numbers:
        return f"{judged.verdict.value.capitalize()}: there are no results yet."
    deciding = [number for number in judged.numbers if number.verdict is judged.verdict]
    if judged.verdict is Verdict.INCONCLUSIVE:
        return (
            f"Inconclusive: {_listed(list(dict.fromkeys(f'{each.sample.label}: {each.reason}' for each in deciding)))}."
        )
    sesoi = f"{deciding[0].sesoi:.3g}"
    if judged.part.direction == "within":
        where = f"within +-{sesoi}" if judged.verdict is Verdict.SUPPORTED else f"beyond +-{sesoi}"
    else:
        where = f"above {sesoi}" if judged.verdict is Verdict.SUPPORTED else f"not above {sesoi}"
    told = _listed([_told(number) for number in deciding])
    return f"{judged.verdict.value.capitalize()}: {_the_effects(deciding)} {where}: {told}."


def answer(judged: JudgedClaim) -> str:
    """How the claim stands, what of it is so, what is not, and what is open."""
    head = f"{standing(judged).value.capitalize()}."
    if all(part.verdict is Verdict.NOT_RUN for part in judged.parts):
        return f"{head} It has not been run to its end."
    so = [clause.so for clause in _clauses(judged, Verdict.SUPPORTED)]
    not_so = [clause.not_so for clause in _clauses(judged, Verdict.REFUTED)]
    undecided = [f"whether {clause.so}" for clause in _clauses(judged, Verdict.INCONCLUSIVE)]
    sentences = (_sentence("", so), _sentence("But " if so else "", not_so), _sentence("It is open ", undecided))
    return " ".join(filter(None, (head, *sentences)))


def _clauses(judged: JudgedClaim, verdict: Verdict) -> list[Clause]:
    return [part.part.answer for part in judged.parts if part.part.answer and part.verdict is verdict]


def _sentence(beginning: str, clauses: Sequence[str]) -> str:
    text = beginning + "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}." if clauses else ""


def _the_effects(deciding: Sequence[Judged]) -> str:
    return "the effect is" if len(deciding) == 1 else f"{len(deciding)} effects are"


def _told(number: Judged) -> str:
    e = number.estimate
    if e.note == EXACT:
        return f"{number.sample.label} = {e.mean:.3g}, {EXACT}"
    interval = "" if e.low is None or e.high is None else f" [{e.low:.3g}, {e.high:.3g}]"
    note = f", {number.reason}" if number.reason else ""
    return f"{number.sample.label} {e.mean:.3g}{interval} (n = {e.n}{note})"


def _listed(told: Sequence[str]) -> str:
    if len(told) > _MOST_LISTED:
        told = [*told[:_MOST_LISTED], f"and {len(told) - _MOST_LISTED} more"]
    return "; ".join(told)
