"""Settings come from the environment, are checked once, and name what is wrong."""

from __future__ import annotations

import pytest

from lab.limits import Limits
from store.settings import InvalidSettings, Settings


def test_every_setting_has_a_default() -> None:
    assert Settings.from_environ({}) == Settings()


def test_settings_are_read_by_their_kind() -> None:
    settings = Settings.from_environ(
        {
            "ACTLAB_DATABASE_URL": "postgresql://lab",
            "ACTLAB_LEASE_S": "2.5",
            "ACTLAB_MAX_LOSSES": "5",
            "ACTLAB_ALLOWED_HOSTS": "lab.example, localhost,",
            "ACTLAB_LIMIT_DEPTH": "8",
            "ACTLAB_LIMIT_LEARNING_RATE": "1e3",
            "DATABASE_URL": "not ours",
        }
    )

    assert settings == Settings(
        database_url="postgresql://lab",
        lease_s=2.5,
        max_losses=5,
        allowed_hosts=("lab.example", "localhost"),
        limits=Limits(depth=8, learning_rate=1000.0),
    )


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("LEASE_S", "soon"),
        ("LEASE_S", "-1"),
        ("LEASE_S", "nan"),
        ("LEASE_S", "inf"),
        ("MAX_LOSSES", "2.5"),
        ("LIMIT_DEPTH", ""),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, given: str) -> None:
    with pytest.raises(InvalidSettings, match=f"ACTLAB_{name}: given {given!r}; allowed: "):
        Settings.from_environ({f"ACTLAB_{name}": given})
