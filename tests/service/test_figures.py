"""Figures over HTTP: what each draws of an experiment, and what its title says."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from service.drawing import FIGURES
from store.database import Database
from tests.builders import a_spec
from tests.service.recorded import DEAD_END, DEAD_START, submitted, trained


def test_figures_draw_a_line_an_arm(client: FlaskClient, database: Database) -> None:
    path = f"/v1/experiments/{trained(database, a_spec(depth=3))}/figures"

    curves = client.get(f"{path}/learning_curves").get_json()
    gradients = client.get(f"{path}/gradient_flow").get_json()
    dead = client.get(f"{path}/dead_fraction").get_json()
    means = client.get(f"{path}/mean_activation").get_json()

    assert [line["name"] for line in curves["data"]] == ["relu", "tanh"]
    assert curves["data"][0]["y"][0] == pytest.approx(0.505)
    assert gradients["data"][0]["x"] == [1, 2, 3]
    assert gradients["data"][0]["y"] == pytest.approx([0.25, 0.5, 1.0])
    assert dead["data"][1]["y"] == [DEAD_START, DEAD_START, DEAD_START, DEAD_END]
    assert means["data"][0]["y"] == [1.5, 2.5, 3.5]
    assert gradients["layout"]["yaxis"]["title"]["text"] == "per-sample gradient norm (delta_norm)"


def test_arms_of_different_length_are_each_drawn_at_their_last_step(client: FlaskClient, database: Database) -> None:
    spec = a_spec("relu", sweep=(("training.steps", (3, 6)),))

    figure = client.get(f"/v1/experiments/{trained(database, spec)}/figures/mean_activation").get_json()

    assert [line["y"] for line in figure["data"]] == [[1.5, 2.5], [1.5, 2.5]]


def test_a_figure_says_whether_networks_still_train(client: FlaskClient, database: Database) -> None:
    def titles(experiment_id: str) -> dict[str, str]:
        path = f"/v1/experiments/{experiment_id}/figures"
        return {name: client.get(f"{path}/{name}").get_json()["layout"]["title"]["text"] for name in FIGURES}

    ended, live = titles(trained(database, a_spec())), titles(submitted(database, a_spec()))

    assert {name for name, title in live.items() if "still train" in title} == {*FIGURES} - {"comparison"}
    assert not [title for title in ended.values() if "still train" in title]


def test_a_figure_says_which_arms_it_leaves_out(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.drawing.MOST_LINES", 2)
    path = f"/v1/experiments/{trained(database, a_spec('relu', 'tanh', 'gelu'))}/figures"

    for name in FIGURES:
        figure = client.get(f"{path}/{name}").get_json()
        assert "first 2 of 3 arms" in figure["layout"]["title"]["text"]
        names = figure["data"][0]["y"] if name == "comparison" else [line["name"] for line in figure["data"]]
        assert names == ["relu", "tanh"]


def test_an_unknown_figure_is_told_the_known_ones(client: FlaskClient, database: Database) -> None:
    answer = client.get(f"/v1/experiments/{submitted(database, a_spec())}/figures/nonsense")

    assert answer.status_code == 404
    assert answer.get_json()["detail"] == f"There is no figure 'nonsense'. Known: {', '.join(FIGURES)}."


def test_the_figures_are_documented(sqlite_client: FlaskClient) -> None:
    document = sqlite_client.get("/openapi.json").get_json()

    operations = document["paths"]["/v1/experiments/{experiment_id}/figures/{name}"]
    (name,) = (p for p in operations["parameters"] if p.get("name") == "name")
    assert name["schema"]["enum"] == list(FIGURES)
    assert "404" in operations["get"]["responses"]
