"""What a worker records is what the tables hold, with a reason for every number that is missing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import sqlalchemy as sa

from lab.catalog.measurements import CURVES, MEASUREMENTS, Recorded
from lab.catalog.measurements import Measurement as Definition
from lab.records import StackRecord
from store import bulk, leases, results
from store.database import Database
from store.models import Curve, Measurement, Run, Stack, UnitChange
from store.undefined import reasons
from tests.builders import a_spec
from tests.store.builders import a_record, claimed, in_stacks, submitted

NAN, INF = math.nan, math.inf


def begun(database: Database) -> tuple[leases.Claim, list[int]]:
    claim = claimed(database)
    with database.writing() as session:
        return claim, results.begin(session, claim)


def record(database: Database, claim: leases.Claim, run_ids: list[int], *records: StackRecord) -> None:
    for each in records:
        with database.writing() as session:
            results.record(session, claim, each, run_ids)


def rows(database: Database) -> Sequence[Measurement]:
    with database.reading() as session:
        return session.scalars(
            sa.select(Measurement).order_by(Measurement.run_id, Measurement.step, Measurement.layer)
        ).all()


def losses(database: Database) -> Sequence[Curve]:
    with database.reading() as session:
        return session.scalars(sa.select(Curve).order_by(Curve.run_id, Curve.step)).all()


def changes(database: Database) -> Sequence[UnitChange]:
    with database.reading() as session:
        return session.scalars(sa.select(UnitChange).order_by(UnitChange.run_id, UnitChange.step)).all()


def test_the_runs_of_a_stack_come_in_its_order(database: Database) -> None:
    submitted(database, a_spec("tanh", "relu", replicates=3))

    _, run_ids = begun(database)

    assert len(run_ids) == 6
    assert run_ids == sorted(run_ids)


def test_every_number_lands_in_its_column(database: Database) -> None:
    submitted(database)
    claim, run_ids = begun(database)

    record(database, claim, run_ids, a_record(0), a_record(3, dead_fraction=1 / 3))

    found = rows(database)
    assert [(row.run_id, row.step, row.layer) for row in found] == [
        (run_id, step, layer) for run_id in run_ids for step in (0, 3) for layer in (1, 2)
    ]
    for name, position in zip(MEASUREMENTS, range(99), strict=False):
        # Run 1, step 0, layer 2, as `a_record` makes it.
        assert getattr(found[5], name) == position + 0.1 + 0.02
    assert found[7].dead_fraction == 1 / 3
    curves = losses(database)
    assert [(row.run_id, row.step) for row in curves] == [(run_id, step) for run_id in run_ids for step in (0, 3)]
    for position, name in enumerate(CURVES):
        assert getattr(curves[2], name) == position + 0.1
    assert not [row for row in found if row.undefined]
    assert not [row for row in curves if row.undefined]


def test_numbers_keep_every_bit(database: Database) -> None:
    submitted(database)
    claim, run_ids = begun(database)
    hard = np.array(
        [[5e-324, -0.0], [1.7976931348623157e308, 0.1], [-2.2250738585072014e-308, 1 / 3], [1e16 + 2, -1e-7]]
    )

    record(database, claim, run_ids, a_record(weight_gradient_mean=hard))

    stored = [row.weight_gradient_mean for row in rows(database)]
    # But for the sign of zero, which SQLite does not keep.
    assert np.array(stored).tobytes() == (hard + 0.0).tobytes()


def test_what_is_not_finite_is_null_with_its_reason(database: Database) -> None:
    submitted(database)
    claim, run_ids = begun(database)

    record(
        database,
        claim,
        run_ids,
        a_record(2, delta_norm=[[INF, 1.0]] * 4, weight_norm=[[-INF, NAN]] * 4, probe_loss=[NAN, INF, 1, 2]),
    )

    first, second = rows(database)[:2]
    assert (first.delta_norm, first.weight_norm, first.undefined) == (
        None,
        None,
        "delta_norm: overflow; weight_norm: overflow",
    )
    assert (second.delta_norm, second.weight_norm, second.undefined) == (1.0, None, "weight_norm: not a number")
    curves = losses(database)
    assert [row.undefined for row in curves] == ["probe_loss: not a number", "probe_loss: overflow", None, None]


@pytest.mark.parametrize(
    ("name", "step", "row", "reason"),
    [
        ("update_ratio", 0, {}, None),
        ("update_ratio", 3, {}, "update_ratio: not a number"),
        ("update_ratio", 3, {"weight_norm": 0.0}, None),
        ("effective_rank", 3, {}, None),
        ("effective_rank", 0, {}, "effective_rank: not a number"),
        ("effective_rank", 6, {}, "effective_rank: not a number"),
        ("effective_rank", 6, {"activation_mean": 0.0, "activation_std": 0.0}, None),
        ("saturated_fraction", 3, {}, None),
        ("delta_norm", 3, {}, "delta_norm: not a number"),
    ],
)
def test_a_null_that_the_definition_explains_needs_no_reason(
    name: str, step: int, row: dict[str, float], reason: str | None
) -> None:
    columns = {column: np.array([row.get(column, NAN if column == name else 1.0)]) for column in MEASUREMENTS}

    steps = np.array([step])
    assert (reasons(columns, steps=steps, is_last=steps == 6) or [None]) == [reason]


def test_an_overflow_is_never_explained_by_a_definition() -> None:
    columns = {name: np.array([INF if name == "update_ratio" else 1.0]) for name in MEASUREMENTS}

    assert reasons(columns, steps=np.zeros(1, np.int64), is_last=np.zeros(1, np.bool_)) == ["update_ratio: overflow"]


def test_a_run_writes_nothing_after_it_diverged(database: Database) -> None:
    submitted(database)
    claim, run_ids = begun(database)

    record(database, claim, run_ids, a_record(2, diverged_at=[-1, 2, 1, -1]), a_record(3, diverged_at=[-1, 2, 1, 3]))

    assert [row.run_id for row in losses(database)] == [run_ids[0]] * 2 + [run_ids[1]] + [run_ids[3]] * 2


def test_a_stack_whose_runs_have_all_diverged_writes_nothing(database: Database) -> None:
    submitted(database)
    claim, run_ids = begun(database)

    record(database, claim, run_ids, a_record(4, diverged_at=[1] * 4))

    assert not rows(database)
    assert not losses(database)


def test_recording_says_how_far_the_stack_is(database: Database) -> None:
    submitted(database)
    claim, run_ids = begun(database)

    record(database, claim, run_ids, a_record(0), a_record(4))

    with database.reading() as session:
        assert session.scalars(sa.select(Stack.step)).one() == 4


def test_a_layer_has_a_row_where_units_died_or_came_back(database: Database) -> None:
    submitted(database)
    claim, run_ids = begun(database)

    record(
        database,
        claim,
        run_ids,
        a_record(0, died=[(0, 1, 3), (0, 1, 7), (2, 2, 0)]),
        a_record(2),
        a_record(3, died=[(0, 1, 1)], revived=[(0, 1, 7)]),
    )

    found = [(row.run_id, row.step, row.layer, row.died, row.revived) for row in changes(database)]
    first, _, third, _ = run_ids
    assert found == [(first, 0, 1, [3, 7], []), (first, 3, 1, [1], [7]), (third, 0, 2, [0], [])]
    assert [(row.n_died, row.n_revived) for row in changes(database)] == [(2, 0), (1, 1), (1, 0)]


def test_recording_a_step_again_leaves_its_units_once(database: Database) -> None:
    submitted(database)
    claim, run_ids = begun(database)
    again = a_record(2, died=[(0, 1, 1)])

    record(database, claim, run_ids, a_record(0), again, again)

    assert [(row.step, row.died) for row in changes(database)] == [(2, [1])]


@pytest.mark.parametrize(("recorded_step", "kept"), [(-1, []), (0, [0]), (2, [0, 2]), (3, [0, 2, 3])])
def test_a_new_attempt_removes_what_came_after_the_step_it_goes_on_from(
    database: Database, recorded_step: int, kept: list[int]
) -> None:
    submitted(database, in_stacks(2))
    claim, run_ids = begun(database)
    other, other_ids = begun(database)
    every = [(0, 1, 0)]
    record(database, claim, run_ids, *(a_record(step, died=every) for step in (0, 2, 3)))
    record(database, other, other_ids, a_record(5))
    with database.writing() as session:
        leases.give_back(session, claim)

    again = claimed(database)
    with database.writing() as session:
        results.begin(session, again, recorded_step=recorded_step)

    found = losses(database)
    assert again.stack_id == claim.stack_id
    assert sorted({row.step for row in found if row.run_id in run_ids}) == kept
    assert sorted({row.step for row in rows(database) if row.run_id in run_ids}) == kept
    assert [row.step for row in changes(database)] == kept
    assert len([row for row in found if row.run_id in other_ids]) == 4


@pytest.mark.parametrize("entry", [*MEASUREMENTS.values(), *CURVES.values()], ids=lambda entry: entry.name)
def test_what_a_definition_says_is_undefined_the_write_knows_as_such(entry: Definition) -> None:
    # Nothing has happened yet, and everything is zero: whatever can be undefined is.
    nothing = Recorded(
        {name: np.zeros(1) for name in MEASUREMENTS}, step=np.zeros(1, np.int64), last=np.zeros(1, np.bool_)
    )

    assert bool(np.all(entry.is_undefined(nothing))) == bool(entry.undefined)


def test_a_run_counts_the_removals_of_its_rows(database: Database) -> None:
    submitted(database, in_stacks(2))
    claim, run_ids = begun(database)
    record(database, claim, run_ids, a_record(0, n_layers=1), a_record(3, n_layers=1))
    at_first = removals(database)

    record(database, claim, run_ids[:2], a_record(3, n_runs=2, n_layers=1))
    record(database, claim, run_ids, a_record(6, n_layers=1))
    with database.writing() as session:
        results.begin(session, claim, recorded_step=6)
        results.begin(session, claim, step=2, recorded_step=2)

    assert at_first == [0] * 8
    assert removals(database) == [2, 2, 1, 1, 0, 0, 0, 0]


def removals(database: Database) -> list[int]:
    with database.reading() as session:
        return list(session.scalars(sa.select(Run.removals).order_by(Run.id)))


def test_a_text_of_any_length_lands_whole(database: Database) -> None:
    texts = [None, "", "é\u2028 'x'", "long " * 2000]

    with database.writing() as session:
        keys = np.arange(len(texts), dtype=np.int64)
        columns: dict[str, bulk.Column] = {"run_id": keys, "step": keys + 1, "layer": keys + 2, "undefined": texts}
        bulk.insert(session, Measurement.metadata.tables["measurements"], columns)

    assert [(row.run_id, row.step, row.layer, row.undefined) for row in rows(database)] == [
        (i, i + 1, i + 2, text) for i, text in enumerate(texts)
    ]
