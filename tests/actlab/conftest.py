"""A lab as people start it, for the tests that talk to one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actlab.client import Json, Lab
from tests.actlab.labs import A_LONG_QUESTION, A_QUESTION, Up, started
from tests.waiting import until


@pytest.fixture(scope="session")
def lab_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
def lab_up(lab_data: Path) -> Iterator[Up]:
    """One lab for all tests, as `actlab up` runs it."""
    with started(lab_data) as up:
        yield up


@pytest.fixture
def lab(lab_up: Up) -> Iterator[Lab]:
    with Lab(lab_up.url) as lab:
        yield lab


@pytest.fixture(scope="session")
def answered(lab_up: Up) -> Json:
    """An experiment that has succeeded."""
    with Lab(lab_up.url) as lab:
        end = lab.wait(lab.submit(A_QUESTION)["id"], timeout_s=60)
    assert end["state"] == "succeeded", end["failures"]
    return end


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "lab data"


@pytest.fixture
def behind(lab: Lab) -> Iterator[Json]:
    """An experiment that waits for the lab's one process, which another has for as long as the test lasts."""
    ahead = lab.submit(A_LONG_QUESTION)["id"]
    until(lambda: lab.get(ahead)["state"] == "running")
    yield (waiting := lab.submit(A_LONG_QUESTION))
    for each in (waiting["id"], ahead):
        lab.cancel(each)
        lab.wait(each, timeout_s=30)
