"""Runs count the removals of their rows, measurements are written without a check of each row, and the views do not
show what was deleted.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_RUN = """
    e.id AS experiment_id, e.name AS experiment, a.position AS arm, a.label, a.activation, a.swept,
    a.probe_size, r.id AS run_id, r.replicate, r.state"""
_OF_RUN = "JOIN runs r ON r.id = t.run_id"
_JOINED = """
    JOIN arms a ON a.id = r.arm_id
    JOIN experiments e ON e.id = r.experiment_id
    WHERE e.deleted_at IS NULL"""

_MEASUREMENTS = """
    t.step, t.layer, t.preactivation_mean, t.preactivation_std, t.activation_mean, t.activation_std,
    t.activation_std_within, t.dead_fraction, t.inactive_fraction, t.saturated_fraction, t.stuck_fraction,
    t.dormant_fraction, t.delta_norm, t.weight_gradient_norm, t.weight_gradient_rms, t.weight_gradient_mean,
    t.weight_gradient_std, t.zero_gradient_fraction, t.bias_gradient_norm, t.weight_norm, t.update_ratio,
    t.effective_rank, t.undefined"""
_RUNS = """
    r.diverged_at, r.train_loss, r.probe_loss, r.test_loss, r.test_accuracy, r.loss_auc,
    r.dead_fraction_start, r.dead_fraction_end, r.units_died, r.units_revived"""
_CURVES = "t.step, t.train_loss, t.probe_loss, t.test_loss, t.test_accuracy, t.undefined"
_UNITS = "t.step, t.layer, t.n_died, t.n_revived, t.died, t.revived"

_VIEWS = {
    "experiments_named": """
    SELECT e.id AS experiment_id, e.name AS experiment, e.owner, e.state, e.n_arms, e.n_runs, e.created_at,
        e.started_at, e.finished_at
    FROM experiments e WHERE e.deleted_at IS NULL""",
    "arms_named": """
    SELECT e.id AS experiment_id, e.name AS experiment, a.position AS arm, a.label, a.activation, a.parameters, a.swept,
        a.baseline_position AS baseline, a.probe_size
    FROM arms a JOIN experiments e ON e.id = a.experiment_id WHERE e.deleted_at IS NULL""",
    "runs_named": f"SELECT {_RUN}, {_RUNS} FROM runs r {_JOINED}",  # noqa: S608
    "measurements_named": f"SELECT {_RUN}, {_MEASUREMENTS} FROM measurements t {_OF_RUN} {_JOINED}",  # noqa: S608
    "curves_named": f"SELECT {_RUN}, {_CURVES} FROM curves t {_OF_RUN} {_JOINED}",  # noqa: S608
    "unit_changes_named": f"SELECT {_RUN}, {_UNITS} FROM unit_changes t {_OF_RUN} {_JOINED}",  # noqa: S608
    "predictions_named": """
    SELECT e.id AS experiment_id, e.name AS experiment, a.position AS arm, a.label, a.activation, a.swept,
        p.layer, p.quantity, p.predicted, p.low, p.high, p.reason
    FROM predictions p JOIN arms a ON a.id = p.arm_id JOIN experiments e ON e.id = a.experiment_id
    WHERE e.deleted_at IS NULL""",
}
_POINTS = """
    SELECT e.id AS experiment_id, e.name AS experiment, a.position AS arm, a.label, a.activation,
        {path} AS path, {value} AS value
    FROM arms a JOIN experiments e ON e.id = a.experiment_id JOIN {each} AS s ON TRUE
    WHERE e.deleted_at IS NULL"""
_BEFORE = ("runs_named", "measurements_named", "curves_named", "unit_changes_named")


def upgrade() -> None:
    # SQLite replaces the table, which no view may look at meanwhile.
    for view in _BEFORE:
        op.execute(f"DROP VIEW {view}")
    op.add_column("runs", sa.Column("removals", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("measurements") as measurements:
        measurements.drop_constraint("fk_measurements_run_id", type_="foreignkey")
    _go_with_their_run()
    for view, query in _VIEWS.items():
        op.execute(f"CREATE VIEW {view} AS {query}")
    op.execute(f"CREATE VIEW swept_named AS {_points()}")


def downgrade() -> None:
    op.execute("DROP VIEW swept_named")
    for view in reversed(_VIEWS):
        op.execute(f"DROP VIEW {view}")
    op.execute("DROP TRIGGER measurements_of_run" + (" ON runs" if _on_postgres() else ""))
    if _on_postgres():
        op.execute("DROP FUNCTION delete_measurements_of_run")
    with op.batch_alter_table("measurements") as measurements:
        measurements.create_foreign_key("fk_measurements_run_id", "runs", ["run_id"], ["id"], ondelete="CASCADE")
    op.drop_column("runs", "removals")
    for view in _BEFORE:
        shown = _VIEWS[view].replace("a.swept,", "").replace("WHERE e.deleted_at IS NULL", "")
        op.execute(f"CREATE VIEW {view} AS {shown}")


def _go_with_their_run() -> None:
    if _on_postgres():
        op.execute(
            """
            CREATE FUNCTION delete_measurements_of_run() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN DELETE FROM measurements WHERE run_id = OLD.id; RETURN NULL; END $$
            """
        )
    act = "EXECUTE FUNCTION delete_measurements_of_run()"
    if not _on_postgres():
        act = "BEGIN DELETE FROM measurements WHERE run_id = OLD.id; END"
    op.execute(f"CREATE TRIGGER measurements_of_run AFTER DELETE ON runs FOR EACH ROW {act}")


def _points() -> str:
    if _on_postgres():
        return _POINTS.format(path="s.key", value="s.value", each="json_each_text(a.swept)")
    return _POINTS.format(path="s.key", value="CAST(s.value AS TEXT)", each="json_each(a.swept)")


def _on_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"
