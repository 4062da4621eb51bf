"""The settings of a lab that notices quickly what is lost, and a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from store.database import Database
from store.settings import Settings
from tests.system.pages import served
from tests.system.programs import SHORT

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture
def short(database_url: str, valkey_url: str) -> Settings:
    return replace(Settings(database_url=database_url, broker_url=valkey_url), **SHORT)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
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


@pytest.fixture
def guarded(settings: Settings, sqlite_database: Database) -> Iterator[str]:
    with served(replace(settings, database_url=sqlite_database.url, auth="tokens")) as url:
        yield url


@pytest.fixture
def unguarded(settings: Settings) -> Iterator[str]:
    with served(settings) as url:
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()
