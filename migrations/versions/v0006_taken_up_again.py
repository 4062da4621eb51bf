"""An experiment can be taken up again, renamed and given more replicates: it keeps when, how far it was, and the digest
of the request that its idempotency key came with.
"""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_EXPERIMENTS = sa.table(
    "experiments",
    sa.column("id", sa.String),
    sa.column("name", sa.Text),
    sa.column("tags", sa.JSON),
    sa.column("spec_digest", sa.String),
    sa.column("idempotency_key", sa.Text),
    sa.column("request_digest", sa.String),
)


def upgrade() -> None:
    op.add_column("experiments", sa.Column("request_digest", sa.String(64)))
    op.add_column("experiments", sa.Column("resumed_at", sa.DateTime(timezone=True)))
    op.add_column("experiments", sa.Column("resumed_steps", sa.BigInteger(), nullable=False, server_default="0"))
    connection = op.get_bind()
    keyed = sa.select(_EXPERIMENTS).where(_EXPERIMENTS.c.idempotency_key.is_not(None))
    for row in connection.execute(keyed).all():
        asked = json.dumps([row.spec_digest, row.name, row.tags], separators=(",", ":"))
        digest = hashlib.sha256(asked.encode()).hexdigest()
        connection.execute(sa.update(_EXPERIMENTS).where(_EXPERIMENTS.c.id == row.id).values(request_digest=digest))


def downgrade() -> None:
    op.drop_column("experiments", "resumed_steps")
    op.drop_column("experiments", "resumed_at")
    op.drop_column("experiments", "request_digest")
