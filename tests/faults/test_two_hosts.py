"""Workers on hosts of their own, one of which is cut off amid training and healed later."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from actlab.operate.child import Program
from actlab.operate.processes import WORKER
from store.database import Database
from store.migrate import upgrade
from store.settings import Settings
from tests.conftest import started
from tests.faults.laboratory import SHORT, Laboratory, Training
from tests.faults.requests import LONG, a_request
from tests.faults.rounds import rounds
from tests.faults.strikes import at_work_until, recovery_s
from tests.faults.undisturbed import Undisturbed
from tests.servers import start_postgres, start_valkey
from tests.store.builders import claimed, expired, run_out, submitted
from tests.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: network namespaces need root"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="NOT TESTED: network namespaces need the program ip"),
]


@dataclass(frozen=True)
class Host:
    """A network namespace with an address of its own; `gateway` is this machine as seen from there."""

    name: str
    number: int

    @property
    def gateway(self) -> str:
        return f"10.213.{self.number}.1"

    @property
    def cable(self) -> str:
        return f"{self.name}-c"

    def make(self) -> None:
        inside = f"{self.name}-i"
        _ip("netns", "add", self.name)
        _ip("link", "add", self.cable, "type", "veth", "peer", "name", inside)
        _ip("link", "set", inside, "netns", self.name)
        _ip("addr", "add", f"{self.gateway}/30", "dev", self.cable)
        _ip("link", "set", self.cable, "up")
        _ip("-n", self.name, "addr", "add", f"10.213.{self.number}.2/30", "dev", inside)
        _ip("-n", self.name, "link", "set", inside, "up")

    def cut_off(self) -> None:
        _ip("link", "set", self.cable, "down")

    def heal(self) -> None:
        _ip("link", "set", self.cable, "up")

    def remove(self) -> None:
        """Its end of the cable goes with it."""
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", self.cable], check=False, capture_output=True)

    @property
    def enter(self) -> tuple[str, ...]:
        """What a command begins with that is to run there."""
        return ("ip", "netns", "exec", self.name)

    def worker(self) -> Program:
        return replace(WORKER, command=(*self.enter, *WORKER.command))

    def environ(self) -> dict[str, str]:
        return {
            "ACTLAB_DATABASE_URL": f"postgresql+psycopg://actlab@{self.gateway}:5432/postgres",
            "ACTLAB_BROKER_URL": f"redis://{self.gateway}:6379/0",
        }


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    made = [Host(f"al{os.getpid() % 100000}{letter}", number) for number, letter in enumerate("ab", start=1)]
    try:
        for host in made:
            host.make()
    except subprocess.CalledProcessError as error:
        for host in made:
            host.remove()
        pytest.skip(f"NOT TESTED: no network namespaces here: {error.stderr.strip()}")
    yield made
    for host in made:
        host.remove()


@pytest.fixture
def apart(hosts: list[Host], tmp_path: Path, undisturbed: Undisturbed) -> Iterator[Laboratory]:
    """A lab with a worker on each host."""
    addresses = [host.gateway for host in hosts]
    with ExitStack() as stack:
        postgres = stack.enter_context(started(partial(start_postgres, durable=True, addresses=addresses)))
        broker = stack.enter_context(started(partial(start_valkey, addresses=addresses)))
        upgrade(postgres.url)
        settings = replace(Settings(database_url=postgres.url, broker_url=broker.url), **SHORT)
        lab = Laboratory(settings, tmp_path, broker, undisturbed, postgres=postgres)
        stack.callback(lab.close)
        lab.keep("worker", 0)
        for host in hosts:
            lab.keeper.keep(f"worker-{host.name}", host.worker(), host.environ())
        yield lab


@rounds(3)
def test_a_host_cut_off_amid_training_changes_nothing_when_it_is_back(apart: Laboratory, hosts: list[Host]) -> None:
    host = hosts[0]
    apart.submit(a_request(steps=LONG), n=4)
    lost = at_work_until(apart, lambda: training_on(apart, host))

    host.cut_off()
    taken_over_s = recovery_s(apart, lost)
    until(lambda: not apart.open())
    host.heal()

    until(lambda: apart.keeper.log(f"worker-{host.name}").count('"end": "lost"'))
    apart.submit(a_request(steps=LONG), n=2)
    at_work_until(apart, lambda: training_on(apart, host))
    apart.audit("a host cut off amid training, healed later", 1, most_repeated=1.3, recovery_s=[taken_over_s])


# Holds every stack's row, and stands amid a COPY.
COPYING = """
import sys, time, sqlalchemy as sa
from store.database import Database

with Database.connect(sys.argv[1]).writing() as session:
    session.execute(sa.text("UPDATE stacks SET step = step"))
    driver = session.connection().connection.driver_connection
    with driver.cursor() as cursor, cursor.copy("COPY tokens FROM STDIN"):
        print("copying", flush=True)
        time.sleep(600)
"""


def test_a_host_cut_off_amid_a_copy_keeps_its_stacks_from_nobody(hosts: list[Host]) -> None:
    host = hosts[0]
    with started(partial(start_postgres, addresses=[host.gateway])) as postgres:
        upgrade(postgres.url)
        database = Database.connect(postgres.url)
        submitted(database)
        run_out(database, claimed(database))
        command = [*host.enter, sys.executable, "-c", COPYING, host.environ()["ACTLAB_DATABASE_URL"]]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as copying:
            assert copying.stdout is not None
            assert copying.stdout.readline() == "copying\n"
            host.cut_off()

            held = expired(database) is None
            found = until(lambda: expired(database))
            copying.kill()
        database.close()

    assert (held, found) == (True, "queued")


def training_on(lab: Laboratory, host: Host) -> Training | None:
    main = lab.keeper.pid(f"worker-{host.name}")
    return next((each for each in lab.training() if each.main == main), None)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
