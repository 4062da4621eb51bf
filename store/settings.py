"""What a deployment decides. Every setting is an environment variable with a default that works on a laptop; no
secret has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn, TypeVar

from lab.errors import LabError
from lab.limits import Limits
from store.quotas import Quotas
from store.variables import (
    AUTH,
    BIND,
    COUNT,
    DEVICE,
    FLAG,
    LOOPBACK_NAMES,
    NAMES,
    POSITIVE,
    TEXT,
    WHOLE,
    Kind,
    is_local,
)

PREFIX = "ACTLAB_"
TOKENS = "tokens"
Default = TypeVar("Default")


class InvalidSettings(LabError):
    """A setting has a value that cannot be used."""


def _setting(default: Default, kind: Kind) -> Default:
    made: Default = field(default=default, metadata={"kind": kind})
    return made


@dataclass(frozen=True, slots=True)
class Settings:
    """Read once at start, passed to whatever needs it. In the environment the names are upper case, after ACTLAB_."""

    database_url: str = _setting("sqlite:///actlab.sqlite", TEXT)
    broker_url: str = _setting("redis://127.0.0.1:6379/0", TEXT)
    key_prefix: str = _setting("actlab:", TEXT)
    bind: str = _setting("127.0.0.1:8000", BIND)
    """Where the API listens."""
    auth: str = _setting("off", AUTH)
    """`tokens`: every request carries one. `off`: whoever can reach the API may do everything."""
    trust_network: bool = _setting(False, FLAG)
    """Whether the API may listen beyond loopback without asking anybody for a token."""
    allowed_hosts: tuple[str, ...] = _setting(LOOPBACK_NAMES, NAMES)
    """Host headers the API answers to, without port, loopback's own among them in any case."""
    device: str = _setting("cpu", DEVICE)
    """Where a worker trains: `cpu`, `cuda:0`, or `auto` for a GPU where there is one."""
    processes: int = _setting(0, WHOLE)
    """Training processes of one worker; 0 is one a core."""
    threads: int = _setting(0, WHOLE)
    """Threads of a training process; 0 shares the cores among the worker's processes."""
    lease_s: float = _setting(60.0, POSITIVE)
    heartbeat_s: float = _setting(10.0, POSITIVE)
    """Less than half of a lease, so that one heartbeat may fail."""
    sweep_s: float = _setting(15.0, POSITIVE)
    hint_old_s: float = _setting(60.0, POSITIVE)
    """A stack that has waited for longer than this is hinted at again: its hint may be lost."""
    max_losses: int = _setting(3, COUNT)
    """Leases lost in a row, without a later checkpoint in between, after which a stack fails."""
    checkpoint_s: float = _setting(60.0, POSITIVE)
    """A stack keeps a checkpoint after so much training."""
    checkpoint_bytes: int = _setting(256 * 2**20, COUNT)
    """What one stack may write to the record as checkpoints in `checkpoint_s`: larger ones come at longer intervals."""
    deadline_s: float = _setting(600.0, POSITIVE)
    """What every attempt at a stack may take, and more the more the stack costs."""
    slowest_flops: float = _setting(1e8, POSITIVE)
    """Operations a second below which a training is taken to hang. A CPU's core does some thousand million."""
    pulse: str = _setting("", TEXT)
    """A file that sweeper and worker touch at every round in which all is well: a health check looks at its age."""
    max_body_bytes: int = _setting(64 * 1024, COUNT)
    max_page: int = _setting(200, COUNT)
    max_streams: int = _setting(64, COUNT)
    """Event streams and long polls that one process of the API holds open: each takes a thread."""
    stream_heartbeat_s: float = _setting(15.0, POSITIVE)
    """A stream without news says after so long that it lives."""
    quota_runs: int = _setting(100_000, COUNT)
    """Runs of one token that may be queued and running."""
    quota_cost: int = _setting(10**17, COUNT)
    """Operations of one token that may be queued and running."""
    quota_experiments_per_minute: int = _setting(600, COUNT)
    """Experiments that one token may ask for within a minute."""
    limits: Limits = field(default_factory=Limits)
    """Each bound on a request is a setting of its own: ACTLAB_LIMIT_DEPTH, ACTLAB_LIMIT_COST, ..."""

    @property
    def quotas(self) -> Quotas:
        return Quotas(self.quota_runs, self.quota_cost, self.quota_experiments_per_minute)

    @property
    def asks_for_tokens(self) -> bool:
        return self.auth == TOKENS

    @property
    def guarded(self) -> bool:
        """Whether the API may listen where others reach it."""
        return self.asks_for_tokens or self.trust_network

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Raises InvalidSettings, naming the variable and its value, where one cannot be used."""
        own = {f.name: _read(environ, f.name, f.metadata["kind"], f.default) for f in fields(cls) if f.name != "limits"}
        limits = {
            f.name: _read(environ, f"limit_{f.name}", COUNT if isinstance(f.default, int) else POSITIVE, f.default)
            for f in fields(Limits)
        }
        settings = cls(limits=Limits(**limits), **own)
        _check_together(settings)
        return settings


def _read(environ: Mapping[str, str], name: str, kind: Kind, default: Any) -> Any:
    given = environ.get(_variable(name))
    if given is None:
        return default
    try:
        return kind.read(given)
    except ValueError:
        _refuse(name, given, kind.allowed)


def _check_together(settings: Settings) -> None:
    if settings.heartbeat_s >= settings.lease_s / 2:
        half = f"less than half of {_variable('lease_s')}, which is {settings.lease_s:g}"
        _refuse("heartbeat_s", f"{settings.heartbeat_s:g}", half)
    if not settings.guarded and not is_local(settings.bind):
        asking = f"with {_variable('auth')}={TOKENS} any address"
        trusting = f"with {_variable('trust_network')}=yes too, where everybody who reaches it may do everything"
        _refuse("bind", settings.bind, f"a loopback address, while nobody is asked for a token; {asking}; {trusting}")


def _refuse(name: str, given: str, allowed: str) -> NoReturn:
    raise InvalidSettings(f"{_variable(name)}: given {given!r}; allowed: {allowed}.")


def _variable(name: str) -> str:
    return PREFIX + name.upper()
