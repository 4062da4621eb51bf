from __future__ import annotations

import io
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from store.database import Database
from store.models import Experiment
from tests.service.hostile import HOSTILE, HOSTILE_ELSEWHERE, Hostile
from tests.store.builders import FORGED_CURSORS

_BY_NAME = [pytest.param(hostile, id=hostile.name) for hostile in HOSTILE]


@pytest.mark.parametrize("hostile", _BY_NAME)
def test_what_is_not_allowed_is_refused_by_name_and_leaves_nothing(
    hostile: Hostile, sqlite_client: FlaskClient, sqlite_database: Database
) -> None:
    answer = sqlite_client.post("/v1/experiments", data=hostile.body, content_type="application/json")

    assert answer.status_code == hostile.status
    assert answer.mimetype == "application/problem+json"
    assert "Traceback" not in answer.text
    assert len(answer.data) < 20_000
    problem = answer.get_json()
    assert problem["status"] == hostile.status
    assert problem["detail"]
    if hostile.field is not None:
        assert hostile.field in [error["field"] for error in problem["errors"]]
        for error in problem["errors"]:
            assert set(error) == {"field", "given", "allowed", "message"}
            assert error["allowed"]
            assert error["allowed"][:100] in error["message"]
    with sqlite_database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Experiment)) == 0


@pytest.mark.parametrize(("to", "hostile"), [pytest.param(*each, id=each[1].name) for each in HOSTILE_ELSEWHERE])
def test_what_may_not_be_changed_is_refused_by_name_and_stays(
    to: tuple[str, str], hostile: Hostile, sqlite_client: FlaskClient, sqlite_database: Database
) -> None:
    before = sqlite_client.post("/v1/experiments", json={"activations": ["relu", "tanh"]}).get_json()
    method, path = to

    answer = sqlite_client.open(
        "/v1" + path.format(id=before["id"]), method=method, data=hostile.body, content_type="application/json"
    )

    assert answer.status_code == hostile.status
    if hostile.field is not None:
        assert [error["field"] for error in answer.get_json()["errors"]] == [hostile.field]
    assert sqlite_client.get(f"/v1/experiments/{before['id']}").get_json() == before
    with sqlite_database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Experiment)) == 1


def test_postgres_and_sqlite_take_the_same_text(client: FlaskClient) -> None:
    name = "\u0001 \u202e <script>alert(1)</script> ' \" ; DROP TABLE runs; -- \U0001f9ea 日本"

    answer = client.post("/v1/experiments", json={"activations": ["relu"], "name": name, "tags": [name[:50]]})

    assert answer.status_code == 202
    assert client.get(answer.headers["Location"]).get_json()["name"] == name


def test_everything_that_is_wrong_is_said_at_once(sqlite_client: FlaskClient) -> None:
    request = {
        "activations": ["rleu", {"name": "leaky_relu", "negative_slope": "x"}],
        "network": {"depth": 0, "width": "wide"},
        "training": {"learning_rate": -1},
        "sweep": {"network.depth": [0, 2, 2], "network.dept": [1]},
        "seed": 1.5,
    }

    problem = sqlite_client.post("/v1/experiments", json=request).get_json()

    assert [error["field"] for error in problem["errors"]] == [
        "activations.0",
        "activations.1.negative_slope",
        "network.depth",
        "network.width",
        "seed",
        "sweep.network.dept",
        "sweep.network.depth.0",
        "sweep.network.depth.2",
        "training.learning_rate",
    ]
    depth = problem["errors"][2]
    assert depth == {
        "field": "network.depth",
        "given": 0,
        "allowed": "a whole number from 1 to 64",
        "message": "network.depth: given 0; allowed: a whole number from 1 to 64.",
    }


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ({"depth": 4}, "network.depth"),
        ({"learning_rte": 0.1}, "training.learning_rate"),
        ({"network.depth": 4}, "depth, inside network"),
        ({"n_train": 100}, "dataset.n_train"),
        ({"activation": ["relu"]}, "activations"),
        ({"network": {"dept": 4}}, "depth"),
        ({"training": {"depth": 4}}, "network.depth"),
        ({"training": {"optimizer": "Adma"}}, "adam"),
        ({"sweep": {"depth": [2, 4]}}, "network.depth"),
        ({"activations": ["rleu"]}, "relu"),
        ({"activations": ["LeakyReLU"]}, "leaky_relu"),
        ({"activations": [{"name": "leaky_relu", "slope": 0.1}]}, None),
        ({"activations": [{"name": "leaky_relu", "negativeslope": 0.1}]}, "negative_slope"),
        ({"activations": ["swish"]}, None),
        ({"activations": [7]}, None),
        ({"x" * 41: 1}, None),
    ],
)
def test_what_was_probably_meant_is_asked(body: dict[str, Any], meant: str | None, sqlite_client: FlaskClient) -> None:
    answer = sqlite_client.post("/v1/experiments?dry_run=true", json={"activations": ["relu"]} | body)

    assert answer.status_code == 422
    (error,) = answer.get_json()["errors"]
    _, _, question = error["message"].partition(f"; allowed: {error['allowed']}.")
    assert question == (f" Did you mean {meant}?" if meant else "")


def test_a_misspelt_query_is_told_too(sqlite_client: FlaskClient) -> None:
    path = "/v1/experiments/00000000-0000-4000-8000-000000000000/comparison"
    answer = sqlite_client.get(f"{path}?metric=test_acuracy&levle=0.9").get_json()

    assert [error["message"].rpartition(". ")[2] for error in answer["errors"]] == [
        "Did you mean level?",
        "Did you mean test_accuracy?",
    ]


def test_a_large_value_is_not_echoed_back(sqlite_client: FlaskClient) -> None:
    request = {"activations": ["x" * 60_000], "network": {"depth": list(range(1000))}}

    answer = sqlite_client.post("/v1/experiments", json=request)

    assert answer.status_code == 422
    assert len(answer.data) < 2_000


def test_thousands_of_errors_are_counted_and_not_listed(sqlite_client: FlaskClient) -> None:
    answer = sqlite_client.post("/v1/experiments", json={f"a{i}": 0 for i in range(5000)})

    problem = answer.get_json()
    assert len(problem["errors"]) == 100
    assert problem["detail"].endswith("and 4991 more.")


def test_too_large_a_body_is_refused(sqlite_client: FlaskClient) -> None:
    answer = sqlite_client.post("/v1/experiments", json={"activations": ["relu"], "name": "x" * 70_000})

    assert answer.status_code == 413
    assert answer.mimetype == "application/problem+json"


def test_a_body_that_does_not_say_its_length_is_not_cut_but_refused(sqlite_client: FlaskClient) -> None:
    body = b'{"activations": ["relu"]}' + b" " * 70_000

    answer = sqlite_client.post(
        "/v1/experiments",
        input_stream=io.BytesIO(body),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_another_type_of_body_is_refused(kind: str, sqlite_client: FlaskClient) -> None:
    answer = sqlite_client.post("/v1/experiments", data=b'{"activations": ["relu"]}', content_type=kind)

    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/experiments?page=2", "page"),
        ("/v1/experiments?state=done", "state"),
        ("/v1/experiments?limit=0", "limit"),
        ("/v1/experiments?limit=201", "limit"),
        ("/v1/experiments?limit=1e2", "limit"),
        ("/v1/experiments?limit=5&limit=6", "limit"),
        ("/v1/experiments?limit=" + "9" * 400, "limit"),
        ("/v1/experiments?limit=%D9%A3", "limit"),
        ("/v1/experiments?cursor=nonsense", "cursor"),
        ("/v1/experiments?cursor=WyJhIiwiYiJd", "cursor"),
        *((f"/v1/experiments?cursor={cursor}", "cursor") for cursor in FORGED_CURSORS),
        (f"/v1/experiments?sort=created_at&cursor={FORGED_CURSORS[0]}", "cursor"),
        ("/v1/experiments?sort=name", "sort"),
        ("/v1/experiments?name=%00", "name"),
        ("/v1/experiments?tag=", "tag"),
        ("/v1/experiments?created_after=yesterday", "created_after"),
        ("/v1/experiments?created_after=2026-01-01T00:00:00", "created_after"),
        ("/v1/experiments?created_after=2026-02-30T00:00:00Z", "created_after"),
        ("/v1/experiments?created_after=0001-01-01T00:00:00%2B23:59", "created_after"),
        ("/v1/experiments?dataset=../etc/passwd", "dataset"),
        ("/v1/activations?limit=5", "limit"),
        ("/healthz?verbose=1", "verbose"),
    ],
)
def test_a_query_that_is_not_known_is_refused(path: str, field: str, client: FlaskClient) -> None:
    answer = client.get(path)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]


@pytest.mark.parametrize("part", ["", "/arms", "/runs", "/runs/1", "/measurements", "/curves", "/summary", "/report"])
@pytest.mark.parametrize(
    "experiment_id", ["00000000-0000-0000-0000-000000000000", "1", "nonsense", "%00", "..%2f", "'; DROP TABLE runs"]
)
def test_what_is_not_there_is_a_404(part: str, experiment_id: str, client: FlaskClient) -> None:
    answer = client.get(f"/v1/experiments/{experiment_id}{part}")

    assert answer.status_code == 404
    assert answer.get_json()["status"] == 404
