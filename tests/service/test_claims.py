from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from lab.claims import CLAIMS
from store import deletions
from store.database import Database
from tests.service.recorded import failed_one, train_all

QUICK = {"effort": "quick"}


def asked(client: FlaskClient, claim: str = "C4") -> Any:
    answer = client.post(f"/v1/claims/{claim}/experiments", json=QUICK)
    assert answer.status_code == 202, answer.get_json()
    return answer.get_json()


def verdict(client: FlaskClient, claim: str = "C4", **query: Any) -> Any:
    answer = client.get(f"/v1/claims/{claim}/verdict", query_string=query)
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


def verdicts(judged: Any) -> set[str]:
    return {part["verdict"] for part in judged["parts"]}


def test_every_claim_is_shown_with_what_a_reader_needs(sqlite_client: FlaskClient) -> None:
    items = sqlite_client.get("/v1/claims").get_json()["items"]

    assert [item["name"] for item in items] == list(CLAIMS)
    for item in items:
        assert sqlite_client.get(f"/v1/claims/{item['name']}").get_json() == item
        assert item["sentence"]
        assert all(
            part[key] for part in item["parts"] for key in ("statement", "effect", "explanation", "would_change")
        )


@pytest.mark.parametrize("name", CLAIMS)
def test_what_a_claim_asks_first_can_be_asked_by_anyone(name: str, sqlite_client: FlaskClient) -> None:
    item = sqlite_client.get(f"/v1/claims/{name}").get_json()

    for effort in ("full", "quick"):
        for first in item["experiments"][effort]:
            answer = sqlite_client.post("/v1/experiments?dry_run=true", json=first["spec"])
            assert answer.status_code == 200, answer.get_json()
            assert answer.get_json()["spec"] == first["spec"]


def test_a_claim_that_nobody_has_run_says_so_and_how_to_run_it(sqlite_client: FlaskClient) -> None:
    found = verdict(sqlite_client)

    assert verdicts(found) == {"not run"}
    assert found["standing"] == "open"
    assert found["answer"].startswith("Open. It has not been run: POST /v1/claims/C4/experiments, ")
    assert not found["complete"]
    assert "measuring, usual: has not been asked for" in found["missing"]


def test_a_claim_is_asked_and_judged_by_what_was_found(client: FlaskClient, database: Database) -> None:
    begun = asked(client)
    assert len(begun["submitted"]) == len(begun["experiments"]) == 4
    assert (begun["stage"], begun["stages"]) == (1, 1)
    begun_only = verdict(client)
    assert "is queued" in begun_only["missing"][0]
    assert begun_only["answer"] == "Open. It has not been run to its end."
    assert verdicts(begun_only) == {"not run"}

    train_all(database)
    found = verdict(client)

    assert found["complete"]
    assert found["round"] == begun["round"]
    assert {each["id"] for each in found["experiments"]} == set(begun["submitted"])
    by_name = {part["name"]: part for part in found["parts"]}
    # Every hand-made network's squared gradient falls to a quarter a layer: ln 4 = 1.386.
    assert by_name["vanishes"]["verdict"] == "supported"
    assert by_name["vanishes"]["numbers"][0]["mean"] == pytest.approx(1.386, abs=1e-3)
    assert "zero variance" in by_name["vanishes"]["sentence"]
    for number in by_name["vanishes"]["numbers"]:
        effects = [each["effect"] for each in number["effects"]]
        assert len(effects) == number["n"]
        assert sum(effects) / len(effects) == pytest.approx(number["mean"])
    assert (found["standing"], found["answer"].partition(". ")[0]) == ("holds in part", "Holds in part")
    assert by_name["as_predicted"]["verdict"] == "refuted"
    assert client.get(by_name["vanishes"]["figure"]).status_code == 200


def test_asking_again_while_a_round_is_under_way_submits_nothing(
    sqlite_client: FlaskClient, sqlite_database: Database
) -> None:
    first = asked(sqlite_client)
    again = asked(sqlite_client)
    train_all(sqlite_database)
    after = asked(sqlite_client)

    assert again["submitted"] == []
    assert again["experiments"] == first["experiments"]
    assert after["round"] != first["round"]
    assert len(after["submitted"]) == 4
    assert verdict(sqlite_client)["round"] == first["round"], "the new round has found nothing yet"


def test_many_who_ask_at_once_begin_one_round(app: Flask) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: asked(app.test_client()), range(8)))

    assert len({answer["round"] for answer in answers}) == 1
    assert sorted(len(answer["submitted"]) for answer in answers) == [0] * 7 + [4]


def test_a_cancelled_experiment_is_missed_and_a_new_round_can_be_asked(
    sqlite_client: FlaskClient, sqlite_database: Database
) -> None:
    first = asked(sqlite_client)
    lost = next(each["id"] for each in first["experiments"] if each["key"] == "trained")
    sqlite_client.post(f"/v1/experiments/{lost}/cancel", json={})
    train_all(sqlite_database)

    found = verdict(sqlite_client)

    assert found["missing"] == [
        f"measuring, trained: experiment {lost} is cancelled: what is complete counts, a retry goes on"
    ]
    assert not found["complete"]
    by_name = {part["name"]: part for part in found["parts"]}
    assert by_name["vanishes"]["verdict"] == "supported", "what has ended well is judged"
    assert by_name["stays"]["verdict"] == "inconclusive"
    assert "5 of 5 planned values are missing" in by_name["stays"]["sentence"]
    assert asked(sqlite_client)["round"] != first["round"]


def test_replicates_that_a_person_adds_change_no_verdict(client: FlaskClient, database: Database) -> None:
    begun = asked(client)
    train_all(database)
    before = verdict(client)
    grown = begun["submitted"][0]
    n = client.get(f"/v1/experiments/{grown}").get_json()["spec"]["replicates"]

    client.post(f"/v1/experiments/{grown}/replicates", json={"replicates": n + 3})
    meanwhile = verdict(client)
    train_all(database, accuracy=lambda _: 0.0)

    assert verdict(client) == meanwhile == before
    assert before["complete"]


def test_a_failed_experiment_is_missed(sqlite_client: FlaskClient, sqlite_database: Database) -> None:
    asked(sqlite_client)
    lost = failed_one(sqlite_database)
    train_all(sqlite_database)

    assert f"experiment {lost} is failed" in verdict(sqlite_client)["missing"][0]


def test_a_named_round_is_gone_on_with_and_no_other_begun(
    sqlite_client: FlaskClient, sqlite_database: Database
) -> None:
    first = asked(sqlite_client, "C1")
    lost = first["submitted"][0]
    sqlite_client.post(f"/v1/experiments/{lost}/cancel", json={})
    train_all(sqlite_database)

    again = sqlite_client.post("/v1/claims/C1/experiments", json={"round": first["round"]}).get_json()

    assert again["round"] == first["round"]
    assert verdict(sqlite_client, "C1", round=first["round"])["round"] == first["round"]
    unknown = sqlite_client.post("/v1/claims/C1/experiments", json={"round": "none"})
    assert unknown.status_code == 404


def test_the_second_stage_follows_from_what_the_first_found(
    sqlite_client: FlaskClient, sqlite_database: Database
) -> None:
    first = asked(sqlite_client, "C1")
    train_all(sqlite_database)
    second = asked(sqlite_client, "C1")
    train_all(sqlite_database)

    assert (first["stage"], second["stage"], second["stages"]) == (1, 2, 2)
    assert second["round"] == first["round"]
    assert {each["stage"] for each in second["experiments"]} == {"measuring", "judging"}
    found = verdict(sqlite_client, "C1")
    assert found["complete"]
    # Every hand-made network has the same loss, so no learning rate is better than another.
    assert next(part for part in found["parts"] if part["name"] == "same_training")["verdict"] == "supported"


def test_named_experiments_are_judged_whatever_their_tags(
    sqlite_client: FlaskClient, sqlite_database: Database
) -> None:
    specs = [first["spec"] for first in sqlite_client.get("/v1/claims/C4").get_json()["experiments"]["quick"]]
    ids = [sqlite_client.post("/v1/experiments", json=spec).get_json()["id"] for spec in specs]
    train_all(sqlite_database)

    whole = verdict(sqlite_client, experiments=ids)
    some = verdict(sqlite_client, experiments=ids[1:])

    assert whole["complete"]
    assert whole["effort"] == "quick"
    assert some["missing"] == ["measuring, usual: has not been asked for"]
    assert verdicts(some) == {"not run"}


def test_a_tag_alone_passes_nothing_for_evidence(sqlite_client: FlaskClient, sqlite_database: Database) -> None:
    round_ = asked(sqlite_client)
    with sqlite_database.writing() as session:
        deletions.delete(session, round_["submitted"][0])
    tags = sqlite_client.get(f"/v1/experiments/{round_['submitted'][1]}").get_json()["tags"]
    sqlite_client.post("/v1/experiments", json={"activations": ["relu"], "tags": tags, "training": {"steps": 1}})

    assert "measuring, usual: has not been asked for" in verdict(sqlite_client)["missing"]
    assert len(asked(sqlite_client)["submitted"]) == 1, "what the round lacks is asked for again"


def test_an_unknown_claim_is_refused_with_the_known_ones(sqlite_client: FlaskClient) -> None:
    for answer in (
        sqlite_client.get("/v1/claims/C0"),
        sqlite_client.get("/v1/claims/C0/verdict"),
        sqlite_client.post("/v1/claims/C0/experiments", json={}),
    ):
        assert answer.status_code == 404
        assert "C4" in answer.get_json()["detail"]
