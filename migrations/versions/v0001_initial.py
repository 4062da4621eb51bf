"""The first tables, and the views that name what the tables number."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_tables()
    _create_views()


def downgrade() -> None:
    for view in ("measurements_named", "curves_named", "runs_named"):
        op.execute(f"DROP VIEW {view}")
    for table in (
        "measurements",
        "curves",
        "transitions",
        "runs",
        "predictions",
        "checkpoints",
        "stacks",
        "arms",
        "tokens",
        "experiments",
    ):
        op.drop_table(table)


def _create_tables() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("spec_digest", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("n_arms", sa.Integer(), nullable=False),
        sa.Column("n_runs", sa.Integer(), nullable=False),
        sa.Column("n_stacks", sa.Integer(), nullable=False),
        sa.Column("cost_flops", sa.BigInteger(), nullable=False),
        sa.Column("steps_total", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("finished_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_experiments"),
        sa.UniqueConstraint("owner", "idempotency_key", name="uq_experiments_owner_idempotency_key"),
    )
    op.create_index("ix_experiments_created_at_id", "experiments", ["created_at", "id"])
    op.create_index("ix_experiments_state_created_at", "experiments", ["state", "created_at"])

    op.create_table(
        "tokens",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("revoked_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("name", name="uq_tokens_name"),
        sa.UniqueConstraint("sha256", name="uq_tokens_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "arms",
        sa.Column("id", _ID, nullable=False),
        sa.Column("experiment_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("activation", sa.Text(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("swept", sa.JSON(), nullable=False),
        sa.Column("probe_size", sa.Integer(), nullable=False),
        sa.Column("baseline_position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name="fk_arms_experiment_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_arms"),
        sa.UniqueConstraint("experiment_id", "position", name="uq_arms_experiment_id_position"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_arms_activation", "arms", ["activation"])

    op.create_table(
        "stacks",
        sa.Column("id", _ID, nullable=False),
        sa.Column("experiment_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("n_runs", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("cost_flops", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", _TIME),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("yield_requested", sa.Boolean(), nullable=False),
        sa.Column("queued_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("finished_at", _TIME),
        sa.Column("error_class", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("device", sa.Text()),
        sa.Column("threads", sa.Integer()),
        sa.Column("torch_version", sa.Text()),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name="fk_stacks_experiment_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_stacks"),
        sa.UniqueConstraint(
            "experiment_id", "generation", "position", name="uq_stacks_experiment_id_generation_position"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_stacks_state_lease_until", "stacks", ["state", "lease_until"])
    op.create_index("ix_stacks_state_queued_at", "stacks", ["state", "queued_at"])

    op.create_table(
        "checkpoints",
        sa.Column("stack_id", _ID, autoincrement=False, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("n_chunks", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("made_under", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["stack_id"], ["stacks.id"], name="fk_checkpoints_stack_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("stack_id", "step", "chunk", name="pk_checkpoints"),
    )
    op.create_table(
        "predictions",
        sa.Column("arm_id", _ID, autoincrement=False, nullable=False),
        sa.Column("layer", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.String(length=40), nullable=False),
        sa.Column("predicted", sa.Double()),
        sa.Column("low", sa.Double()),
        sa.Column("high", sa.Double()),
        sa.Column("reason", sa.Text()),
        sa.ForeignKeyConstraint(["arm_id"], ["arms.id"], name="fk_predictions_arm_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("arm_id", "layer", "quantity", name="pk_predictions"),
    )
    op.create_table(
        "runs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("experiment_id", sa.String(length=36), nullable=False),
        sa.Column("arm_id", _ID, nullable=False),
        sa.Column("stack_id", _ID, nullable=False),
        sa.Column("stack_position", sa.Integer(), nullable=False),
        sa.Column("replicate", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("diverged_at", sa.Integer()),
        sa.Column("train_loss", sa.Double()),
        sa.Column("probe_loss", sa.Double()),
        sa.Column("test_loss", sa.Double()),
        sa.Column("test_accuracy", sa.Double()),
        sa.Column("loss_auc", sa.Double()),
        sa.Column("dead_fraction_start", sa.Double()),
        sa.Column("dead_fraction_end", sa.Double()),
        sa.Column("units_died", sa.Integer()),
        sa.Column("units_revived", sa.Integer()),
        sa.Column("layers", sa.JSON()),
        sa.ForeignKeyConstraint(["arm_id"], ["arms.id"], name="fk_runs_arm_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name="fk_runs_experiment_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["stack_id"], ["stacks.id"], name="fk_runs_stack_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("arm_id", "replicate", name="uq_runs_arm_id_replicate"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_experiment_id", "runs", ["experiment_id"])
    op.create_index("ix_runs_stack_id", "runs", ["stack_id"])

    op.create_table(
        "transitions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("experiment_id", sa.String(length=36), nullable=False),
        sa.Column("stack_id", _ID),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer()),
        sa.Column("from_state", sa.String(length=10)),
        sa.Column("to_state", sa.String(length=10), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name="fk_transitions_experiment_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["stack_id"], ["stacks.id"], name="fk_transitions_stack_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_transitions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_transitions_experiment_id_id", "transitions", ["experiment_id", "id"])
    op.create_index("ix_transitions_stack_id", "transitions", ["stack_id"])

    op.create_table(
        "curves",
        sa.Column("run_id", _ID, autoincrement=False, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("train_loss", sa.Double()),
        sa.Column("probe_loss", sa.Double()),
        sa.Column("test_loss", sa.Double()),
        sa.Column("test_accuracy", sa.Double()),
        sa.Column("undefined", sa.Text()),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_curves_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "step", name="pk_curves"),
    )
    op.create_table(
        "measurements",
        sa.Column("run_id", _ID, autoincrement=False, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("layer", sa.Integer(), nullable=False),
        sa.Column("preactivation_mean", sa.Double()),
        sa.Column("preactivation_std", sa.Double()),
        sa.Column("activation_mean", sa.Double()),
        sa.Column("activation_std", sa.Double()),
        sa.Column("activation_std_within", sa.Double()),
        sa.Column("dead_fraction", sa.Double()),
        sa.Column("inactive_fraction", sa.Double()),
        sa.Column("saturated_fraction", sa.Double()),
        sa.Column("stuck_fraction", sa.Double()),
        sa.Column("dormant_fraction", sa.Double()),
        sa.Column("delta_norm", sa.Double()),
        sa.Column("weight_gradient_norm", sa.Double()),
        sa.Column("weight_gradient_rms", sa.Double()),
        sa.Column("weight_gradient_mean", sa.Double()),
        sa.Column("weight_gradient_std", sa.Double()),
        sa.Column("zero_gradient_fraction", sa.Double()),
        sa.Column("bias_gradient_norm", sa.Double()),
        sa.Column("weight_norm", sa.Double()),
        sa.Column("update_ratio", sa.Double()),
        sa.Column("effective_rank", sa.Double()),
        sa.Column("undefined", sa.Text()),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_measurements_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "step", "layer", name="pk_measurements"),
    )


def _create_views() -> None:
    op.execute(
        """
        CREATE VIEW runs_named AS SELECT
            e.id AS experiment_id, e.name AS experiment, a.position AS arm, a.label, a.activation,
            a.probe_size, r.id AS run_id, r.replicate,
            r.state, r.diverged_at, r.train_loss, r.probe_loss, r.test_loss, r.test_accuracy, r.loss_auc,
            r.dead_fraction_start, r.dead_fraction_end, r.units_died, r.units_revived
        FROM runs r
        JOIN arms a ON a.id = r.arm_id
        JOIN experiments e ON e.id = r.experiment_id
        """
    )
    op.execute(
        """
        CREATE VIEW measurements_named AS SELECT
            e.id AS experiment_id, e.name AS experiment, a.position AS arm, a.label, a.activation,
            a.probe_size, r.id AS run_id, r.replicate, r.state,
            t.step, t.layer, t.preactivation_mean, t.preactivation_std, t.activation_mean, t.activation_std,
            t.activation_std_within, t.dead_fraction, t.inactive_fraction, t.saturated_fraction,
            t.stuck_fraction, t.dormant_fraction, t.delta_norm, t.weight_gradient_norm, t.weight_gradient_rms,
            t.weight_gradient_mean, t.weight_gradient_std, t.zero_gradient_fraction, t.bias_gradient_norm,
            t.weight_norm, t.update_ratio, t.effective_rank, t.undefined
        FROM measurements t
        JOIN runs r ON r.id = t.run_id
        JOIN arms a ON a.id = r.arm_id
        JOIN experiments e ON e.id = r.experiment_id
        """
    )
    op.execute(
        """
        CREATE VIEW curves_named AS SELECT
            e.id AS experiment_id, e.name AS experiment, a.position AS arm, a.label, a.activation,
            a.probe_size, r.id AS run_id, r.replicate, r.state,
            t.step, t.train_loss, t.probe_loss, t.test_loss, t.test_accuracy, t.undefined
        FROM curves t
        JOIN runs r ON r.id = t.run_id
        JOIN arms a ON a.id = r.arm_id
        JOIN experiments e ON e.id = r.experiment_id
        """
    )
