"""Training processes for tests, in this process, and what they leave on record."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
import torch

from lab.limits import Limits
from lab.plan import plan
from lab.spec import ExperimentSpec
from store import submissions
from store.database import Database
from store.leases import RanOn
from store.models import Arm, Curve, Measurement, Run, UnitChange
from store.settings import Settings
from worker.attempt import Workplace

QUICK = Settings(lease_s=6.0, heartbeat_s=0.05)


def a_workplace(database: Database, settings: Settings = QUICK) -> Workplace:
    return Workplace(settings, database, "here/1/2", RanOn("cpu", 1, torch.__version__))


def submitted(database: Database, spec: ExperimentSpec) -> str:
    with database.writing() as session:
        return submissions.submit(session, spec, plan(spec, Limits())).id


def rows(database: Database, table: Any, **where: Any) -> list[Any]:
    with database.reading() as session:
        return list(session.scalars(sa.select(table).filter_by(**where)))


def numbers(database: Database, experiment_id: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every number that the experiment has on record, by arm and replicate."""
    of_run = (Arm.position, Run.replicate)
    of = Run.experiment_id == experiment_id
    with database.reading() as session:
        found = {
            table.__tablename__: session.execute(
                sa.select(*of_run, *(column for column in table.__table__.columns if column.name != "run_id"))
                .join(Run, Run.id == table.run_id)
                .join(Arm, Arm.id == Run.arm_id)
                .where(of)
                .order_by(*of_run, *tuple(table.__table__.primary_key))
            ).all()
            for table in (Measurement, Curve, UnitChange)
        }
        outcomes = (Run.state, Run.diverged_at, Run.train_loss, Run.test_loss, Run.loss_auc, Run.units_died)
        ended = sa.select(*of_run, *outcomes).join(Arm, Arm.id == Run.arm_id).where(of).order_by(*of_run)
        found["runs"] = session.execute(ended).all()
    return {name: [tuple(row) for row in rows] for name, rows in found.items()}
