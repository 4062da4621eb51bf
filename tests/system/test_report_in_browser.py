"""The report as a reader sees it: one file, opened from disk in a real browser, with nothing fetched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from service import create_app
from store.database import Database
from store.settings import Settings
from tests.builders import a_spec
from tests.service.conftest import close
from tests.service.recorded import trained

COVERED = """[...document.querySelectorAll(".js-plotly-plot")].filter((drawn) => {
  const [legend, title] = [".legend", ".xtitle"].map((part) => drawn.querySelector(part)?.getBoundingClientRect());
  return legend && legend.top < title.bottom;
}).length"""


@pytest.mark.parametrize("width", [1200, 400])
def test_the_report_draws_every_figure_and_fetches_nothing(
    browser: Browser, sqlite_database: Database, settings: Settings, tmp_path: Path, width: int
) -> None:
    nine = a_spec("relu", "tanh", "leaky_relu", sweep=(("network.depth", (1, 2, 3)),))
    experiment_id = trained(sqlite_database, nine)
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
    # No legend lies on the name of the axis, however many rows it has.
    assert page.evaluate(COVERED) == 0
    # Nothing sticks out sideways: what is too wide scrolls within its own box.
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.close()
