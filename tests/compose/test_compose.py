"""Somebody puts the lab on their network with the README's commands; others come with tokens, and not without."""

from __future__ import annotations

from pathlib import Path

import httpx

from actlab import Lab
from tests.actlab.labs import A_QUESTION
from tests.compose.conftest import NAME, Composed


def test_an_experiment_is_asked_trained_and_answered_with_a_token(lab: Composed, token_file: Path) -> None:
    with Lab(lab.url, token_file=token_file) as client:
        end = client.wait(client.submit(A_QUESTION)["id"], timeout_s=120)
        answer = client.summary(end["id"])["answer"]

    assert end["state"] == "succeeded"
    assert answer


def test_without_a_token_only_health_and_pages_are_answered(lab: Composed) -> None:
    statuses = {path: httpx.get(lab.url + path).status_code for path in ("/readyz", "/", "/docs", "/v1/experiments")}

    assert statuses == {"/readyz": 200, "/": 200, "/docs": 200, "/v1/experiments": 401}


def test_it_is_healthy_also_where_the_network_calls_it_by_a_name(lab: Composed) -> None:
    answers = {
        host: httpx.get(f"{lab.url}/readyz", headers={"Host": host}).status_code for host in (NAME, "evil.example")
    }

    assert lab.health() == dict.fromkeys(("postgres", "redis", "service", "sweeper", "worker"), "healthy")
    assert answers == {NAME: 200, "evil.example": 400}


def test_beyond_loopback_the_api_does_not_start_without_tokens(lab: Composed) -> None:
    refused = lab.run("run", "--rm", "--no-deps", "--no-TTY", "--env", "ACTLAB_AUTH=off", "service")

    assert refused.returncode == 1
    assert "ACTLAB_BIND: given '0.0.0.0:8000'; allowed: a loopback address" in refused.stdout + refused.stderr


def test_what_env_says_does_not_take_the_tokens_away(lab: Composed) -> None:
    """It says `off` here: `environment` comes after `env_file`."""
    shown = lab.run("exec", "--no-TTY", "service", "printenv", "ACTLAB_AUTH")

    assert shown.stdout == "tokens\n"


def test_a_restart_keeps_tokens_and_experiments(lab: Composed, token_file: Path) -> None:
    with Lab(lab.url, token_file=token_file) as client:
        before = [experiment["id"] for experiment in client.list()]
        assert lab.run("restart", "service", "postgres").returncode == 0
        assert lab.run("up", "--detach", "--wait").returncode == 0

        assert [experiment["id"] for experiment in client.list()] == before
