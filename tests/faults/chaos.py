"""A pytest plugin of `make chaos`: tests in rounds, each of which is struck off a list when it is green, so that what
takes hours may be stopped and gone on with.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

LIST = Path(os.environ.get("CHAOS_REPORT", "chaos.jsonl"))
"""Also what the faults left behind is written there, by `report`."""
_ENDS_S = time.monotonic() + float(os.environ.get("CHAOS_FOR_S", "inf"))


def parts(lines: Iterable[dict[str, Any]], outcome: str) -> list[str]:
    """The tests, each with its round, that ended so."""
    return [line["part"] for line in lines if line.get("outcome") == outcome]


def read(path: Path = LIST) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write(line: dict[str, Any], path: Path = LIST) -> None:
    """Whole, also where several processes write."""
    with path.open("a") as lines:
        lines.write(json.dumps(line) + "\n")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("rounds")
    if mark is not None:
        metafunc.fixturenames.append("_round")
        metafunc.parametrize("_round", range(1, mark.args[0] + 1), ids=lambda number: f"round {number}")


# After pytest has put together what shares a lab.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """First rounds come first, so that whatever there is time for is spread over all faults."""
    done = set(parts(read(), "passed"))
    found = [item for item in items if item.nodeid in done]
    config.hook.pytest_deselected(items=found)
    items[:] = sorted((item for item in items if item.nodeid not in done), key=_round)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    if time.monotonic() > _ENDS_S:
        pytest.skip("the time given is over")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In the process that hears of all tests."""
    if "PYTEST_XDIST_WORKER" in os.environ or report.outcome == "skipped":
        return
    if report.when == "call" or report.failed:
        part = report.nodeid.split("@")[0]
        write({"part": part, "outcome": report.outcome, "took_s": round(report.duration, 1), "at": time.time()})


def _round(item: pytest.Item) -> int:
    return int(item.callspec.params.get("_round", 1)) if hasattr(item, "callspec") else 1
