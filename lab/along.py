"""How the score changes along the sweep: each activation beside itself at the first of the swept values, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lab.phrases import listed
from lab.plan import Arm
from lab.spec import Swept, in_words
from lab.statistics import Difference, Values, compare
from lab.summary import Score, judged

# Lines of one path that a sentence has, and values of one line that are named: a comparison has them all.
_MOST_LINES, _MOST_VALUES = 6, 3
_SAME = "the same in every pair"


@dataclass(frozen=True, slots=True)
class _Line:
    """The arms of one activation along one path of the sweep, every other path held; `name` says where."""

    name: str
    arms: tuple[int, ...]
    values: tuple[Swept, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    outcome: str
    value: Swept
    difference: Difference


def along(
    arms: Sequence[Arm],
    values: Mapping[int, Values],
    cancelled: Mapping[int, Collection[int]],
    score: Score,
    *,
    level: float,
) -> list[str]:
    """A sentence a path with several values; `values` and `cancelled` go from an arm's position, as in `compare`."""
    paths = [path for path, _ in arms[0].swept] if arms else []
    sentences = (_sentence(path, _lines(arms, path), values, cancelled, score, level) for path in paths)
    return [sentence for sentence in sentences if sentence]


def _lines(arms: Sequence[Arm], path: str) -> list[_Line]:
    found: dict[object, list[Arm]] = {}
    for arm in arms:
        rest = tuple((other, value) for other, value in arm.swept if other != path)
        found.setdefault((arm.activation, rest), []).append(arm)
    lines = []
    for members in found.values():
        at = ", ".join(f"{_last(other)} {in_words(value)}" for other, value in members[0].swept if other != path)
        name = members[0].activation.label + (f" ({at})" if at else "")
        swept = tuple(dict(arm.swept)[path] for arm in members)
        lines.append(_Line(name, tuple(arm.position for arm in members), swept))
    return lines


def _sentence(
    path: str,
    lines: Sequence[_Line],
    values: Mapping[int, Values],
    cancelled: Mapping[int, Collection[int]],
    score: Score,
    level: float,
) -> str:
    """Empty where there is one value, or none that is compared."""
    first_of = {arm: line.arms[0] for line in lines for arm in line.arms}
    compared = compare(values, first_of, cancelled=cancelled, level=level)
    changes = {
        line.name: [
            _Change(_outcome(difference, score, level), value, difference)
            for arm, value in zip(line.arms[1:], line.values[1:], strict=True)
            if (difference := compared[arm].difference) is not None and difference.n
        ]
        for line in lines
    }
    every = [change for line in changes.values() for change in line]
    if not every:
        return ""
    of_all = f", adjusted for all {len(every)}," if len(every) > 1 else ""
    beginning = (
        f"Along {_last(path)}, against {in_words(lines[0].values[0])}, {_paired(path)} ({100 * level:g} % intervals of "
        f"the difference in {score.name}, n = {_n(every)}; better or worse where p{of_all} is below {1 - level:.2g})"
    )
    told = {name: told for name, line in changes.items() if (told := _told(line, score))}
    if len(told) <= _MOST_LINES:
        return f"{beginning}: {'; '.join(f'{name} is {said}' for name, said in told.items())}."
    changed = [name for name, line in changes.items() if any(c.outcome in ("better", "worse") for c in line)]
    strongest = max(changes, key=lambda name: max((abs(c.difference.mean or 0.0) for c in changes[name]), default=0.0))
    return (
        f"{beginning}: {len(changed)} of {len(told)} are better or worse at some value. The mean changes most for "
        f"{strongest}: it is {told[strongest]}."
    )


def _outcome(difference: Difference, score: Score, level: float) -> str:
    # Without any spread there is no p: of a setting that changes nothing, such as a norm that no gradient reaches.
    return _SAME if difference.low == difference.high == 0 else judged(difference, score, level)


def _told(line: Sequence[_Change], score: Score) -> str:
    """`better at 4 (+1.0 to +3.0 points), not told apart at 8 (-1.0 to +0.4 points)`."""
    parts = []
    for outcome in ("better", "worse", "not told apart", _SAME, "inconclusive"):
        such = [change for change in line if change.outcome == outcome]
        if not such:
            continue
        if len(such) <= _MOST_VALUES:
            parts.append(f"{outcome} at {listed([_at(change, score) for change in such])}")
        else:
            most = max(such, key=lambda change: abs(change.difference.mean or 0.0))
            parts.append(f"{outcome} at {len(such)} of {len(line)} values, most at {_at(most, score)}")
    return ", ".join(parts)


def _at(change: _Change, score: Score) -> str:
    low, high = change.difference.low, change.difference.high
    if low is None or high is None or change.outcome == _SAME:
        return in_words(change.value)
    return f"{in_words(change.value)} ({score.say_change(low, high)})"


def _paired(path: str) -> str:
    """Initial draws are keyed by seed and layer: they are the same wherever a layer has its shape and family."""
    redrawn = path.startswith("dataset.") or path in ("network.depth", "network.width", "network.initialization")
    return "by equal seeds, which draw other initial weights there" if redrawn else "in pairs of equal seeds"


def _n(changes: Sequence[_Change]) -> str:
    least, most = (f(change.difference.n for change in changes) for f in (min, max))
    return str(least) if least == most else f"{least} to {most}"


def _last(path: str) -> str:
    return path.partition(".")[2]
