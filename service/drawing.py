"""An experiment's figures, each a name and the means it draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from sqlalchemy.orm import Session

from lab.catalog.datasets import DATASETS
from lab.figures import Figure, Line, Point, intervals, over_layers, over_steps
from lab.summary import SCORES, Score
from service.findings import LEVEL, compared
from store import queries, submissions
from store.metrics import metric_values, series

MOST_LINES = 40
"""Arms that are drawn; a reader cannot tell more lines apart."""

Rows = Sequence[tuple[int, int, float | None]]
"""(arm, place on the x axis, mean)."""


def draw(session: Session, experiment_id: str, name: str) -> Figure:
    """`name` is one of FIGURES. Raises NotFound."""
    experiment = submissions.get(session, experiment_id)
    labels = {arm.position: arm.label for arm in queries.arms(session, experiment_id)[:MOST_LINES]}
    score = SCORES[DATASETS[experiment.spec["dataset"]["name"]].task]
    return FIGURES[name](session, experiment_id, labels, score)


def _learning_curves(session: Session, experiment_id: str, labels: Mapping[int, str], score: Score) -> Figure:
    columns = series(session, experiment_id, score.name.replace(" ", "_"), table="curves")
    rows = list(zip(columns["arm"], columns["step"], columns["mean"], strict=True))
    return over_steps(
        _lines(rows, labels), title=f"{score.name.capitalize()} (mean over replicates)", y_title=score.name
    )


def _dead_fraction(session: Session, experiment_id: str, labels: Mapping[int, str], _: Score) -> Figure:
    columns = series(session, experiment_id, "dead_fraction", table="measurements")
    layers: dict[tuple[int, int], list[float]] = {}
    for arm, step, mean in zip(columns["arm"], columns["step"], columns["mean"], strict=True):
        if mean is not None:
            layers.setdefault((arm, step), []).append(mean)
    rows = [(arm, step, fmean(means)) for (arm, step), means in layers.items()]
    return over_steps(_lines(rows, labels), title="Dead hidden units (mean over layers)", y_title="dead fraction")


def _gradient_flow(session: Session, experiment_id: str, labels: Mapping[int, str], _: Score) -> Figure:
    return over_layers(
        _lines(_by_layer(session, experiment_id, "delta_norm", pick=min), labels),
        title="Per-sample gradient norm before training",
        y_title="delta_norm",
        logarithmic=True,
    )


def _mean_activation(session: Session, experiment_id: str, labels: Mapping[int, str], _: Score) -> Figure:
    return over_layers(
        _lines(_by_layer(session, experiment_id, "activation_mean", pick=max), labels),
        title="Mean activation at the last step",
        y_title="activation_mean",
    )


def _comparison(session: Session, experiment_id: str, labels: Mapping[int, str], score: Score) -> Figure:
    arms = queries.arms(session, experiment_id)
    values = metric_values(session, experiment_id, score.name.replace(" ", "_"))
    estimates = {arm: result.estimate for arm, result in compared(arms, values, level=LEVEL).items() if arm in labels}
    points = [Point(labels[arm], e.mean, e.low, e.high) for arm, e in estimates.items()]
    return intervals(points, title=f"{score.name.capitalize()} ({100 * LEVEL:g} % intervals)", x_title=score.name)


FIGURES: dict[str, Callable[[Session, str, Mapping[int, str], Score], Figure]] = {
    "learning_curves": _learning_curves,
    "gradient_flow": _gradient_flow,
    "dead_fraction": _dead_fraction,
    "mean_activation": _mean_activation,
    "comparison": _comparison,
}


def _by_layer(session: Session, experiment_id: str, name: str, *, pick: Callable[[Iterable[int]], int]) -> Rows:
    """Means over replicates by layer, at the step that `pick` takes of the recorded ones."""
    columns = series(session, experiment_id, name, table="measurements")
    last = pick(columns["step"]) if columns["step"] else 0
    rows = zip(columns["arm"], columns["layer"], columns["mean"], columns["step"], strict=True)
    return [(arm, layer, mean) for arm, layer, mean, step in rows if step == last]


def _lines(rows: Rows, labels: Mapping[int, str]) -> list[Line]:
    found: dict[int, list[tuple[int, float | None]]] = {arm: [] for arm in labels}
    for arm, x, mean in rows:
        if arm in found:
            found[arm].append((x, mean))
    return [Line(labels[arm], [x for x, _ in points], [y for _, y in points]) for arm, points in found.items()]
