from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

from flask.testing import FlaskClient

from store.database import Database
from tests.builders import a_dataset, a_spec
from tests.service.recorded import submitted, trained

_HOSTILE_NAME = "</title></script><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }}"

# Exact in binary, so that their difference is.
_ACCURACIES = (0.5, 0.625)


class _Page(HTMLParser):
    """The tags of a page with their attributes, and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str, str]] = []
        self._kind: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._kind = (dict(attrs).get("type") or "javascript") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._kind is not None:
            self.scripts.append((self._kind, data))

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._kind = None


def _report(client: FlaskClient, experiment_id: str) -> str:
    answer = client.get(f"/v1/experiments/{experiment_id}/report")
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    return answer.text


def test_a_report_says_what_was_asked_and_what_came_out(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec(name="Depth or width?"), diverged={(1, 0): 3})

    text = _report(client, experiment_id)

    summary = client.get(f"/v1/experiments/{experiment_id}/summary").get_json()
    assert "<h1>Depth or width?</h1>" in text
    assert summary["answer"][0] in text
    assert "1 diverged" in text
    assert "probe of\n    32" in text
    assert "What the numbers mean" in text


def test_a_report_has_shares_in_percent_and_their_differences_in_points(
    client: FlaskClient, database: Database
) -> None:
    text = _report(client, trained(database, a_spec(replicates=5), accuracy=lambda run: _ACCURACIES[run.arm.position]))

    assert "<td>50 %<small>50 to 50 %</small></td>" in text
    assert '<td class="note">12.5 points<small>12.5 to 12.5 points</small>' in text


def test_a_report_says_how_networks_were_trained(client: FlaskClient, database: Database) -> None:
    training = {"optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine", "clip_norm": 2.0}

    plain, special = (_report(client, submitted(database, a_spec(training=said))) for said in ({}, training))

    assert "adamw; learning rate 0.1; cosine schedule; weight decay 0.01; gradients clipped at norm 2;" in special
    assert "sgd; learning rate 0.1; 6 steps" in plain


def test_a_report_says_what_its_data_set_was_asked_to_be(client: FlaskClient, database: Database) -> None:
    dataset = a_dataset("parity", n_bits=3, n_train=500)
    spec = a_spec(dataset=dataset, sweep=(("dataset.n_bits", (2, 5)),))

    text = _report(client, trained(database, spec))

    assert "compare on parity? n_train 500; 2 hidden layers" in text
    assert "dataset.n_bits swept over 2, 5" in text


def test_a_report_of_values_speaks_of_no_accuracy(client: FlaskClient, database: Database) -> None:
    text = _report(client, trained(database, a_spec(dataset=a_dataset("diabetes"))))
    said = re.sub("<script.*?</script>", "", text, flags=re.DOTALL)

    assert "test loss" in said
    assert "accuracy" not in said


def test_a_report_can_be_run_again(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec())

    text = _report(client, experiment_id)

    found = re.search(r"<pre>(.*?)</pre>", text, re.DOTALL)
    assert found is not None
    spec = json.loads(found[1].replace("&#34;", '"'))
    assert spec == client.get(f"/v1/experiments/{experiment_id}").get_json()["spec"]


def test_a_report_fetches_nothing(client: FlaskClient, database: Database) -> None:
    page = _Page(_report(client, trained(database, a_spec())))

    assert not [tag for tag, attributes in page.tags if {"src", "href", "srcset", "data"} & set(attributes)]


def test_only_the_reports_own_scripts_may_run(client: FlaskClient, database: Database) -> None:
    answer = client.get(f"/v1/experiments/{trained(database, a_spec())}/report")

    page = _Page(answer.text)
    policy = answer.headers["Content-Security-Policy"]
    meta = [attributes.get("content") for tag, attributes in page.tags if tag == "meta"]
    scripts = [text for kind, text in page.scripts if kind == "javascript"]
    assert policy in meta
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert len(scripts) == 2
    for script in scripts:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


def test_a_report_draws_every_figure(client: FlaskClient, database: Database) -> None:
    experiment_id = trained(database, a_spec())

    page = _Page(_report(client, experiment_id))

    figures = [json.loads(text) for kind, text in page.scripts if kind == "application/json"]
    path = f"/v1/experiments/{experiment_id}/figures"
    names = [attributes["data-figure"] for tag, attributes in page.tags if "data-figure" in attributes]
    assert figures == [client.get(f"{path}/{name}").get_json() for name in names]
    assert len(figures) == 5


def test_a_name_is_text_and_nothing_else(client: FlaskClient, database: Database) -> None:
    spec = a_spec(name=_HOSTILE_NAME, tags=(_HOSTILE_NAME[:50],))

    text = _report(client, submitted(database, spec))

    assert "<img" not in text.replace("plotly", "").partition("</main>")[0]
    assert "alert(1)</script>" not in text
    assert "{{ 7*7 }}" in text


def test_a_report_of_an_unfinished_experiment_says_so(client: FlaskClient, database: Database) -> None:
    ended, text = (_report(client, make(database, a_spec())) for make in (trained, submitted))

    assert "This experiment is queued." in text
    assert "include those that still train" in text
    assert "still train" not in ended.partition("</main>")[0]
