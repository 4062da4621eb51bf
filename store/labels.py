"""What experiments are found by: tags, activations and the data set, each a row that an index leads to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lab.spec import ExperimentSpec
from store import bulk
from store.models import Experiment, ExperimentLabel
from store.transitions import BLIND

Kind = Literal["tag", "activation", "dataset"]


def labelled(kind: Kind, value: str) -> sa.ColumnElement[bool]:
    """Whether an experiment carries the label."""
    carrying = sa.select(ExperimentLabel.experiment_id)
    return Experiment.id.in_(carrying.where(ExperimentLabel.kind == kind, ExperimentLabel.value == value))


def label(session: Session, experiment_id: str, spec: ExperimentSpec) -> None:
    """Gives a new experiment all its labels."""
    activations: list[tuple[Kind, str]] = [("activation", activation.name) for activation in spec.activations]
    _add(session, experiment_id, [("dataset", spec.dataset.name), *activations, *_as_labels(spec.tags)])


def retag(session: Session, experiment_id: str, tags: Iterable[str]) -> None:
    """These tags in the place of those that it has."""
    of = (ExperimentLabel.experiment_id == experiment_id, ExperimentLabel.kind == "tag")
    session.execute(sa.delete(ExperimentLabel).where(*of), execution_options=BLIND)
    _add(session, experiment_id, _as_labels(tags))


def _as_labels(tags: Iterable[str]) -> list[tuple[Kind, str]]:
    return [("tag", tag) for tag in tags]


def _add(session: Session, experiment_id: str, labels: Iterable[tuple[Kind, str]]) -> None:
    # An activation may be asked for with several settings.
    once = list(dict.fromkeys(labels))
    columns: dict[str, bulk.Column] = {"kind": [kind for kind, _ in once], "value": [value for _, value in once]}
    if once:
        bulk.insert(session, _TABLE, {**columns, "experiment_id": [experiment_id] * len(once)})


_TABLE = ExperimentLabel.metadata.tables["experiment_labels"]
