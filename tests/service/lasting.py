"""The API's worker, for which what a look saw is as good as another for as long as a test runs."""

from __future__ import annotations

from typing import Any

from service import repeats
from store import versions


class Lasting(repeats.Worker):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        versions.FRESH_S = 3600.0
