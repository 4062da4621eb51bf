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
            "ACTLAB_HEARTBEAT_S": "1",
            "ACTLAB_DEVICE": "cuda:1",
            "ACTLAB_TRUST_NETWORK": "yes",
            "ACTLAB_PROCESSES": "0",
            "ACTLAB_MAX_LOSSES": "5",
            "ACTLAB_ALLOWED_HOSTS": "Lab.Example, localhost,",
            "ACTLAB_LIMIT_DEPTH": "8",
            "ACTLAB_LIMIT_LEARNING_RATE": "1e3",
            "DATABASE_URL": "not ours",
        }
    )

    assert settings == Settings(
        database_url="postgresql://lab",
        lease_s=2.5,
        heartbeat_s=1.0,
        device="cuda:1",
        trust_network=True,
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
        ("LEASE_S", "0"),
        ("HEARTBEAT_S", "0"),
        ("SWEEP_S", "0"),
        ("HINT_OLD_S", "0.0"),
        ("MAX_LOSSES", "2.5"),
        ("MAX_LOSSES", "0"),
        ("MAX_PAGE", "0"),
        ("PROCESSES", "-1"),
        ("LIMIT_DEPTH", ""),
        ("LIMIT_DEPTH", "0"),
        ("LIMIT_LEARNING_RATE", "0"),
        ("DEVICE", "gpu"),
        ("DEVICE", "cuda:"),
        ("DEVICE", "cuda:-1"),
        ("DEVICE", "CPU"),
        ("ALLOWED_HOSTS", " , "),
        ("TRUST_NETWORK", "true"),
        ("TRUST_NETWORK", "Yes"),
        ("TRUST_NETWORK", ""),
        ("AUTH", "on"),
        ("AUTH", ""),
        ("QUOTA_RUNS", "0"),
        ("BIND", ""),
        ("BIND", ":8000"),
        ("BIND", "8000"),
        ("BIND", "127.0.0.1:1,0.0.0.0:2"),
        ("BIND", "fd://x"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, given: str) -> None:
    with pytest.raises(InvalidSettings, match=f"^ACTLAB_{name}: given {given!r}; allowed: "):
        Settings.from_environ({f"ACTLAB_{name}": given})


def test_a_heartbeat_may_fail_once_within_a_lease() -> None:
    with pytest.raises(InvalidSettings, match=r"ACTLAB_HEARTBEAT_S: given '10'; .* ACTLAB_LEASE_S, which is 20"):
        Settings.from_environ({"ACTLAB_LEASE_S": "20"})


@pytest.mark.parametrize("bind", ["0.0.0.0:8000", "[::]:8000", "192.168.1.5:80", "lab.example:8000", "0:8000"])
def test_an_address_that_others_can_reach_has_to_be_asked_for_twice(bind: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^ACTLAB_BIND: given .*ACTLAB_TRUST_NETWORK=yes"):
        Settings.from_environ({"ACTLAB_BIND": bind})

    assert Settings.from_environ({"ACTLAB_BIND": bind, "ACTLAB_AUTH": "tokens"}).bind == bind
    assert Settings.from_environ({"ACTLAB_BIND": bind, "ACTLAB_TRUST_NETWORK": "yes"}).bind == bind


@pytest.mark.parametrize(
    "bind", ["127.0.0.1:0", "127.8.9.1:1", "localhost:8000", "[::1]:8000", "unix:/tmp/s", "fd://3"]
)
def test_an_address_that_only_this_machine_reaches_needs_no_more(bind: str) -> None:
    assert Settings.from_environ({"ACTLAB_BIND": bind}).bind == bind
