"""The settings of a lab that notices quickly what is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from store.settings import Settings
from tests.system.programs import SHORT


@pytest.fixture
def short(database_url: str, valkey_url: str) -> Settings:
    return replace(Settings(database_url=database_url, broker_url=valkey_url), **SHORT)  # type: ignore[arg-type]
