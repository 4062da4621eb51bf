"""The API's own page as a reader sees it, under the policy that it is served with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from store.settings import Settings
from tests.system.pages import served


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    with served(settings) as url:
        yield url


def test_the_page_shows_every_operation_and_asks_nobody_else(browser: Browser, url: str) -> None:
    page = browser.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))

    answer = page.goto(f"{url}/docs")
    page.wait_for_selector(".opblock")

    assert answer is not None
    assert "'unsafe" not in answer.headers["content-security-policy"]
    document = page.request.get(f"{url}/openapi.json").json()
    n_operations = sum(len(operations.keys() - {"parameters"}) for operations in document["paths"].values())
    assert page.locator(".opblock").count() == n_operations
    assert complaints == []
    assert [asked for asked in requests if not asked.startswith((url, "data:"))] == []
    page.close()


def test_an_operation_can_be_tried_from_the_page(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.goto(f"{url}/docs")

    page.locator(".opblock", has_text="/healthz").locator(".opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()

    page.wait_for_selector(".live-responses-table .response-col_status:has-text('200')")
    page.close()
