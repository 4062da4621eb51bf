"""What a deployment decides. Every setting is an environment variable with a default that works on a laptop; no
secret has one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from lab.errors import LabError
from lab.limits import Limits

PREFIX = "ACTLAB_"


class InvalidSettings(LabError):
    """A setting has a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Read once at start, passed to whatever needs it. In the environment the names are upper case, after ACTLAB_."""

    database_url: str = "sqlite:///actlab.sqlite"
    broker_url: str = "redis://127.0.0.1:6379/0"
    key_prefix: str = "actlab:"
    device: str = "cpu"
    """Where a worker trains: `cpu`, `cuda:0`, or `auto` for a GPU where there is one."""
    processes: int = 0
    """Training processes of one worker; 0 is one a core."""
    threads: int = 0
    """Threads of a training process; 0 shares the cores among the worker's processes."""
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """Host headers the API answers to, without port."""
    lease_s: float = 60.0
    heartbeat_s: float = 10.0
    sweep_s: float = 15.0
    hint_old_s: float = 60.0
    """A stack that has waited for longer than this is hinted at again: its hint may be lost."""
    max_losses: int = 3
    """Lost leases in a row after which a stack fails."""
    max_body_bytes: int = 64 * 1024
    max_page: int = 200
    limits: Limits = field(default_factory=Limits)
    """Each bound on a request is a setting of its own: ACTLAB_LIMIT_DEPTH, ACTLAB_LIMIT_COST, ..."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Raises InvalidSettings, naming the variable and its value, where one cannot be read."""
        values = {f.name: _read(environ, PREFIX + f.name.upper(), f.default) for f in fields(cls) if f.name != "limits"}
        limits = {f.name: _read(environ, f"{PREFIX}LIMIT_{f.name.upper()}", f.default) for f in fields(Limits)}
        return cls(limits=Limits(**limits), **values)  # type: ignore[arg-type]  # _read keeps the type of the default


def _read(environ: Mapping[str, str], name: str, default: object) -> object:
    given = environ.get(name)
    if given is None:
        return default
    if isinstance(default, tuple):
        return tuple(part.strip() for part in given.split(",") if part.strip())
    if isinstance(default, int):
        return _number(name, given, int, "a whole number, 0 or more")
    if isinstance(default, float):
        return _number(name, given, float, "a number, 0 or more")
    return given


def _number(name: str, given: str, kind: type[int] | type[float], allowed: str) -> float:
    try:
        value = kind(given)
    except ValueError:
        value = -1
    if not 0 <= value < math.inf:
        raise InvalidSettings(f"{name}: given {given!r}; allowed: {allowed}.")
    return value
