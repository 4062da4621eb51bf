"""What is checked of every request before its view, and set on every answer after it."""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, Forbidden, RequestEntityTooLarge

from service.parts import parts
from store.settings import Settings
from store.variables import LOOPBACK_NAMES

# Answers are data: a browser that shows one may load and run nothing.
_POLICY = "default-src 'none'; frame-ancestors 'none'"
_SAFE = ("GET", "HEAD", "OPTIONS")
_PORTS = {"http": 80, "https": 443}


def register(app: Flask) -> None:
    app.before_request(_check_host)
    app.before_request(_check_origin)
    app.before_request(_check_length)
    app.after_request(harden)


def _check_host() -> None:
    """A web page elsewhere that has its own name resolve to this address (DNS rebinding) comes with that name. By
    loopback's names only programs of this machine come, such as a container's health check.
    """
    if without_port(request.host) not in hosts(parts().settings):
        raise BadRequest("This service does not answer under that host name; ACTLAB_ALLOWED_HOSTS lists those it does.")


def hosts(settings: Settings) -> tuple[str, ...]:
    """The names to which the service answers."""
    return (*LOOPBACK_NAMES, *settings.allowed_hosts)


def _check_origin() -> None:
    """A browser says where a page that changes something came from: it must be this very host and port."""
    origin = request.headers.get("Origin")
    if origin is None or request.method in _SAFE:
        return
    scheme, _, host = origin.partition("://")
    # The schemes themselves may differ: in front of this service a proxy may speak TLS.
    if scheme not in _PORTS or _with_port(host, _PORTS[scheme]) != _with_port(request.host, _PORTS[scheme]):
        raise Forbidden("A page of another host or port may not change anything here.")


def _check_length() -> None:
    if (request.content_length or 0) > parts().settings.max_body_bytes:
        raise RequestEntityTooLarge(f"The body may have {parts().settings.max_body_bytes} bytes.")


def harden(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", _POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    return response


def _with_port(host: str, default: int) -> str:
    name = without_port(host)
    return host.lower() if len(name) < len(host) else f"{name}:{default}"


def without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).lower()
