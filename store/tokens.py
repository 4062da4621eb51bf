"""Bearer tokens: made and shown once, known from then on by their hash, found again, listed, revoked."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lab.errors import Conflict, FieldError, InvalidRequest, NotFound
from store.database import database_now
from store.models import Token

READ, SUBMIT, ADMIN = SCOPES = ("read", "submit", "admin")
LOCAL = "local"
"""Who owns what was asked for where there are no tokens."""

_PREFIX = "actlab_"
_N_BYTES = 32
# 43 characters are 32 bytes, 8 their checksum: what is cut short or mistyped costs no look into the database.
_TEXT = re.compile(_PREFIX + r"([A-Za-z0-9_-]{43})([0-9a-f]{8})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whoever sent a request: the owner of what it asks for. `admin` may do everything."""

    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        return scope in self.scopes or ADMIN in self.scopes

    def owns(self, owner: str) -> bool:
        return owner == self.name or ADMIN in self.scopes


def create(session: Session, name: str, scopes: Sequence[str], *, days: int | None = None) -> str:
    """The token's text, which is not kept. Without `days` it does not expire. Raises InvalidRequest, and Conflict where
    the name was ever used: a name owns experiments.
    """
    _check(name, scopes)
    secret = urlsafe_b64encode(secrets.token_bytes(_N_BYTES)).decode().rstrip("=")
    text = f"{_PREFIX}{secret}{_checksum(secret)}"
    expires_at = None if days is None else database_now(days * _DAY_S)
    values = {"name": name, "sha256": hashed(text), "scopes": list(scopes), "expires_at": expires_at}
    try:
        with session.begin_nested():
            session.execute(sa.insert(Token).values(values))
    except IntegrityError:
        raise Conflict(f"There is or was a token {name!r} already; choose another name.") from None
    return text


def find(session: Session, text: str) -> Bearer | None:
    """Whose token this is; None where it is nobody's, has expired or was revoked."""
    digest = hashed(text)
    valid = sa.or_(Token.expires_at.is_(None), Token.expires_at > database_now())
    token = session.scalar(sa.select(Token).where(Token.sha256 == digest, Token.revoked_at.is_(None), valid))
    if token is None or not hmac.compare_digest(token.sha256, digest):
        return None
    return Bearer(token.name, frozenset(token.scopes))


def list_tokens(session: Session) -> Sequence[Token]:
    """All there ever were, the oldest first."""
    return session.scalars(sa.select(Token).order_by(Token.id)).all()


def revoke(session: Session, name: str) -> None:
    """Idempotent. Raises NotFound."""
    token = session.scalar(sa.select(Token.id).where(Token.name == name))
    if token is None:
        raise NotFound(f"There is no token {name!r}.")
    session.execute(
        sa.update(Token).where(Token.id == token, Token.revoked_at.is_(None)).values(revoked_at=database_now())
    )


def is_well_formed(text: str) -> bool:
    """Whether the text can be a token at all, by its shape and its checksum."""
    match = _TEXT.fullmatch(text)
    return match is not None and hmac.compare_digest(match[2], _checksum(match[1]))


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(secret: str) -> str:
    return f"{zlib.crc32(secret.encode()):08x}"


def _check(name: str, scopes: Sequence[str]) -> None:
    errors = []
    if not _NAME.fullmatch(name) or name == LOCAL:
        allowed = f"letters, digits, '.', '_' and '-', 50 at most, and not {LOCAL!r}"
        errors.append(FieldError("name", name, allowed))
    if not scopes or not set(scopes) <= set(SCOPES):
        errors.append(FieldError("scopes", list(scopes), f"one or more of {', '.join(SCOPES)}"))
    if errors:
        raise InvalidRequest(errors)
