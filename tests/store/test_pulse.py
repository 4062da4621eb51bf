"""A pulse beats where all is well."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import pulse
from store.database import Database
from store.queue import Hints
from store.settings import Settings

NOWHERE = "redis+socket:///nowhere/s"


@pytest.mark.parametrize("well", ["both", "only the database", "only the broker"])
def test_it_beats_where_database_and_broker_answer(
    well: str, database: Database, settings: Settings, tmp_path: Path
) -> None:
    empty = Database.connect(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    asked = empty if well == "only the broker" else database
    hints = Hints(Settings(broker_url=NOWHERE) if well == "only the database" else settings)

    pulse.beat(str(tmp_path / "pulse"), asked, hints)

    assert (tmp_path / "pulse").exists() == (well == "both")
    hints.close()
    empty.close()
