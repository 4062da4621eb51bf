"""What may be asked of a claim."""

from __future__ import annotations

import re
from typing import Any

from lab.claims.claim import EFFORTS
from service.fields import Choice, Described, Field, ListOf, Text
from service.schemas import Strict

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_NAMED = 200
_EFFORT = {"description": "; ".join(f"{name}: {told}" for name, told in EFFORTS.items())}


class ExperimentId(Field):
    """As the answers spell it."""

    allowed = "an experiment's id, such as 6f1c1d2e-8d0f-4a52-9d57-0c3a4ea2b1a7"

    def described(self) -> Described:
        return {"type": "string", "format": "uuid", "pattern": f"^{_ID.pattern}$"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise self.make_error("invalid")
        return value


class RoundSchema(Strict):
    effort = Choice(EFFORTS, load_default="full", metadata={"default": "full", **_EFFORT})
    round = Text(
        1, 50, load_default=None, metadata={"description": "Go on with this round, and never begin another one."}
    )


class VerdictQuery(Strict):
    effort = Choice(EFFORTS, load_default=None, metadata=_EFFORT | {"description": "Of any effort, unless given."})
    round = Text(1, 50, load_default=None, metadata={"description": "Of this round."})
    experiments = ListOf(
        ExperimentId(),
        1,
        _MOST_NAMED,
        load_default=(),
        metadata={"description": "Judge by these experiments, whatever their tags. May be repeated."},
    )
