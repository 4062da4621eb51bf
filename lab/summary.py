"""An experiment in one table and a few sentences. Every sentence follows from the numbers in the table beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.agreement import Agreement, told
from lab.phrases import listed
from lab.statistics import FEWEST, ArmComparison, Difference, Estimate, spans


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """What one arm came to.

    The score is test accuracy, or test loss for regression; `gradient_ratio` is at step 0, per layer towards the input;
    the other figures are means over layers and finished replicates. `point` is the grid point in words, empty without a
    sweep.
    """

    label: str
    score: ArmComparison
    dead_fraction_start: Estimate
    dead_fraction_end: Estimate
    gradient_ratio: Estimate
    activation_mean: Estimate
    failed: int
    diverged: int
    activation: str
    point: str
    cancelled: tuple[int, ...] = ()
    """The replicates that were."""
    theory: Agreement | None = None
    """The gradient ratio beside its prediction; None where none is on record."""
    guess: float | None = None
    """The score of guessing among equally likely classes; None for regression."""

    @property
    def name(self) -> str:
        """As sentences name it: its label has commas, as lists have."""
        return f"{self.activation} ({self.point})" if self.point else self.activation


@dataclass(frozen=True, slots=True)
class Score:
    """What arms are judged by, and how to say it. `metric` is its column of `runs`."""

    metric: str
    name: str
    higher_is_better: bool
    percent: bool

    def say(self, value: float) -> str:
        return f"{100 * value:.1f} %" if self.percent else f"{value:.4g}"

    def say_difference(self, low: float, high: float) -> str:
        low, high = sorted((abs(low), abs(high)))
        return f"{100 * low:.1f} to {100 * high:.1f} points" if self.percent else f"{low:.3g} to {high:.3g}"

    def say_change(self, low: float, high: float) -> str:
        return f"{100 * low:+.1f} to {100 * high:+.1f} points" if self.percent else f"{low:+.3g} to {high:+.3g}"


SCORES = {
    "classification": Score("test_accuracy", "test accuracy", higher_is_better=True, percent=True),
    "regression": Score("test_loss", "test loss", higher_is_better=False, percent=False),
}

# A squared gradient norm that changes by less than this factor a layer neither vanishes nor explodes at depths in use.
_STEADY = (0.8, 1.25)
_VANISHING = (
    "Where it shrinks, layers next to the input hardly learn at first: the more, the deeper the network. The "
    "initialization and the normalization set that factor as much as the activation does, so another choice of them "
    "may turn the order."
)
_CANCELLED = "What was cancelled does not count; pairs with both members do. A retry trains the rest."
# Of the way from guessing to being always right: networks this near to it have learnt next to nothing.
_NEXT_TO_NOTHING = 0.05


def answer(
    arms: Mapping[int, ArmSummary],
    baselines: Mapping[int, int],
    score: Score,
    *,
    level: float,
    probe_size: int,
    sweep: Sequence[str] = (),
) -> list[str]:
    """The answer in words: the best, who differs from the baseline, what changes along the `sweep`, what vanished, died
    or did not finish.
    """
    return [
        *_ranking(arms, score),
        *_against_baseline(arms, baselines, score, level),
        *sweep,
        *_guessing(arms, score),
        *_gradients(arms),
        *_theory(arms),
        *_dead(arms, probe_size),
        *_means(arms),
        *_missing(arms),
    ]


def _ranking(arms: Mapping[int, ArmSummary], score: Score) -> list[str]:
    scored = [(arm.score.estimate.mean, arm) for arm in arms.values() if arm.score.estimate.mean is not None]
    if not scored:
        return ["No run has finished with a score, so nothing can be said about it."]
    ranked = [
        f"{arm.name} with {score.say(mean)}{_interval(arm, score)}"
        for mean, arm in sorted(scored, key=lambda pair: pair[0], reverse=score.higher_is_better)
    ]
    if len(ranked) == 1:
        return [f"Mean {score.name}: {ranked[0]}."]
    best, worst = ("Highest", "lowest") if score.higher_is_better else ("Lowest (best)", "highest")
    return [f"{best} mean {score.name}: {ranked[0]}; {worst}: {ranked[-1]}."]


def _interval(arm: ArmSummary, score: Score) -> str:
    low, high, n = arm.score.estimate.low, arm.score.estimate.high, arm.score.estimate.n
    return f" (n = {n})" if low is None or high is None else f" ({score.say(low)} to {score.say(high)}, n = {n})"


def _against_baseline(
    arms: Mapping[int, ArmSummary], baselines: Mapping[int, int], score: Score, level: float
) -> list[str]:
    sentences = []
    for baseline in sorted(set(baselines.values())):
        said: dict[str, list[str]] = {"better": [], "worse": [], "not told apart": [], "inconclusive": []}
        for position, arm in arms.items():
            if baselines[position] == baseline and arm.score.difference is not None:
                outcome, words = _outcome(arm.activation, arm.score.difference, score, level)
                said[outcome].append(words)
        if any(said.values()):
            told = "; ".join(f"{outcome}: {listed(names)}" for outcome, names in said.items() if names)
            # An arm is compared with the baseline at its own grid point, so that once is enough to say it.
            of = arms[baseline]
            against = f"At {of.point}, against {of.activation}" if of.point else f"Against {of.activation}"
            sentences.append(
                f"{against}, in pairs of equal seeds ({100 * level:g} % intervals of the "
                f"difference in {score.name}; better or worse where p, adjusted for all arms, is below "
                f"{1 - level:.2g}): {told}."
            )
    return sentences


def judged(difference: Difference, score: Score, level: float) -> str:
    """`better`, `worse`, `not told apart` or, where that is not known, `inconclusive`."""
    if difference.low is None or difference.high is None or difference.mean is None or difference.p_holm is None:
        return "inconclusive"
    if difference.n < FEWEST:
        return "inconclusive"
    if difference.p_holm >= 1 - level:
        return "not told apart"
    return "better" if (difference.mean > 0) == score.higher_is_better else "worse"


def _outcome(name: str, difference: Difference, score: Score, level: float) -> tuple[str, str]:
    outcome = judged(difference, score, level)
    if difference.low is None or difference.high is None or difference.p_holm is None or outcome == "not told apart":
        return outcome, name
    if difference.n < FEWEST:
        return outcome, f"{name} ({difference.n} pairs, of {FEWEST} that a verdict takes)"
    return outcome, f"{name} by {score.say_difference(difference.low, difference.high)}"


def _guessing(arms: Mapping[int, ArmSummary], score: Score) -> list[str]:
    said = [
        f"{arm.name} ({score.say(arm.score.estimate.mean)}; a guess has {score.say(arm.guess)})"
        for arm in arms.values()
        if arm.guess is not None
        and arm.score.estimate.mean is not None
        and arm.score.estimate.mean < arm.guess + _NEXT_TO_NOTHING * (1 - arm.guess)
    ]
    if not said:
        return []
    told = "They have learnt next to nothing in the steps given; what they would come to is not known."
    return [f"No better than guessing, or hardly: {listed(said)}. {told}"]


def _gradients(arms: Mapping[int, ArmSummary]) -> list[str]:
    ratios = [(arm.name, arm.gradient_ratio.mean) for arm in arms.values() if arm.gradient_ratio.mean is not None]
    if not ratios:
        return []
    vanishing = [(name, ratio) for name, ratio in ratios if ratio < _STEADY[0]]
    exploding = [(name, ratio) for name, ratio in ratios if ratio > _STEADY[1]]
    steady = [name for name, ratio in ratios if _STEADY[0] <= ratio <= _STEADY[1]]
    said = []
    if vanishing:
        fastest = sorted(vanishing, key=lambda pair: pair[1])
        said.append("shrinks for " + listed([f"{name} (x {ratio:.2g})" for name, ratio in fastest]))
    if exploding:
        said.append("grows for " + listed([f"{name} (x {ratio:.2g})" for name, ratio in exploding]))
    if steady:
        said.append("stays within a quarter for " + listed(steady))
    change = "; it ".join(said)
    told = f"Before training, from each layer to the one below it, the squared per-sample gradient norm {change}."
    return [told, _VANISHING] if vanishing else [told]


def _theory(arms: Mapping[int, ArmSummary]) -> list[str]:
    """How the gradient ratios fit their predictions, where there are both."""
    return told({arm.name: arm.theory for arm in arms.values() if arm.theory is not None})


def _dead(arms: Mapping[int, ArmSummary], probe_size: int) -> list[str]:
    measured = [arm for arm in arms.values() if arm.dead_fraction_end.mean is not None]
    dead = [
        f"{arm.name} {_share(arm.dead_fraction_end.mean)} (at step 0: {_share(arm.dead_fraction_start.mean)})"
        for arm in measured
        if arm.dead_fraction_end.mean or arm.dead_fraction_start.mean
    ]
    if not measured:
        return []
    if not dead:
        return [f"No hidden unit was dead on the probe of {probe_size} inputs, before or after training."]
    rest = "; every other arm has none" if len(dead) < len(measured) else ""
    return [f"Dead hidden units at the end, on the probe of {probe_size} inputs: {listed(dead)}{rest}."]


def _means(arms: Mapping[int, ArmSummary]) -> list[str]:
    said: dict[str, list[str]] = {"above zero": [], "below zero": [], "not told apart from zero": []}
    for arm in arms.values():
        mean, low, high = arm.activation_mean.mean, arm.activation_mean.low, arm.activation_mean.high
        if mean is None or low is None or high is None:
            continue
        if low <= 0 <= high:
            said["not told apart from zero"].append(arm.name)
        else:
            said["above zero" if mean > 0 else "below zero"].append(f"{arm.name} ({mean:.2g})")
    told = "; ".join(f"{where} for {listed(names)}" for where, names in said.items() if names)
    return [f"After training the mean activation is {told}."] if told else []


def _missing(arms: Mapping[int, ArmSummary]) -> list[str]:
    said = [f"{arm.diverged} of {arm.name} diverged" for arm in arms.values() if arm.diverged]
    said += [f"{arm.failed} of {arm.name} failed" for arm in arms.values() if arm.failed]
    cancelled = [arm for arm in arms.values() if arm.cancelled]
    said += [_told_cancelled(arm) for arm in cancelled]
    told = [f"Not in the means: {listed(said)}."] if said else []
    return [*told, _CANCELLED] if cancelled else told


def _told_cancelled(arm: ArmSummary) -> str:
    n = len(arm.cancelled)
    were, replicates = ("was", "replicate") if n == 1 else ("were", "replicates")
    return f"{n} of {arm.name} {were} cancelled ({replicates} {spans(arm.cancelled)})"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.3g} %"
