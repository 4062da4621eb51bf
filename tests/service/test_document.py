from __future__ import annotations

import re
from typing import Any

import hypothesis
import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from schemathesis.specs.openapi.checks import positive_data_acceptance

from lab.records import PredictedValue
from service import create_app
from store.database import Database
from store.settings import Settings
from tests.builders import a_spec
from tests.service.recorded import predicted, trained

Operation = schemathesis.APIOperation[Any, Any, Any, Any]


def _operations(app: Flask) -> dict[str, Operation]:
    document = schemathesis.openapi.from_wsgi("/openapi.json", app)
    return {operation.label: operation for operation in _all(document)}


def _all(document: Any) -> list[Operation]:
    return [operation.ok() for operation in document.get_all_operations()]


_KNOWN = _operations(create_app(Settings()))
_REFUSING = [label for label, operation in _KNOWN.items() if operation.body or list(operation.iter_parameters())]
_READING = [label for label in _REFUSING if label.startswith("GET") and "{" in label]


def _hold(operation: Operation, mode: schemathesis.GenerationMode, known: dict[str, Any] | None = None) -> None:
    """The service answers as the document says, whatever is asked; `known` takes the place of the path's parameters."""

    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=20,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def holds(case: schemathesis.Case[Any]) -> None:
        case.path_parameters.update({name: known[name] for name in case.path_parameters if known and name in known})
        # What JSON Schema cannot say (a cost, two fields that exclude each other) makes some that conform be refused.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    holds()


@pytest.mark.parametrize("label", _KNOWN)
def test_what_is_asked_by_the_document_is_answered_by_it(label: str, sqlite_app: Flask) -> None:
    _hold(_operations(sqlite_app)[label], schemathesis.GenerationMode.POSITIVE)


@pytest.mark.parametrize("label", _REFUSING)
def test_what_the_document_does_not_allow_is_refused_by_it(label: str, sqlite_app: Flask) -> None:
    _hold(_operations(sqlite_app)[label], schemathesis.GenerationMode.NEGATIVE)


@pytest.mark.parametrize("label", _READING)
def test_results_are_shown_as_documented(label: str, sqlite_app: Flask, sqlite_database: Database) -> None:
    experiment_id = trained(sqlite_database, a_spec(sweep=(("network.depth", (1, 2)),)), diverged={(0, 1): 3})
    runs = sqlite_app.test_client().get(f"/v1/experiments/{experiment_id}/runs").get_json()["items"]
    known = {"experiment_id": experiment_id, "run_id": runs[0]["id"]}

    _hold(_operations(sqlite_app)[label], schemathesis.GenerationMode.POSITIVE, known)


def test_every_route_is_in_the_document(sqlite_app: Flask, sqlite_client: FlaskClient) -> None:
    documented = set(sqlite_client.get("/openapi.json").get_json()["paths"])
    pages = {"/", "/docs", "/openapi.json"}

    served = {
        "/".join("{" + part.rpartition(":")[2].strip("<>") + "}" if part.startswith("<") else part for part in parts)
        for parts in (rule.rule.split("/") for rule in sqlite_app.url_map.iter_rules())
    }

    assert {path for path in served if not path.startswith(("/docs/", "/page/"))} - pages == documented


def test_text_of_a_body_is_documented_to_hold_no_character_that_cannot_be_kept(sqlite_client: FlaskClient) -> None:
    document = sqlite_client.get("/openapi.json").get_json()
    named = {
        body["schema"]["$ref"].rpartition("/")[2]
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict) and "requestBody" in operation
        for body in operation["requestBody"]["content"].values()
    }
    texts = [text for name in named for text in _texts(document["components"]["schemas"][name])]

    assert texts
    for text in texts:
        assert "enum" in text or not re.search(text["pattern"], "a\0b"), text


def _texts(schema: Any) -> list[dict[str, Any]]:
    """Wherever they stand in it."""
    if isinstance(schema, list):
        return [text for each in schema for text in _texts(each)]
    if not isinstance(schema, dict):
        return []
    return ([schema] if schema.get("type") == "string" else []) + _texts(list(schema.values()))


def test_every_operation_says_what_it_does_and_how_it_refuses(sqlite_client: FlaskClient) -> None:
    document = sqlite_client.get("/openapi.json").get_json()

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            assert operation["summary"].endswith("."), path
            assert {"400", "422", "500", "503"} <= set(operation["responses"])
            assert any(status.startswith("2") for status in operation["responses"])
    for answer in document["components"]["responses"].values():
        assert list(answer["content"]) == ["application/problem+json"]


def test_every_body_has_an_example_that_is_accepted(sqlite_client: FlaskClient, sqlite_database: Database) -> None:
    document = sqlite_client.get("/openapi.json").get_json()
    values = {"experiment_id": trained(sqlite_database, a_spec()), "claim": "C4"}
    bodies = [
        (method, path, operation["requestBody"]["content"]["application/json"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    ]

    assert bodies
    for method, path, body in bodies:
        for example in body["examples"].values():
            answer = sqlite_client.open(path.format(**values), method=method, json=example["value"])
            assert answer.status_code in (200, 202), (path, answer.get_json())


def test_answers_of_a_finished_experiment_are_as_documented(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec(sweep=(("network.depth", (1, 2)),)), diverged={(0, 1): 3})
    unknown = PredictedValue(2, "gradient_ratio", None, None, None, "the last hidden layer has none above it")
    predicted(database, experiment_id, PredictedValue(1, "gradient_ratio", 0.25, 0.2, 0.3), unknown, arm=1)
    document = schemathesis.openapi.from_dict(client.get("/openapi.json").get_json())
    run_id = client.get(f"/v1/experiments/{experiment_id}/runs").get_json()["items"][0]["id"]
    values = {"experiment_id": experiment_id, "run_id": run_id, "name": "learning_curves", "claim": "C4"}

    for operation in _all(document):
        path = operation.path
        if operation.method.upper() != "GET":
            continue
        query = {"metric": "dead_fraction"} if path.endswith("/comparison") else {}
        answer = client.get(path.format(**values), query_string=query)
        assert answer.status_code == 200, path
        if answer.is_json:
            operation.validate_response(schemathesis.Response.from_any(answer))
