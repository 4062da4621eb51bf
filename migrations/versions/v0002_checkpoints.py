"""Checkpoints know what was recorded before them, and stacks how far they have been kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stacks", sa.Column("checkpoint_step", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("checkpoints", sa.Column("recorded_step", sa.Integer(), nullable=False, server_default="-1"))


def downgrade() -> None:
    op.drop_column("checkpoints", "recorded_step")
    op.drop_column("stacks", "checkpoint_step")
