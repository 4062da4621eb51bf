"""An experiment's figures, each a name and the means it draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from lab.bands import gradient_band, value_band
from lab.catalog.datasets import DATASETS
from lab.catalog.predictions import GRADIENT_RATIO
from lab.errors import NotFound, shown
from lab.figures import Figure, Line, Point, Theory, intervals, over_layers, over_steps
from lab.summary import SCORES, Score
from service.findings import LEVEL, compared
from store import predictions, queries, series, submissions
from store.metrics import metric_values
from store.models import TERMINAL

MOST_LINES = 40
"""Arms that are drawn; a reader cannot tell more lines apart."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is drawn: the first arms of an experiment, position to label."""

    experiment_id: str
    labels: Mapping[int, str]
    n_arms: int
    ended: bool
    score: Score

    @property
    def live(self) -> tuple[str, ...]:
        return () if self.ended else ("networks that still train included",)

    def title(self, of: str, *notes: str) -> str:
        """Says what a reader of the figure alone would not know."""
        if len(self.labels) < self.n_arms:
            notes += (f"first {len(self.labels)} of {self.n_arms} arms",)
        return f"{of} ({'; '.join(notes)})" if notes else of

    def lines(self, means: series.Means) -> list[Line]:
        found: dict[int, list[tuple[int, float | None]]] = {arm: [] for arm in self.labels}
        for arm, x, mean in means:
            found[arm].append((x, mean))
        return [Line(self.labels[arm], [x for x, _ in points], [y for _, y in points]) for arm, points in found.items()]


def draw(session: Session, experiment_id: str, name: str) -> Figure:
    """Raises NotFound where there is no such experiment, or `name` is none of FIGURES."""
    if name not in FIGURES:
        raise NotFound(f"There is no figure {shown(name)}. Known: {', '.join(FIGURES)}.")
    experiment = submissions.get(session, experiment_id)
    arms = queries.arms(session, experiment_id)
    subject = Subject(
        experiment_id=experiment_id,
        labels={arm.position: arm.label for arm in arms[:MOST_LINES]},
        n_arms=len(arms),
        ended=experiment.state in TERMINAL,
        score=SCORES[DATASETS[experiment.spec["dataset"]["name"]].task],
    )
    return FIGURES[name](session, subject)


def _learning_curves(session: Session, subject: Subject) -> Figure:
    score = subject.score
    means = series.by_step(session, subject.experiment_id, score.metric, subject.labels)
    title = subject.title(f"{score.name.capitalize()}, mean over networks", *subject.live)
    return over_steps(subject.lines(means), title=title, y_title=score.name)


def _dead_fraction(session: Session, subject: Subject) -> Figure:
    means = series.by_step(session, subject.experiment_id, "dead_fraction", subject.labels)
    title = subject.title("Dead hidden units, mean over layers and networks", *subject.live)
    return over_steps(subject.lines(means), title=title, y_title="share of hidden units that are dead (dead_fraction)")


def _gradient_flow(session: Session, subject: Subject) -> Figure:
    means = series.by_layer(session, subject.experiment_id, "delta_norm", subject.labels, at="first")
    title = subject.title("Per-sample gradient norm before training", *subject.live)
    y_title = "per-sample gradient norm (delta_norm)"
    lines = subject.lines(means)
    predicted = predictions.predictions(session, subject.experiment_id, subject.labels, quantity=GRADIENT_RATIO)
    bands = [gradient_band(line, predicted[arm]) for arm, line in zip(subject.labels, lines, strict=True)]
    theory = Theory("theory, down from the last layer", {i: band for i, band in enumerate(bands) if band is not None})
    return over_layers(lines, title=title, y_title=y_title, logarithmic=True, theory=theory)


def _mean_activation(session: Session, subject: Subject) -> Figure:
    means = series.by_layer(session, subject.experiment_id, "activation_mean", subject.labels, at="last")
    title = subject.title("Mean activation at the last step", *subject.live)
    theory = _mean_at_the_start(session, subject)
    y_title = "mean activation (activation_mean)"
    return over_layers(subject.lines(means), title=title, y_title=y_title, theory=theory)


def _mean_at_the_start(session: Session, subject: Subject) -> Theory:
    """Theory is of step 0: beside its bands the figure shows what the networks' means were there."""
    name, experiment_id = "activation_mean", subject.experiment_id
    predicted = predictions.predictions(session, experiment_id, subject.labels, quantity=name)
    bands = [value_band(predicted[arm], name) for arm in subject.labels]
    lines = subject.lines(series.by_layer(session, experiment_id, name, subject.labels, at="first"))
    known = {i: band for i, band in enumerate(bands) if band is not None}
    return Theory("theory at step 0", known, {i: lines[i] for i in known})


def _comparison(session: Session, subject: Subject) -> Figure:
    arms = queries.arms(session, subject.experiment_id)
    values = metric_values(session, subject.experiment_id, subject.score.metric)
    estimates = {arm: result.estimate for arm, result in compared(arms, values, level=LEVEL).items()}
    shown = [(label, estimates[arm]) for arm, label in subject.labels.items()]
    points = [Point(label, e.mean, e.low, e.high) for label, e in shown]
    title = subject.title(subject.score.name.capitalize(), f"{100 * LEVEL:g} % intervals")
    return intervals(points, title=title, x_title=subject.score.name)


FIGURES: dict[str, Callable[[Session, Subject], Figure]] = {
    "learning_curves": _learning_curves,
    "gradient_flow": _gradient_flow,
    "dead_fraction": _dead_fraction,
    "mean_activation": _mean_activation,
    "comparison": _comparison,
}
