"""Over real processes of the API: what one token may ask for is counted in all of them together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import sqlalchemy as sa

from store import tokens
from store.database import Database
from store.models import Experiment
from tests.service.listening import PATIENCE_S, Api, serving

AT_ONCE, FIT = 12, 5
ASKED = {"activations": ["relu"], "replicates": 1}


def test_of_requests_to_several_processes_at_once_as_many_pass_as_fit(database: Database) -> None:
    with database.writing() as session:
        token = tokens.create(session, "ada", ["submit"])
    quota = {"ACTLAB_AUTH": "tokens", "ACTLAB_QUOTA_RUNS": str(FIT)}

    with serving(database.url, "--workers", "3", **quota) as api, ThreadPoolExecutor(AT_ONCE) as threads:
        statuses = list(threads.map(lambda _: asked(api, token), range(AT_ONCE)))

    with database.reading() as session:
        kept = session.scalar(sa.select(sa.func.count()).select_from(Experiment))
    assert sorted(statuses) == [202] * FIT + [429] * (AT_ONCE - FIT)
    assert kept == FIT


def asked(api: Api, token: str) -> int:
    """On a connection of its own, which any process may take."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{api.url}/v1/experiments", json=ASKED, headers=headers, timeout=PATIENCE_S).status_code
