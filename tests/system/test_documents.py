"""What the documents say is there is there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from actlab.cli import main
from lab.catalog.datasets import DATASETS
from lab.limits import Limits
from service import create_app
from store.settings import PREFIX, Settings
from tests.faults.table import page

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/deploy.md", "docs/engine.md", "docs/sql.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_a_document_names_exists(name: str) -> None:
    text = (ROOT / name).read_text()
    named = set(
        re.findall(
            r"`((?:actlab|lab|store|service|worker|migrations|benchmarks|deploy|docs|tests|\.ci)/[\w./]*)`", text
        )
    )
    linked = set(re.findall(r"\]\(([\w./]+)\)", text))

    assert named | linked
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    assert [path for path in sorted(linked) if not (ROOT / name).parent.joinpath(path).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_a_document_names_is_there(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))

    named = set(re.findall(r"(?:^    |`)make ([a-z-]+)", (ROOT / name).read_text(), flags=re.MULTILINE))

    assert named <= targets


@pytest.mark.parametrize("name", ["README.md", "docs/deploy.md", "docker-compose.yml", ".env.example"])
def test_every_setting_that_is_named_is_one(name: str) -> None:
    known = {PREFIX + f.name.upper() for f in fields(Settings)}
    known |= {f"{PREFIX}LIMIT_{f.name.upper()}" for f in fields(Limits)}
    known |= {"ACTLAB_URL", "ACTLAB_TOKEN", "ACTLAB_TOKEN_FILE", "ACTLAB_POSTGRES_PASSWORD", "ACTLAB_PORT"}
    known |= {"ACTLAB_PUBLISH", "ACTLAB_REDIS_PASSWORD"}

    named = set(re.findall(r"\bACTLAB_[A-Z_]+\b", (ROOT / name).read_text()))

    assert named
    assert named - known == set()


def test_every_command_is_in_the_readme() -> None:
    missing = [name for name in main.commands if not re.search(rf"`{name}`|actlab {name}\b", README)]

    assert missing == []


def test_every_data_set_is_in_the_readme() -> None:
    assert [name for name in DATASETS if f"`{name}`" not in README] == []


def test_every_resource_of_an_experiment_is_in_the_readme(settings: Settings) -> None:
    app = create_app(settings)
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    resources = {rule.split("<")[1].split("/", 1)[1] for rule in rules if re.search(r"/experiments/<[^>]+>/\w", rule)}

    assert resources
    missing = sorted(resource for resource in resources if f"/{resource.split('/')[0]}" not in README)
    assert missing == []


def test_every_other_resource_is_in_the_readme(settings: Settings) -> None:
    rules = {rule.rule for rule in create_app(settings).url_map.iter_rules()}
    resources = {rule for rule in rules if re.fullmatch(r"/v1/[\w-]+|/[\w.]+", rule)}

    assert resources
    assert sorted(path for path in resources if not re.search(rf"{re.escape(path)}(?![\w-])", README)) == []


def test_every_path_the_readme_names_is_served(settings: Settings) -> None:
    rules = {re.sub(r"<[^>]+>", "*", rule.rule) for rule in create_app(settings).url_map.iter_rules()}
    named = {re.sub(r"{\w+}|(?<=/)C\d\b", "*", path) for path in re.findall(r"/v1/[\w/{}-]+[\w}]", README)}

    assert named
    assert sorted(named - rules) == []


def test_what_is_written_by_hand_on_the_page_of_make_chaos_outlives_its_next_writing() -> None:
    by_hand = "## By hand\n\nBoth were the tests' fault.\n\n"

    first = page([], ["a part"], "")
    head, below = first.split("## The eight numbers")
    second = page([], ["a part", "another"], f"{head}{by_hand}## The eight numbers{below}")

    assert "By hand" not in first
    assert second == page([], ["a part", "another"], "").replace("## The eight", by_hand + "## The eight")
    assert page([], ["a part", "another"], second) == second


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()
