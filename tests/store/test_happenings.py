"""What somebody has seen of an experiment, and the order in which it can be seen."""

from __future__ import annotations

import threading

from store import happenings, leases
from store.database import Database
from store.happenings import Seen
from tests.store.builders import claimed, in_stacks, submitted


def test_ids_of_changes_are_in_the_order_of_their_commits(postgres_database: Database) -> None:
    """Two at once: whoever has seen the second has seen the first."""
    experiment_id = submitted(postgres_database, in_stacks(2)).id
    first, second = claimed(postgres_database), claimed(postgres_database)
    committed = threading.Event()

    def lose_second() -> None:
        with postgres_database.writing() as session:
            leases.give_back(session, second)
        committed.set()

    with postgres_database.writing() as session:
        leases.give_back(session, first)
        other = threading.Thread(target=lose_second)
        other.start()
        assert not committed.wait(0.5)
        with postgres_database.reading() as reading:
            seen = happenings.look(reading, experiment_id).newest
    other.join()

    with postgres_database.reading() as reading:
        later = happenings.look(reading, experiment_id, after=seen)
    assert [event.stack for event in later.events] == [first.position, second.position]


def test_a_cursor_is_read_as_it_was_written() -> None:
    seen = Seen(7, "3-120", "eJw_-x")

    assert happenings.read(seen.cursor, field="since") == seen
    assert happenings.read("start", field="since") == Seen()
