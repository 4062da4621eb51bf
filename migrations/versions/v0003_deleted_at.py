"""Experiments can be deleted before their rows are removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("experiments", sa.Column("deleted_at", sa.DateTime(timezone=True)))
    op.create_index("ix_experiments_deleted_at", "experiments", ["deleted_at"])


def downgrade() -> None:
    op.drop_index("ix_experiments_deleted_at", "experiments")
    op.drop_column("experiments", "deleted_at")
