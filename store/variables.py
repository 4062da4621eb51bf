"""Environment variables: how the text of each kind is read, and what to say where it cannot be."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""As this machine's own programs call it."""

_DEVICE = re.compile(r"cpu|auto|cuda(:\d+)?", re.ASCII)
_BIND = re.compile(r"unix:/.+|fd://\d+|(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind:
    """`read` raises ValueError for text that is not `allowed`."""

    allowed: str
    read: Callable[[str], Any]


def is_local(bind: str) -> bool:
    """Whether only this machine reaches what listens at `bind`. A socket that is handed over, `fd://3`, was opened by
    whoever started the program.
    """
    if bind.startswith(("unix:", "fd://")):
        return True
    host = bind.rpartition(":")[0].strip("[]")
    return host == "localhost" or is_loopback(host)


def is_loopback(host: str) -> bool:
    """False also for a name: what it resolves to is not known here."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    return names if names else _refuse()


def _whole(minimum: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        return value if (value := int(text)) >= minimum else _refuse()

    return read


def _positive(text: str) -> float:
    return value if 0 < (value := float(text)) < math.inf else _refuse()


def _flag(text: str) -> bool:
    return {"yes": True, "no": False}[text] if text in ("yes", "no") else _refuse()


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    return lambda text: text if pattern.fullmatch(text) else _refuse()


def _refuse() -> Any:
    raise ValueError


TEXT = Kind("text", str)
AUTH = Kind("off or tokens", _matching(re.compile(r"off|tokens")))
NAMES = Kind("names between commas, at least one", _names)
WHOLE = Kind("a whole number, 0 or more", _whole(0))
COUNT = Kind("a whole number, 1 or more", _whole(1))
POSITIVE = Kind("a number above 0", _positive)
FLAG = Kind("yes or no", _flag)
DEVICE = Kind("cpu, auto, cuda, or cuda:N", _matching(_DEVICE))
BIND = Kind("host:port, [IPv6 address]:port, unix:/path, or fd://number", _matching(_BIND))
