"""Experiments of an owner take turns: each knows how many of its stacks run and since when it waits, and a claim finds
the first in line, and its oldest stack, by an index.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("experiments", sa.Column("n_running", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("experiments", sa.Column("waits_since", sa.DateTime(timezone=True)))
    op.execute(_FROM_STACKS)
    _index_of_some("ix_experiments_turns", "experiments", "waits_since", "owner", "n_running", "waits_since", "id")
    _index_of_some("ix_stacks_owner_started_at", "stacks", "started_at", "owner", "started_at")
    columns = ["experiment_id", "state", "queued_at", "id"]
    op.create_index("ix_stacks_experiment_id_state_queued_at_id", "stacks", columns)
    op.drop_index("ix_stacks_experiment_id_state", "stacks")


def downgrade() -> None:
    op.create_index("ix_stacks_experiment_id_state", "stacks", ["experiment_id", "state"])
    op.drop_index("ix_stacks_experiment_id_state_queued_at_id", "stacks")
    op.drop_index("ix_stacks_owner_started_at", "stacks")
    op.drop_index("ix_experiments_turns", "experiments")
    op.drop_column("experiments", "waits_since")
    op.drop_column("experiments", "n_running")


def _index_of_some(name: str, table: str, known: str, *columns: str) -> None:
    where = sa.text(f"{known} IS NOT NULL")
    op.create_index(name, table, columns, postgresql_where=where, sqlite_where=where)


_FROM_STACKS = """
UPDATE experiments SET
    n_running = (SELECT count(*) FROM stacks s WHERE s.experiment_id = experiments.id AND s.state = 'running'),
    waits_since = CASE WHEN EXISTS (
        SELECT 1 FROM stacks s WHERE s.experiment_id = experiments.id AND s.state = 'queued'
    ) THEN (
        SELECT coalesce(max(s.started_at), experiments.created_at) FROM stacks s WHERE s.experiment_id = experiments.id
    ) END
WHERE state IN ('queued', 'running')
"""
