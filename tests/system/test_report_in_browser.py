"""The report as a reader sees it: one file, opened from disk in a real browser, with nothing fetched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from service import create_app
from store.database import Database
from store.settings import Settings
from tests.builders import a_spec
from tests.service.conftest import close
from tests.service.recorded import trained

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("The browser tests need chromium, and it is not on the PATH.")
        pytest.skip("NOT TESTED: no chromium on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1200, 400])
def test_the_report_draws_every_figure_and_fetches_nothing(
    browser: Browser, sqlite_database: Database, settings: Settings, tmp_path: Path, width: int
) -> None:
    experiment_id = trained(sqlite_database, a_spec("relu", "tanh", "leaky_relu"))
    app = create_app(replace(settings, database_url=sqlite_database.url))
    page_file = tmp_path / "report.html"
    page_file.write_bytes(app.test_client().get(f"/v1/experiments/{experiment_id}/report").data)
    close(app)
    page = browser.new_page(viewport={"width": width, "height": 900})
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))

    page.goto(page_file.as_uri())
    page.wait_for_selector(".main-svg")

    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.locator(".js-plotly-plot").count() == 5
    # Nothing sticks out sideways: what is too wide scrolls within its own box.
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.close()
