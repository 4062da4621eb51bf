"""An experiment's own page in a real browser: what it shows and what can be done there."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from store.database import Database
from tests.builders import a_spec, an_activation
from tests.service.recorded import failed, submitted, trained
from tests.system.visitor import Visitor, a_token

SWEEP = (("network.depth", (1, 2)),)
DRAWN = "(place) => place.data.filter((line) => line.mode === 'lines+markers').map((line) => [line.name, line.y])"


def on_page(page: Page, url: str, database: Database, experiment_id: str) -> tuple[Visitor, str]:
    token = a_token(database, "ada", "admin")
    visitor = Visitor(page, f"{url}/#{experiment_id}")
    visitor.enter(token)
    return visitor, token


def answer(url: str, token: str) -> Any:
    with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"})) as response:  # noqa: S310 - our own server
        return json.load(response)


@pytest.mark.parametrize("name", ["learning_curves", "gradient_flow", "dead_fraction", "mean_activation"])
def test_figures_are_drawn_as_the_api_has_them_and_say_of_how_many_networks(
    name: str, page: Page, guarded: str, sqlite_database: Database
) -> None:
    experiment_id = trained(sqlite_database, a_spec())
    visitor, token = on_page(page, guarded, sqlite_database, experiment_id)

    expect(page.locator(f"#{name} .main-svg").first).to_be_visible()

    lines = answer(f"{guarded}/v1/experiments/{experiment_id}/figures/{name}", token)["data"]
    drawn = page.locator(f"#{name} .drawn").evaluate(DRAWN)
    assert drawn == [[line["name"], line["y"]] for line in lines if line["mode"] == "lines+markers"]
    assert [label for label, _ in drawn] == ["relu", "tanh"]
    expect(page.locator(f"#{name} figcaption p")).to_contain_text("2 networks an arm.")
    if name != "learning_curves":
        expect(page.locator(f"#{name} figcaption p")).to_contain_text("on a probe of 32 training inputs")
    # The first is that of the door, before there was a token.
    assert visitor.complaints[1:] == []


@pytest.mark.parametrize("width", [390, 1300])
def test_a_legend_shows_all_its_entries(width: int, page: Page, guarded: str, sqlite_database: Database) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    sweep = (("training.learning_rate", (0.03, 0.1, 0.3)), ("network.depth", (1, 2, 3)))
    spec = a_spec("relu", "tanh", "gelu", an_activation("leaky_relu", negative_slope=0.1), sweep=sweep, replicates=1)
    on_page(page, guarded, sqlite_database, trained(sqlite_database, spec))
    expect(page.locator(".drawn .legend")).to_have_count(4)

    # Where it has too little room, Plotly leaves entries out of sight, or gives it a bar to scroll by.
    page.wait_for_function("""() => [...document.querySelectorAll(".drawn")].every((drawn) => {
      const legend = drawn.querySelector(".legend");
      const parts = [drawn, ...legend.querySelectorAll(".legendtext")];
      const [end, ...entries] = parts.map((part) => part.getBoundingClientRect().bottom);
      const bar = legend.querySelector(".scrollbar").getBoundingClientRect();
      return entries.length >= 36 && Math.max(...entries) <= end && bar.height === 0;
    })""")


def test_no_figure_and_no_plotly_where_nothing_is_measured(page: Page, guarded: str, sqlite_database: Database) -> None:
    visitor, _ = on_page(page, guarded, sqlite_database, submitted(sqlite_database, a_spec()))

    expect(page.locator("#stands")).to_have_text("queued: 0 of 4 networks done")
    expect(page.locator("#waits")).to_have_text("Waits for a training process to take it.")

    assert page.locator("figure").count() == 0
    assert [request for request in visitor.requests if "plotly" in request.url or "/figures/" in request.url] == []


def test_pairs_stand_in_a_table_as_they_are_compared(page: Page, guarded: str, sqlite_database: Database) -> None:
    experiment_id = trained(sqlite_database, a_spec(replicates=5))
    _, token = on_page(page, guarded, sqlite_database, experiment_id)
    rows = page.locator("#compared tr")

    expect(rows).to_have_count(2)
    compared = answer(f"{guarded}/v1/experiments/{experiment_id}/comparison?metric=test_accuracy", token)
    difference = compared["arms"][1]["difference"]
    expect(rows.nth(1)).to_contain_text(f"{100 * difference['mean']:.4g} points")
    expect(rows.nth(0)).to_contain_text("baseline")
    page.get_by_label("Metric").select_option("dead_fraction")
    expect(page.locator("#definition")).to_contain_text("probe of 32 training inputs, at the last step")


def test_delete_asks_first_and_names_what_would_go(page: Page, guarded: str, sqlite_database: Database) -> None:
    experiment_id = trained(sqlite_database, a_spec(name="To be gone"))
    visitor, token = on_page(page, guarded, sqlite_database, experiment_id)
    dialog = page.get_by_role("dialog")

    page.get_by_role("button", name="Delete", exact=True).click()
    expect(dialog).to_contain_text("To be gone")
    expect(dialog).to_contain_text(experiment_id)
    page.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    assert answer(f"{guarded}/v1/experiments/{experiment_id}", token)["state"] == "succeeded"

    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it").click()

    visitor.says("“To be gone” is deleted.")
    visitor.sees()
    with pytest.raises(HTTPError, match="404"):
        answer(f"{guarded}/v1/experiments/{experiment_id}", token)


def test_retry_is_there_where_something_failed_and_takes_it_up_again(
    page: Page, guarded: str, sqlite_database: Database
) -> None:
    on_page(page, guarded, sqlite_database, failed(sqlite_database, a_spec()))

    expect(page.locator("#failures")).to_contain_text("out_of_memory: The stack does not fit into the memory.")
    page.get_by_role("button", name="Retry what failed or was cancelled").click()
    expect(page.locator("#stands")).to_have_text("running: 0 of 4 networks done")
    expect(page.locator("#retry")).to_be_hidden()
    expect(page.locator("#delete")).to_be_hidden()


def test_what_has_succeeded_is_not_run_again(page: Page, guarded: str, sqlite_database: Database) -> None:
    on_page(page, guarded, sqlite_database, trained(sqlite_database, a_spec()))

    expect(page.locator("#delete")).to_be_visible()
    expect(page.locator("#retry")).to_be_hidden()
    expect(page.locator("#cancel")).to_be_hidden()


def test_an_experiment_without_a_name_is_told_by_what_it_asks(
    page: Page, guarded: str, sqlite_database: Database
) -> None:
    experiment_id = trained(sqlite_database, a_spec("relu", "tanh", "gelu", sweep=SWEEP))
    visitor, _ = on_page(page, guarded, sqlite_database, experiment_id)

    expect(page.locator("#name")).to_have_text("relu, tanh, gelu on digits, by depth")
    page.get_by_role("link", name="All experiments").click()
    visitor.sees("relu, tanh, gelu on digits, by depth")
    expect(page.locator("#list")).to_contain_text(experiment_id[:8])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_page_without_moving_it_sideways(
    scheme: Any, page: Page, guarded: str, sqlite_database: Database
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=scheme)
    experiment_id = trained(sqlite_database, a_spec("relu", "tanh", "gelu", sweep=SWEEP))
    on_page(page, guarded, sqlite_database, experiment_id)
    expect(page.locator("#mean_activation .main-svg").first).to_be_visible()
    expect(page.locator("#compared tr")).to_have_count(6)

    too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(too_wide) == 0
    page.get_by_role("link", name="All experiments").click()
    expect(page.locator("#list a")).to_be_visible()
    assert page.evaluate(too_wide) == 0
