"""From an experiment's record to what follows from it: the numbers a comparison, a summary and a report share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from lab import cost
from lab.catalog.datasets import DATASETS
from lab.plan import arms_of
from lab.spec import ExperimentSpec
from lab.statistics import ArmComparison, Estimate, compare, estimate
from lab.summary import SCORES, ArmSummary, Score, answer
from store import queries, submissions
from store.metrics import At, MetricValues, metric_values
from store.models import Arm, Experiment

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything a summary says of an experiment. Mappings go from an arm's position."""

    experiment: Experiment
    spec: ExperimentSpec
    arms: Sequence[Arm]
    score: Score
    probe_sizes: Mapping[int, int]
    summaries: Mapping[int, ArmSummary]
    test_accuracy: Mapping[int, Estimate]
    test_loss: Mapping[int, Estimate]
    answer: Sequence[str]

    @property
    def probe_size(self) -> int:
        """The smallest."""
        return min(self.probe_sizes.values())


def find(session: Session, experiment_id: str) -> Findings:
    """Raises NotFound."""
    experiment = submissions.get(session, experiment_id)
    spec = ExperimentSpec.from_json(experiment.spec)
    arms = queries.arms(session, experiment_id)
    accuracy = metric_values(session, experiment_id, "test_accuracy")
    loss = metric_values(session, experiment_id, "test_loss")
    score = SCORES[DATASETS[spec.dataset.name].task]
    judged = compared(arms, accuracy if score.higher_is_better else loss, level=LEVEL)

    def estimates(metric: str, at: At) -> dict[int, Estimate]:
        return _estimates(metric_values(session, experiment_id, metric, at=at))

    start, end = estimates("dead_fraction", "first"), estimates("dead_fraction", "last")
    ratio, mean = estimates("gradient_ratio", "first"), estimates("activation_mean", "last")
    summaries = {
        arm.position: ArmSummary(
            label=arm.label,
            score=judged[arm.position],
            dead_fraction_start=start[arm.position],
            dead_fraction_end=end[arm.position],
            gradient_ratio=ratio[arm.position],
            activation_mean=mean[arm.position],
            failed=loss.failed[arm.position],
            cancelled=loss.cancelled[arm.position],
            diverged=loss.diverged[arm.position],
        )
        for arm in arms
    }
    sizes = probe_sizes(spec)
    return Findings(
        experiment=experiment,
        spec=spec,
        arms=arms,
        score=score,
        probe_sizes=sizes,
        summaries=summaries,
        test_accuracy=_estimates(accuracy),
        test_loss=_estimates(loss),
        answer=answer(summaries, _baselines(arms), score, level=LEVEL, probe_size=min(sizes.values())),
    )


def compared(arms: Sequence[Arm], values: MetricValues, *, level: float) -> dict[int, ArmComparison]:
    return compare(values.values, _baselines(arms), level=level)


def probe_sizes(spec: ExperimentSpec) -> dict[int, int]:
    """Arm position to the number of training inputs that statistics are taken on."""
    return {arm.position: cost.probe_size(arm, spec.recording) for arm in arms_of(spec)}


def _baselines(arms: Sequence[Arm]) -> dict[int, int]:
    return {arm.position: arm.baseline_position for arm in arms}


def _estimates(values: MetricValues) -> dict[int, Estimate]:
    return {
        arm: estimate((value for value in replicates.values() if value is not None), level=LEVEL)
        for arm, replicates in values.values.items()
    }
