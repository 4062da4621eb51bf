"""How networks bend: three more columns of measurements, and of its view."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ADDED = ("affinity_residual", "breakpoints", "piece_residual")

_COLUMNS = """
    t.step, t.layer, t.preactivation_mean, t.preactivation_std, t.activation_mean, t.activation_std,
    t.activation_std_within, t.dead_fraction, t.inactive_fraction, t.saturated_fraction, t.stuck_fraction,
    t.dormant_fraction, t.delta_norm, t.weight_gradient_norm, t.weight_gradient_rms, t.weight_gradient_mean,
    t.weight_gradient_std, t.zero_gradient_fraction, t.bias_gradient_norm, t.weight_norm, t.update_ratio,
    t.effective_rank"""


def upgrade() -> None:
    op.execute("DROP VIEW measurements_named")
    for name in _ADDED:
        op.add_column("measurements", sa.Column(name, sa.Double()))
    _create_view(", ".join([_COLUMNS, *(f"t.{name}" for name in _ADDED)]))


def downgrade() -> None:
    op.execute("DROP VIEW measurements_named")
    for name in reversed(_ADDED):
        op.drop_column("measurements", name)
    _create_view(_COLUMNS)


def _create_view(columns: str) -> None:
    op.execute(
        # The columns are this file's own.
        f"""
        CREATE VIEW measurements_named AS SELECT
            e.id AS experiment_id, e.name AS experiment, a.position AS arm, a.label, a.activation, a.swept,
            a.probe_size, r.id AS run_id, r.replicate, r.state,
            {columns}, t.undefined
        FROM measurements t
        JOIN runs r ON r.id = t.run_id
        JOIN arms a ON a.id = r.arm_id
        JOIN experiments e ON e.id = r.experiment_id
        WHERE e.deleted_at IS NULL
        """  # noqa: S608
    )
