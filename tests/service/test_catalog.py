from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.choices import NORMALIZATIONS, OPTIMIZERS
from lab.catalog.datasets import DATASETS
from lab.catalog.initializations import INITIALIZATIONS
from lab.catalog.measurements import CURVES, DERIVED, MEASUREMENTS
from lab.catalog.schedules import SCHEDULES
from lab.plan import arms_of
from lab.spec import DatasetSpec
from tests.builders import a_spec


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("activations", ACTIVATIONS),
        ("datasets", DATASETS),
        ("initializations", INITIALIZATIONS),
        ("normalizations", NORMALIZATIONS),
        ("optimizers", OPTIMIZERS),
        ("schedules", SCHEDULES),
        ("measurement-definitions", MEASUREMENTS | CURVES | DERIVED),
    ],
)
def test_the_whole_catalog_is_shown(name: str, known: dict[str, object], sqlite_client: FlaskClient) -> None:
    page = sqlite_client.get(f"/v1/{name}").get_json()

    assert [item["name"] for item in page["items"]] == list(known)
    assert page["next"] is None
    for item in page["items"]:
        assert item.get("description") or item.get("definition")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_can_be_asked_for_as_the_catalog_shows_it(name: str, sqlite_client: FlaskClient) -> None:
    items = sqlite_client.get("/v1/activations").get_json()["items"]
    shown = next(item for item in items if item["name"] == name)
    entry = {"name": name} | {parameter["name"]: parameter["default"] for parameter in shown["parameters"]}

    for asked in (name, entry):
        answer = sqlite_client.post("/v1/experiments?dry_run=true", json={"activations": [asked]})
        assert answer.status_code == 200
        assert answer.get_json()["spec"]["activations"] == [entry]


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_can_be_asked_for_as_the_catalog_shows_it(name: str, sqlite_client: FlaskClient) -> None:
    items = sqlite_client.get("/v1/datasets").get_json()["items"]
    shown = next(item for item in items if item["name"] == name)
    entry = {"name": name} | {parameter["name"]: parameter["default"] for parameter in shown["parameters"]}

    arm = arms_of(a_spec("relu", dataset=DatasetSpec(name)))[0]
    assert (shown["n_inputs"], shown["n_outputs"]) == (arm.n_inputs, arm.n_outputs)
    assert (shown["n_train"], shown["n_test"]) == arm.sizes
    for asked in (name, entry):
        answer = sqlite_client.post("/v1/experiments?dry_run=true", json={"activations": ["relu"], "dataset": asked})
        assert answer.status_code == 200
        assert answer.get_json()["spec"]["dataset"] == entry
