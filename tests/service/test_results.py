from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from store.database import Database
from tests.builders import a_spec, an_activation
from tests.service.recorded import DEAD_END, DEAD_START, submitted, trained


def test_arms_stand_in_order_with_their_settings(client: FlaskClient, database: Database) -> None:
    spec = a_spec("relu", an_activation("leaky_relu", negative_slope=0.2), sweep=(("network.depth", (1, 3)),))

    page = client.get(f"/v1/experiments/{submitted(database, spec)}/arms").get_json()

    assert page["next"] is None
    assert page["items"][3] == {
        "position": 3,
        "label": "leaky_relu(negative_slope=0.2), depth=3",
        "activation": {"name": "leaky_relu", "negative_slope": 0.2, "scale_in": 1.0, "scale_out": 1.0, "shift": 0.0},
        "swept": {"network.depth": 3},
        "baseline": 1,
    }


def test_a_run_says_how_it_ended(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(depth=2), diverged={(1, 0): 4})}/runs"

    items = client.get(path).get_json()["items"]

    assert [(run["arm"], run["replicate"]) for run in items] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [run["diverged_at"] for run in items] == [None, None, 4, None]
    assert client.get(f"{path}/{items[1]['id']}").get_json() == items[1]
    assert items[1]["test_accuracy"] == pytest.approx(0.51)
    assert items[1]["dead_fraction_end"] == DEAD_END
    assert items[1]["layers"][1] == {
        "layer": 2,
        "dead_fraction_start": DEAD_START,
        "dead_fraction_end": DEAD_END,
        "units_died": 1,
        "units_revived": 0,
    }


def test_runs_are_narrowed_and_paged(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec('relu', 'tanh', 'gelu'))}/runs"

    first = client.get(f"{path}?arm=0&arm=2&limit=3&state=succeeded").get_json()
    second = client.get(f"{path}?arm=0&arm=2&limit=3&cursor={first['next']}").get_json()

    assert [run["arm"] for run in first["items"] + second["items"]] == [0, 0, 2, 2]
    assert second["next"] is None
    assert client.get(f"{path}?state=failed").get_json()["items"] == []


def test_a_run_of_another_experiment_is_not_found(client: FlaskClient, database: Database) -> None:
    one, other = trained(database, a_spec()), trained(database, a_spec())
    run_id = client.get(f"/v1/experiments/{other}/runs").get_json()["items"][0]["id"]

    assert client.get(f"/v1/experiments/{one}/runs/{run_id}").status_code == 404
    assert client.get(f"/v1/experiments/{one}/runs/{2**63}").status_code == 404
