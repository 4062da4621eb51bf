"""One lab of real processes on each kind of database, for all tests that disturb one."""

from __future__ import annotations

import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadScopeScheduling

from store.database import Database
from store.migrate import upgrade
from store.settings import Settings
from tests.conftest import started
from tests.faults.laboratory import SHORT, Laboratory
from tests.faults.undisturbed import Undisturbed
from tests.faults.wire import Wire
from tests.servers import Server, start_postgres, start_redis, start_valkey

# Where only the failure itself is wanted, not the shortest way to it.
hypothesis_settings.register_profile("red", phases=(Phase.generate,))


# On each kind of database, half of the time goes by here: these have a lab of their own beside the others.
_KILLED = ("test_kills", "test_mix", "test_sweepers")
# These start what they need themselves.
_APART = ("test_commits", "test_two_hosts", "test_state_machine", "test_mutations", "test_recovery")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """With `--dist loadscope`: labs are disturbed side by side, and each is started once."""
    return _ByLab(config, log) if config.getvalue("dist") == "loadscope" else None


class _ByLab(LoadScopeScheduling):  # type: ignore[misc]  # the library leaves it untyped
    """A round of the tests of one lab belongs to one process. Told apart by name: marks do not come this far."""

    def _split_scope(self, nodeid: str) -> str:
        file, parameters = Path(nodeid.split("::")[0]).stem, nodeid.partition("[")[2]
        database = next((kind for kind in ("sqlite", "postgres") if kind in parameters), "")
        number = "".join(re.findall(r"round \d+", parameters))
        return f"{database} {file if file in _APART else 'killed' if file in _KILLED else 'others'} {number}"


@pytest.fixture(scope="session")
def undisturbed(migrated_sqlite: Path) -> Iterator[Undisturbed]:
    path = shutil.copy(migrated_sqlite, migrated_sqlite.with_name("undisturbed.sqlite"))
    database = Database.connect(f"sqlite:///{path}")
    yield Undisturbed(database)
    database.close()


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def running_lab(request: pytest.FixtureRequest, undisturbed: Undisturbed) -> Iterator[Laboratory]:
    """As `actlab up` makes it, with SQLite and Valkey; and as it is deployed, with Postgres and Redis."""
    with ExitStack() as stack:
        folder = _folder(stack)
        if request.param == "sqlite":
            yield _laboratory(stack, folder, f"sqlite:///{folder / 'lab.sqlite'}", undisturbed)
        else:
            postgres = stack.enter_context(started(partial(start_postgres, durable=True)))
            yield _laboratory(stack, folder, postgres.url, undisturbed, start_broker=start_redis, postgres=postgres)


@pytest.fixture(scope="session")
def wire(postgres_server: Server) -> Iterator[Wire]:
    with ExitStack() as stack:
        wire = Wire(_folder(stack), postgres_server.directory)
        stack.callback(wire.close)
        yield wire


@pytest.fixture(scope="session")
def wired_lab(wire: Wire, postgres_server: Server, undisturbed: Undisturbed) -> Iterator[Laboratory]:
    """A lab whose programs reach Postgres through `wire`."""
    with ExitStack() as stack:
        url = sa.make_url(postgres_server.url)
        through = url.update_query_dict({"host": str(wire.folder)}).render_as_string()
        yield _laboratory(stack, _folder(stack), through, undisturbed, audit_url=postgres_server.url)


def _folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lab-")))


def _laboratory(
    stack: ExitStack,
    folder: Path,
    url: str,
    undisturbed: Undisturbed,
    *,
    start_broker: Callable[..., Server] = start_valkey,
    **ways: Any,
) -> Laboratory:
    upgrade(url)
    broker = stack.enter_context(started(start_broker))
    settings = replace(Settings(database_url=url, broker_url=broker.url), **SHORT)
    lab = Laboratory(settings, folder, broker, undisturbed, start_broker=start_broker, **ways)
    stack.callback(lab.close)
    return lab


@pytest.fixture
def lab(running_lab: Laboratory, seed: int) -> Iterator[Laboratory]:  # noqa: ARG001 - the seed is set before anything is drawn
    """With one API, one sweeper, two workers of one process each, and an empty ledger."""
    running_lab.begin()
    yield running_lab
    print(running_lab.said())  # noqa: T201 - pytest shows it with a failure


@pytest.fixture
def seed() -> int:
    """Of the moments at which faults strike; a failing test shows it."""
    number = random.SystemRandom().randrange(2**32)
    print(f"seed {number}")  # noqa: T201 - pytest shows it with a failure
    random.seed(number)
    return number
