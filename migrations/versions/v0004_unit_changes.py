"""Which units died and which came back, step by step. Runs of earlier versions have no rows here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "unit_changes",
        sa.Column("run_id", _ID, autoincrement=False, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("layer", sa.Integer(), nullable=False),
        sa.Column("n_died", sa.Integer(), nullable=False),
        sa.Column("n_revived", sa.Integer(), nullable=False),
        sa.Column("died", sa.JSON(), nullable=False),
        sa.Column("revived", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_unit_changes_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "step", "layer", name="pk_unit_changes"),
    )
    op.execute(
        """
        CREATE VIEW unit_changes_named AS SELECT
            e.id AS experiment_id, e.name AS experiment, a.position AS arm, a.label, a.activation,
            a.probe_size, r.id AS run_id, r.replicate, r.state,
            t.step, t.layer, t.n_died, t.n_revived, t.died, t.revived
        FROM unit_changes t
        JOIN runs r ON r.id = t.run_id
        JOIN arms a ON a.id = r.arm_id
        JOIN experiments e ON e.id = r.experiment_id
        """
    )


def downgrade() -> None:
    op.execute("DROP VIEW unit_changes_named")
    op.drop_table("unit_changes")
