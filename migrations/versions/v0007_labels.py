"""Experiments are found by labels, one row each, and stacks carry their owner: lists and claims look at what they want
and at nothing else.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stacks", sa.Column("owner", sa.Text(), nullable=False, server_default="local"))
    op.execute("UPDATE stacks SET owner = (SELECT e.owner FROM experiments e WHERE e.id = stacks.experiment_id)")
    op.create_index("ix_stacks_state_owner_queued_at_id", "stacks", ["state", "owner", "queued_at", "id"])
    op.create_index("ix_stacks_experiment_id_state", "stacks", ["experiment_id", "state"])
    op.drop_index("ix_stacks_state_queued_at", "stacks")
    op.create_table(
        "experiment_labels",
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name="fk_experiment_labels_experiment_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("kind", "value", "experiment_id", name="pk_experiment_labels"),
    )
    op.create_index("ix_experiment_labels_experiment_id", "experiment_labels", ["experiment_id"])
    postgres = op.get_bind().dialect.name == "postgresql"
    dataset = "spec->'dataset'->>'name'" if postgres else "json_extract(spec, '$.dataset.name')"
    tags = "json_array_elements_text(e.tags)" if postgres else "json_each(e.tags)"
    for query in (
        f"SELECT DISTINCT 'tag', t.value, e.id FROM experiments e, {tags} AS t(value)"  # noqa: S608
        if postgres
        else f"SELECT DISTINCT 'tag', t.value, e.id FROM experiments e, {tags} AS t",  # noqa: S608
        "SELECT DISTINCT 'activation', activation, experiment_id FROM arms",
        f"SELECT 'dataset', {dataset}, id FROM experiments",  # noqa: S608
    ):
        op.execute(f"INSERT INTO experiment_labels (kind, value, experiment_id) {query}")


def downgrade() -> None:
    op.drop_table("experiment_labels")
    op.create_index("ix_stacks_state_queued_at", "stacks", ["state", "queued_at"])
    op.drop_index("ix_stacks_experiment_id_state", "stacks")
    op.drop_index("ix_stacks_state_owner_queued_at_id", "stacks")
    op.drop_column("stacks", "owner")
