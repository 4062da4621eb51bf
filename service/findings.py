"""From an experiment's record to what follows from it: the numbers a comparison, a summary and a report share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from lab.agreement import Agreement, agreement, whole_network
from lab.along import along
from lab.catalog.datasets import DATASETS
from lab.catalog.predictions import GRADIENT_RATIO
from lab.plan import arms_of
from lab.spec import DatasetSpec, ExperimentSpec
from lab.statistics import ArmComparison, Estimate, compare, estimate, geometric
from lab.summary import SCORES, ArmSummary, Score, answer
from store import predictions, queries, submissions
from store.metrics import At, MetricValues, metric_values
from store.models import Arm, Experiment

LEVEL = 0.95

Values = Mapping[int, Mapping[int, float | None]]
"""Arm position to replicate to value."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything a summary says of an experiment. Mappings go from an arm's position."""

    experiment: Experiment
    spec: ExperimentSpec
    arms: Sequence[Arm]
    score: Score
    summaries: Mapping[int, ArmSummary]
    test_accuracy: Mapping[int, Estimate]
    test_loss: Mapping[int, Estimate]
    answer: Sequence[str]

    @property
    def probe_size(self) -> int:
        """The smallest."""
        return smallest_probe(self.arms)


def find(session: Session, experiment_id: str) -> Findings:
    """Raises NotFound."""
    experiment = submissions.get(session, experiment_id)
    spec = ExperimentSpec.from_json(experiment.spec)
    arms = queries.arms(session, experiment_id)
    accuracy = metric_values(session, experiment_id, "test_accuracy")
    loss = metric_values(session, experiment_id, "test_loss")
    score = SCORES[DATASETS[spec.dataset.name].task]
    chief = accuracy if score.higher_is_better else loss
    judged = compared(arms, chief, level=LEVEL)

    def values(metric: str, at: At) -> Values:
        return metric_values(session, experiment_id, metric, at=at).values

    dead = values("dead_fraction", "last")
    start, end = _estimates(_where(values("dead_fraction", "first"), dead)), _estimates(dead)
    ratios = metric_values(session, experiment_id, GRADIENT_RATIO, at="first")
    ratio, theory = _geometric(ratios.values), _theory(session, experiment_id, ratios)
    mean = _estimates(values("activation_mean", "last"))
    asked = {arm.position: arm for arm in arms_of(spec)}
    summaries = {
        arm.position: ArmSummary(
            label=arm.label,
            activation=asked[arm.position].activation.label,
            point=asked[arm.position].point,
            score=judged[arm.position],
            dead_fraction_start=start[arm.position],
            dead_fraction_end=end[arm.position],
            gradient_ratio=ratio[arm.position],
            activation_mean=mean[arm.position],
            failed=loss.failed[arm.position],
            cancelled=tuple(sorted(loss.cancelled[arm.position])),
            diverged=loss.diverged[arm.position],
            theory=theory.get(arm.position),
            guess=_guess(asked[arm.position].dataset),
        )
        for arm in arms
    }
    return Findings(
        experiment=experiment,
        spec=spec,
        arms=arms,
        score=score,
        summaries=summaries,
        test_accuracy=_estimates(accuracy.values),
        test_loss=_estimates(loss.values),
        answer=answer(
            summaries,
            _baselines(arms),
            score,
            level=LEVEL,
            probe_size=smallest_probe(arms),
            sweep=along(list(asked.values()), chief.values, chief.cancelled, score, level=LEVEL),
        ),
    )


def _guess(asked: DatasetSpec) -> float | None:
    data = DATASETS[asked.name]
    return 1 / data.n_outputs(dict(asked.parameters)) if data.task == "classification" else None


def smallest_probe(arms: Sequence[Arm]) -> int:
    return min(arm.probe_size for arm in arms)


def compared(arms: Sequence[Arm], values: MetricValues, *, level: float) -> dict[int, ArmComparison]:
    return compare(values.values, _baselines(arms), cancelled=values.cancelled, level=level)


def _baselines(arms: Sequence[Arm]) -> dict[int, int]:
    return {arm.position: arm.baseline_position for arm in arms}


def _estimates(values: Values) -> dict[int, Estimate]:
    return {
        arm: estimate((value for value in replicates.values() if value is not None), level=LEVEL)
        for arm, replicates in values.items()
    }


def _geometric(values: Values) -> dict[int, Estimate]:
    """Ratios are averaged by their logarithms: halving and doubling cancel."""
    return {
        arm: geometric((ratio for ratio in replicates.values() if ratio), level=LEVEL)
        for arm, replicates in values.items()
    }


def _theory(session: Session, experiment_id: str, ratios: MetricValues) -> dict[int, Agreement]:
    """The gradient ratio of whole networks beside its prediction, of the arms that have predictions on record."""
    predicted = predictions.predictions(session, experiment_id, list(ratios.values), quantity=GRADIENT_RATIO)
    return {
        arm: agreement(whole_network(found), ratios.without_cancelled(arm)) for arm, found in predicted.items() if found
    }


def _where(values: Values, known: Values) -> Values:
    """The values of those runs alone that have one in `known`: a change is of the same networks."""
    return {
        arm: {
            replicate: value for replicate, value in replicates.items() if known.get(arm, {}).get(replicate) is not None
        }
        for arm, replicates in values.items()
    }
