"""The tables. Column names of `measurements` and `curves` are the names of the catalog, so that SQL reads like the
science.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from store.database import UTCDateTime, database_now

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = STATES = ("queued", "running", "succeeded", "failed", "cancelled")
TERMINAL = (SUCCEEDED, FAILED, CANCELLED)

# SQLite would give a deleted row's number to the next one: a worker of a deleted stack would then hold a new one.
_NEVER_AGAIN = {"sqlite_autoincrement": True}

# SQLite gives out row numbers only to a column that is exactly INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")
_JSON = JSON(none_as_null=True)


def _of_some(name: str, known: str, *columns: str) -> Index:
    """An index of the rows in which `known` is not null: the others cost it nothing."""
    where = text(f"{known} IS NOT NULL")
    return Index(name, *columns, postgresql_where=where, sqlite_where=where)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    # JSON, not JSONB: the order of a sweep's paths decides the order of the arms.
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        float: Double,
        datetime: UTCDateTime,
        dict[str, Any]: _JSON,
        list[Any]: _JSON,
        str: Text,
    }


class Experiment(Base):
    """What one request asked for. `version` goes up by one with every change of a stack's state and every cancel; how
    far its stacks are (`stacks.step`) does not show in it. Since `deleted_at` nobody is shown it; its rows follow.
    """

    __tablename__ = "experiments"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key"),
        Index("ix_experiments_created_at_id", "created_at", "id"),
        Index("ix_experiments_state_created_at", "state", "created_at"),
        Index("ix_experiments_deleted_at", "deleted_at"),
        _of_some("ix_experiments_turns", "waits_since", "owner", "n_running", "waits_since", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=lambda: str(uuid.uuid4()))
    name: Mapped[str]
    tags: Mapped[list[Any]]
    spec: Mapped[dict[str, Any]]
    spec_digest: Mapped[str] = mapped_column(String(64))
    owner: Mapped[str] = mapped_column(default="local")
    idempotency_key: Mapped[str | None]
    request_digest: Mapped[str | None] = mapped_column(String(64))
    """Of the whole request that came with the key, whatever has changed since."""
    state: Mapped[str] = mapped_column(String(10), default=QUEUED)
    version: Mapped[int] = mapped_column(default=1)
    n_arms: Mapped[int]
    n_runs: Mapped[int]
    n_stacks: Mapped[int]
    cost_flops: Mapped[int] = mapped_column(BigInteger)
    steps_total: Mapped[int] = mapped_column(BigInteger)
    """Steps of all stacks, each counted once per run in it: what progress is a share of."""
    created_at: Mapped[datetime] = mapped_column(default=database_now())
    started_at: Mapped[datetime | None]
    resumed_at: Mapped[datetime | None]
    """When it was taken up again after an end, by a retry or for more replicates."""
    resumed_steps: Mapped[int] = mapped_column(BigInteger, default=0)
    """Steps that were done by then, counted as `steps_total` counts them."""
    finished_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    n_running: Mapped[int] = mapped_column(default=0)
    """Stacks of it that are running."""
    waits_since: Mapped[datetime | None] = mapped_column(default=database_now())
    """Null where no stack of it is queued; else its submission, or the last change of a stack's state: whoever has had
    a turn goes to the end of the line when it is over.
    """


class ExperimentLabel(Base):
    """What an experiment is found by: its tags, its activations, its data set. `kind` says which."""

    __tablename__ = "experiment_labels"

    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    experiment_id: Mapped[str] = mapped_column(
        ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Arm(Base):
    """One setting of everything but the seed. `activation` is its name, `parameters` its settings, `swept` the grid
    point.
    """

    __tablename__ = "arms"
    __table_args__ = (UniqueConstraint("experiment_id", "position"), _NEVER_AGAIN)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    position: Mapped[int]
    label: Mapped[str]
    activation: Mapped[str] = mapped_column(index=True)
    parameters: Mapped[dict[str, Any]]
    swept: Mapped[dict[str, Any]]
    probe_size: Mapped[int]
    """Training inputs that the statistics were taken on. A rate of dead units means nothing without it."""
    baseline_position: Mapped[int]


class Stack(Base):
    """The unit of work a worker claims. `attempt` is the fence: every write of a worker names it. `error` is one
    sentence on why it failed.
    """

    __tablename__ = "stacks"
    __table_args__ = (
        UniqueConstraint("experiment_id", "generation", "position"),
        Index("ix_stacks_state_owner_queued_at_id", "state", "owner", "queued_at", "id"),
        Index("ix_stacks_experiment_id_state_queued_at_id", "experiment_id", "state", "queued_at", "id"),
        Index("ix_stacks_state_lease_until", "state", "lease_until"),
        _of_some("ix_stacks_owner_started_at", "started_at", "owner", "started_at"),
        _NEVER_AGAIN,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    owner: Mapped[str] = mapped_column(default="local")
    """The experiment's, for a claim that looks at none."""
    position: Mapped[int]
    generation: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(10), default=QUEUED)
    n_runs: Mapped[int]
    steps: Mapped[int]
    cost_flops: Mapped[int] = mapped_column(BigInteger)
    step: Mapped[int] = mapped_column(default=0)
    """The step the last claim has reached."""
    checkpoint_step: Mapped[int] = mapped_column(default=0)
    """The furthest step at which a checkpoint was kept: a later one is progress."""
    attempt: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0)
    """Leases lost in a row without checkpoint progress."""
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    yield_requested: Mapped[bool] = mapped_column(default=False)
    queued_at: Mapped[datetime] = mapped_column(default=database_now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error_class: Mapped[str | None]
    error: Mapped[str | None]
    device: Mapped[str | None]
    threads: Mapped[int | None]
    torch_version: Mapped[str | None]


class Run(Base):
    """One network, and how it ended. The dead fractions are means over layers; `layers` has them per layer."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("arm_id", "replicate"),
        Index("ix_runs_experiment_id_id", "experiment_id", "id"),
        _NEVER_AGAIN,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    arm_id: Mapped[int] = mapped_column(ForeignKey("arms.id", ondelete="CASCADE"))
    stack_id: Mapped[int] = mapped_column(ForeignKey("stacks.id", ondelete="CASCADE"), index=True)
    stack_position: Mapped[int]
    """Place of the run in its stack, from 0."""
    replicate: Mapped[int]
    state: Mapped[str] = mapped_column(String(10), default=QUEUED)
    diverged_at: Mapped[int | None]
    train_loss: Mapped[float | None]
    probe_loss: Mapped[float | None]
    test_loss: Mapped[float | None]
    test_accuracy: Mapped[float | None]
    loss_auc: Mapped[float | None]
    dead_fraction_start: Mapped[float | None]
    dead_fraction_end: Mapped[float | None]
    units_died: Mapped[int | None]
    units_revived: Mapped[int | None]
    layers: Mapped[list[Any] | None]
    removals: Mapped[int] = mapped_column(default=0)
    """How often rows of it were removed to be recorded again: what `store/marks.py` tells readers by."""


class Transition(Base):
    """The audit trail: one row for every change of a stack's or an experiment's state. `stack_id` is null for the
    experiment's own.
    """

    __tablename__ = "transitions"
    __table_args__ = (Index("ix_transitions_experiment_id_id", "experiment_id", "id"), _NEVER_AGAIN)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    stack_id: Mapped[int | None] = mapped_column(ForeignKey("stacks.id", ondelete="CASCADE"), index=True)
    generation: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int | None]
    from_state: Mapped[str | None] = mapped_column(String(10))
    to_state: Mapped[str] = mapped_column(String(10))
    actor: Mapped[str]
    reason: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(default=database_now())


class Measurement(Base):
    """The statistics of one layer of one run at one recorded step. They go with their run by a trigger: a foreign key
    would be checked row by row, for a third of what it takes to write them.
    """

    __tablename__ = "measurements"

    run_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    step: Mapped[int] = mapped_column(primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True)
    preactivation_mean: Mapped[float | None]
    preactivation_std: Mapped[float | None]
    activation_mean: Mapped[float | None]
    activation_std: Mapped[float | None]
    activation_std_within: Mapped[float | None]
    dead_fraction: Mapped[float | None]
    inactive_fraction: Mapped[float | None]
    saturated_fraction: Mapped[float | None]
    stuck_fraction: Mapped[float | None]
    dormant_fraction: Mapped[float | None]
    delta_norm: Mapped[float | None]
    weight_gradient_norm: Mapped[float | None]
    weight_gradient_rms: Mapped[float | None]
    weight_gradient_mean: Mapped[float | None]
    weight_gradient_std: Mapped[float | None]
    zero_gradient_fraction: Mapped[float | None]
    bias_gradient_norm: Mapped[float | None]
    weight_norm: Mapped[float | None]
    update_ratio: Mapped[float | None]
    effective_rank: Mapped[float | None]
    affinity_residual: Mapped[float | None]
    breakpoints: Mapped[float | None]
    piece_residual: Mapped[float | None]
    undefined: Mapped[str | None]
    """Why values are null where the definition alone does not say: `name: reason`, joined by `; `."""


class Curve(Base):
    """The losses of one run at one recorded step."""

    __tablename__ = "curves"

    run_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    step: Mapped[int] = mapped_column(primary_key=True)
    train_loss: Mapped[float | None]
    probe_loss: Mapped[float | None]
    test_loss: Mapped[float | None]
    test_accuracy: Mapped[float | None]
    undefined: Mapped[str | None]


class UnitChange(Base):
    """The units of one layer of one run that are dead at a recorded step and were not at the one before, or the other
    way round, each list rising, counted from 0. Those that are dead at step 0 have died there: they were born dead. A
    layer without a change has no row.
    """

    __tablename__ = "unit_changes"

    run_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    step: Mapped[int] = mapped_column(primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True)
    n_died: Mapped[int]
    n_revived: Mapped[int]
    died: Mapped[list[Any]]
    revived: Mapped[list[Any]]


class Prediction(Base):
    """What theory says of one layer of an arm at step 0; `quantity` is a name of `lab/catalog/predictions.py`. Networks
    whose mean lies between `low` and `high` agree with it. Null where theory does not apply, with the reason.
    """

    __tablename__ = "predictions"

    arm_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("arms.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    layer: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[str] = mapped_column(String(40), primary_key=True)
    predicted: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    reason: Mapped[str | None]


class CheckpointChunk(Base):
    """A piece of a stack's state, recorded up to `recorded_step` (-1: not at all). With all of them, any worker can go
    on where another stopped.
    """

    __tablename__ = "checkpoints"

    stack_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("stacks.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    step: Mapped[int] = mapped_column(primary_key=True)
    chunk: Mapped[int] = mapped_column(primary_key=True)
    recorded_step: Mapped[int]
    n_chunks: Mapped[int]
    attempt: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    """Of this chunk's bytes."""
    bytes: Mapped[bytes] = mapped_column(LargeBinary)
    made_under: Mapped[dict[str, Any]]
    """What must be equal to resume: spec, engine, torch version, device kind, CPU capability, threads."""
    created_at: Mapped[datetime] = mapped_column(default=database_now())


class Token(Base):
    """A bearer token, known only by its hash."""

    __tablename__ = "tokens"
    __table_args__ = _NEVER_AGAIN

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime] = mapped_column(default=database_now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
