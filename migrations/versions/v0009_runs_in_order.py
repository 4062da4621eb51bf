"""The runs of an experiment are found in the order of their ids, without a look at anybody else's: for the first and
the last of them Postgres walked along all runs there are.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_runs_experiment_id_id", "runs", ["experiment_id", "id"])
    op.drop_index("ix_runs_experiment_id", "runs")


def downgrade() -> None:
    op.create_index("ix_runs_experiment_id", "runs", ["experiment_id"])
    op.drop_index("ix_runs_experiment_id_id", "runs")
