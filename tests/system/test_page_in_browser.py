"""The lab's page as somebody on its network meets it, in a real browser: with a token, without, with a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from store import tokens
from store.database import Database
from tests.builders import a_spec
from tests.service.recorded import trained
from tests.store.builders import claimed, finished, in_stacks, submitted
from tests.system.visitor import Visitor, a_token

_HOSTILE_NAME = "</td><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


def test_the_page_asks_for_a_token_keeps_it_and_forgets_it(page: Page, guarded: str, sqlite_database: Database) -> None:
    submitted(sqlite_database, a_spec(name="Depth?"))
    token = a_token(sqlite_database, "ada", "read")
    visitor = Visitor(page, guarded)

    visitor.says("This lab asks for a token.")
    visitor.sees_nothing()
    page.get_by_role("link", name="limits").click()
    visitor.sees_nothing()
    visitor.enter(token)
    visitor.sees("Depth?")
    page.reload()
    visitor.sees("Depth?")
    page.get_by_role("button", name="Forget it").click()
    visitor.says("The token is forgotten.")
    visitor.sees_nothing()
    page.reload()
    visitor.sees_nothing()
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]


def test_a_token_stays_in_its_tab_and_out_of_every_address(page: Page, guarded: str, sqlite_database: Database) -> None:
    experiment_id = trained(sqlite_database, a_spec(name="Depth?"))
    token = a_token(sqlite_database, "ada", "read")
    visitor = Visitor(page, guarded)
    visitor.enter(token)
    page.get_by_role("link", name="Depth?").click()
    page.get_by_role("link", name="limits").click()
    expect(page.locator("#shown")).to_contain_text('"depth": 64')
    with page.expect_download() as saved:
        page.get_by_role("button", name="Report").click()

    other = Visitor(page.context.new_page(), guarded)

    other.sees_nothing()
    assert "Activation Lab" in Path(saved.value.path()).read_text()
    assert saved.value.suggested_filename == f"activation-lab-{experiment_id}.html"
    assert [request.url for request in visitor.requests if token in request.url] == []
    assert [request for request in visitor.requests if not request.url.startswith((guarded, "data:", "blob:"))] == []
    sent = [request for request in visitor.requests if request.headers.get("authorization") == f"Bearer {token}"]
    assert {request.url.removeprefix(guarded).partition("?")[0] for request in sent} >= {
        "/v1/experiments",
        f"/v1/experiments/{experiment_id}/summary",
        f"/v1/experiments/{experiment_id}/report",
        "/v1/limits",
    }


@pytest.mark.parametrize(
    ("scopes", "sentence"),
    [
        (None, "This token is not known, has expired or was revoked."),
        ((), "That is no token"),
        (("submit",), "This needs a token with the scope 'read'; 'robot' has not got it."),
    ],
    ids=["nobody's", "no token", "a scope too few"],
)
def test_a_token_that_does_not_open_the_lab_is_said_to_be_wrong_and_is_not_kept(
    scopes: tuple[str, ...] | None, sentence: str, page: Page, guarded: str, sqlite_database: Database
) -> None:
    token = "x y" if scopes == () else a_token(sqlite_database, "robot", *(scopes or ("read",)))
    if scopes is None:
        with sqlite_database.writing() as session:
            tokens.revoke(session, "robot")
    visitor = Visitor(page, guarded)

    visitor.enter(token)

    visitor.says(sentence)
    visitor.sees_nothing()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_token_that_is_revoked_meanwhile_shuts_the_page(page: Page, guarded: str, sqlite_database: Database) -> None:
    submitted(sqlite_database, a_spec(name="Depth?"))
    visitor = Visitor(page, guarded)
    visitor.enter(a_token(sqlite_database, "ada", "read"))
    visitor.sees("Depth?")

    with sqlite_database.writing() as session:
        tokens.revoke(session, "ada")

    visitor.says("This token is not known, has expired or was revoked.")
    visitor.sees_nothing()


def test_an_experiment_is_followed_to_its_end_with_a_token(page: Page, guarded: str, sqlite_database: Database) -> None:
    experiment_id = submitted(sqlite_database, in_stacks(2)).id
    visitor = Visitor(page, f"{guarded}/#{experiment_id}")
    visitor.enter(a_token(sqlite_database, "ada", "read"))
    stands = page.locator("#stands")

    expect(stands).to_have_text("queued: 0 of 8 networks done")
    finished(sqlite_database, claimed(sqlite_database))
    expect(stands).to_have_text("running: 4 of 8 networks done")
    finished(sqlite_database, claimed(sqlite_database))
    expect(stands).to_have_text("succeeded: 8 of 8 networks done")

    expect(page.locator("#answer li").first).to_be_visible()
    streams = [request for request in visitor.requests if request.url.endswith("/events")]
    assert len(streams) == 1
    assert visitor.complaints[1:] == []


def test_an_experiment_that_waits_says_for_what(page: Page, guarded: str, sqlite_database: Database) -> None:
    submitted(sqlite_database, in_stacks(1))
    ahead = claimed(sqlite_database)
    experiment_id = submitted(sqlite_database, in_stacks(1)).id
    visitor = Visitor(page, f"{guarded}/#{experiment_id}")
    visitor.enter(a_token(sqlite_database, "ada", "read"))
    waits = page.locator("#waits")

    expect(waits).to_have_text("Waits for a free training process: 1 is busy, with 1 other experiment.")
    finished(sqlite_database, ahead)
    expect(waits).to_have_text("Waits for a training process to take it.")
    claimed(sqlite_database)
    expect(waits).to_have_text("")


def test_following_outlasts_a_lab_that_is_away(page: Page, guarded: str, sqlite_database: Database) -> None:
    experiment_id = submitted(sqlite_database, in_stacks(1)).id
    page.route("**/events", lambda route: route.abort())
    visitor = Visitor(page, f"{guarded}/#{experiment_id}")
    visitor.enter(a_token(sqlite_database, "ada", "read"))
    expect(page.locator("#stands")).to_have_text("queued: 0 of 4 networks done")

    page.route("**/v1/experiments**", lambda route: route.abort())
    page.route(f"**/v1/experiments/{experiment_id}", lambda route: route.abort())
    visitor.says("The lab does not answer.")
    page.unroute_all()
    finished(sqlite_database, claimed(sqlite_database))

    expect(page.locator("#stands")).to_have_text("succeeded: 4 of 4 networks done")
    expect(page.locator("#said")).to_have_text("")


def test_what_is_asked_from_the_page_is_an_experiment_or_a_refusal_that_says_why(
    page: Page, guarded: str, sqlite_database: Database
) -> None:
    visitor = Visitor(page, guarded)
    wrong, asks = page.locator("#wrong li"), page.get_by_role("button", name="Ask", exact=True)
    visitor.enter(a_token(sqlite_database, "reader", "read"))
    asks.click()
    expect(wrong).to_have_text(["This needs a token with the scope 'submit'; 'reader' has not got it."])
    page.get_by_role("button", name="Forget it").click()
    visitor.enter(a_token(sqlite_database, "ada", "read", "submit"))

    page.locator("#request").fill('{"activations": ["rleu"]}')
    asks.click()
    expect(wrong).to_contain_text(["activations.0: given 'rleu'"])
    page.locator("#request").fill('{"activations": ["relu"], "replicates": 3, "name": "Alone"}')
    asks.click()
    expect(page.locator("#stands")).to_have_text("queued: 0 of 3 networks done")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#stands")).to_have_text("cancelled: 0 of 3 networks done, 3 cancelled")
    visitor.sees("Alone")


def test_names_and_tags_are_text_and_nothing_else(page: Page, guarded: str, sqlite_database: Database) -> None:
    experiment_id = trained(sqlite_database, a_spec(name=_HOSTILE_NAME, tags=("<b>bold</b>",)))
    visitor = Visitor(page, f"{guarded}/#{experiment_id}")
    visitor.enter(a_token(sqlite_database, "ada", "read"))

    visitor.sees(_HOSTILE_NAME)
    expect(page.locator("#name")).to_have_text(_HOSTILE_NAME)
    assert page.locator("main img, main b").count() == 0
    assert page.evaluate("window.hacked") is None


def test_a_lab_that_asks_nobody_for_a_token_shows_itself_at_once(page: Page, unguarded: str) -> None:
    visitor = Visitor(page, unguarded)

    expect(page.locator("#none")).to_be_visible()
    expect(page.locator("#door")).to_be_hidden()
    expect(page.locator("#kept")).to_be_hidden()
    assert visitor.complaints == []


def test_the_documentation_sends_the_token_that_it_is_given(
    page: Page, guarded: str, sqlite_database: Database
) -> None:
    token = a_token(sqlite_database, "ada", "read")
    visitor = Visitor(page, f"{guarded}/docs")

    page.locator(".auth-wrapper .authorize").first.click()
    page.locator(".auth-container input").fill(token)
    page.locator(".auth-btn-wrapper .authorize").click()
    page.locator(".auth-btn-wrapper .btn-done").click()
    operation = page.locator(".opblock", has_text="/v1/limits")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()

    expect(operation.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]
    assert [request.url for request in visitor.requests if token in request.url] == []
