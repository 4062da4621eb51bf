"""What is on record as the JSON that answers show."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from store.history import Event
from store.models import STATES, Arm, Experiment
from store.queries import RunRow
from store.submissions import Counts


def experiment_json(experiment: Experiment, counts: Counts) -> dict[str, Any]:
    progress = counts.steps / experiment.steps_total
    return {
        "id": experiment.id,
        "name": experiment.name,
        "tags": experiment.tags,
        "state": experiment.state,
        "version": experiment.version,
        "progress": min(progress, 1.0),
        "eta_s": _eta_s(experiment, counts.steps),
        "created_at": experiment.created_at,
        "started_at": experiment.started_at,
        "finished_at": experiment.finished_at,
        "plan": plan_json(experiment),
        "runs": {state: counts.runs.get(state, 0) for state in STATES} | {"diverged": counts.diverged},
        "failures": [asdict(failure) for failure in counts.failures],
        "spec": experiment.spec,
        "spec_digest": experiment.spec_digest,
    }


def event_json(event: Event) -> dict[str, Any]:
    transition = event.transition
    return {
        "at": transition.at,
        "stack": event.stack,
        "generation": transition.generation,
        "attempt": transition.attempt,
        "from_state": transition.from_state,
        "to_state": transition.to_state,
        "actor": transition.actor,
        "reason": transition.reason,
    }


def plan_json(experiment: Experiment) -> dict[str, Any]:
    return {
        "arms": experiment.n_arms,
        "runs": experiment.n_runs,
        "stacks": experiment.n_stacks,
        "cost_flops": experiment.cost_flops,
        "steps": experiment.steps_total,
    }


def arm_json(arm: Arm) -> dict[str, Any]:
    return {
        "position": arm.position,
        "label": arm.label,
        "activation": {"name": arm.activation, **arm.parameters},
        "swept": arm.swept,
        "baseline": arm.baseline_position,
    }


def run_json(row: RunRow) -> dict[str, Any]:
    run = row.run
    return {
        "id": run.id,
        "arm": row.arm.position,
        "label": row.arm.label,
        "swept": row.arm.swept,
        "replicate": run.replicate,
        "state": run.state,
        "stack": row.stack,
        "diverged_at": run.diverged_at,
        "train_loss": run.train_loss,
        "probe_loss": run.probe_loss,
        "test_loss": run.test_loss,
        "test_accuracy": run.test_accuracy,
        "loss_auc": run.loss_auc,
        "dead_fraction_start": run.dead_fraction_start,
        "dead_fraction_end": run.dead_fraction_end,
        "units_died": run.units_died,
        "units_revived": run.units_revived,
        "layers": run.layers,
    }


def _eta_s(experiment: Experiment, steps: int) -> float | None:
    """By the speed since the experiment was started, or taken up again; None while nothing of it runs: how long others
    have their turns is not known.
    """
    since = experiment.resumed_at or experiment.started_at
    done = steps - experiment.resumed_steps
    if not experiment.n_running or since is None or done <= 0:
        return None
    elapsed_s = (datetime.now(UTC) - since).total_seconds()
    return max(0.0, elapsed_s * (experiment.steps_total - steps) / done)
