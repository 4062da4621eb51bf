"""Somebody who looks at the lab's page in a browser."""

from __future__ import annotations

from playwright.sync_api import Page, Request, expect

from store import tokens
from store.database import Database

PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)


class Visitor:
    """A tab with the lab's page, and all that it complained of and asked for."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request))
        page.goto(url)

    def enter(self, token: str) -> None:
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Enter").click()

    def says(self, sentence: str) -> None:
        expect(self.page.locator("#said")).to_contain_text(sentence)

    def sees(self, *names: str) -> None:
        expect(self.page.locator("#list a")).to_have_text(list(names))

    def sees_nothing(self) -> None:
        expect(self.page.locator("#door")).to_be_visible()
        expect(self.page.locator("#lab")).to_be_hidden()
        assert self.page.locator("#list tr").count() == 0


def a_token(database: Database, name: str, *scopes: str) -> str:
    with database.writing() as session:
        return tokens.create(session, name, scopes)
