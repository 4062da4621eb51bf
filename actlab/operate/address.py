"""Where the lab listens: on loopback unless it asks for tokens, on a socket that is taken before all else starts."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actlab.operate.errors import CannotStart


@contextmanager
def listening(host: str, port: int, *, guarded: bool = False) -> Iterator[socket.socket]:
    """A listening socket; port 0 takes any free one.

    Raises CannotStart where the host can be reached from outside and the lab is not `guarded`, or the port is taken.
    """
    family, address = _resolved(host, port)
    if not (guarded or ipaddress.ip_address(address[0]).is_loopback):
        raise CannotStart(
            f"The host {host!r} can be reached from other machines, and this lab asks nobody who they are. Have it ask "
            "for tokens, with ACTLAB_AUTH=tokens, or use 127.0.0.1 and come in through an SSH tunnel; with "
            "ACTLAB_TRUST_NETWORK=yes everybody who reaches it may do everything."
        )
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        # Without it the port of a lab that just stopped would be refused for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(1024)
        except OSError as error:
            raise CannotStart(
                f"Port {port} of {host} cannot be used: {error.strerror}. "
                "Choose another with --port; --port 0 takes any free one."
            ) from error
        yield listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        # Every address of this machine: the one that needs no name.
        host = "::1" if listener.family == socket.AF_INET6 else "127.0.0.1"
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise CannotStart(f"The host {host!r} is not known: {error.strerror}.") from error
    family, _, _, _, address = found[0]
    return family, address
