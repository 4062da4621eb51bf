from __future__ import annotations

from dataclasses import replace

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from service import create_app
from store.database import Database
from store.settings import Settings
from tests.outages import outage
from tests.service.conftest import close
from tests.store.builders import claimed, in_stacks, submitted


def _scraped(client: FlaskClient) -> dict[tuple[str, str], float]:
    """Value by name and labels."""
    text = client.get("/metrics").get_data(as_text=True)
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, ",".join(sorted(sample.labels.values()))): sample.value for sample in samples}


def test_what_waits_and_what_runs_is_counted(database: Database, client: FlaskClient) -> None:
    submitted(database, in_stacks(3))
    claimed(database)

    found = _scraped(client)

    assert (found["actlab_stacks", "queued"], found["actlab_stacks", "running"]) == (2, 1)
    assert 0 <= found["actlab_oldest_queued_seconds", ""] < 60
    assert found["actlab_workers", ""] == 1
    assert found["actlab_database_up", ""] == found["actlab_broker_up", ""] == 1


def test_requests_are_counted_by_route_and_status(sqlite_client: FlaskClient) -> None:
    for path in ("/healthz", "/healthz", "/nowhere", "/v1/experiments/00000000-0000-0000-0000-000000000000"):
        sqlite_client.get(path)

    found = _scraped(sqlite_client)

    counted = {labels: value for (name, labels), value in found.items() if name == "actlab_request_seconds_count"}
    assert counted == {
        "/healthz,200,GET": 2,
        "404,any,none": 1,
        "/v1/experiments/<uuid:experiment_id>,404,GET": 1,
    }


def test_without_the_database_it_is_said_and_the_rest_is_there(postgres_database: Database, settings: Settings) -> None:
    app = create_app(replace(settings, database_url=postgres_database.url))

    with outage(postgres_database):
        found = _scraped(app.test_client())

    assert (found["actlab_database_up", ""], found["actlab_broker_up", ""]) == (0, 1)
    assert ("actlab_stacks", "queued") not in found
    close(app)
