"""Hints reach a real broker, and a broker that is gone or frozen costs little time and no error."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable

import pytest
import redis
from celery.app import defaults

from store import queue
from store.queue import QUEUE, TASK, Hints, celery_app
from store.settings import Settings
from tests.servers import Server, start_valkey

# The promise is 1.5 s; the rest is for a busy machine.
BOUND_S = 2.0


def hints_to(url: str) -> Hints:
    return Hints(Settings(broker_url=url))


def timed(act: Callable[[], object]) -> tuple[object, float]:
    started = time.monotonic()
    return act(), time.monotonic() - started


def test_a_hint_is_delivered(valkey_url: str, valkey_server: Server) -> None:
    hints = hints_to(valkey_url)

    assert hints.send()

    with redis.Redis(unix_socket_path=str(valkey_server.directory / "s")) as client:
        message = json.loads(client.lpop(f"actlab:{QUEUE}"))
    assert message["headers"]["task"] == TASK
    assert message["content-type"] == "application/json"
    hints.close()


def test_a_worker_with_the_workers_options_receives_it(valkey_url: str) -> None:
    hints = hints_to(valkey_url)
    app = celery_app(Settings(broker_url=valkey_url), role="worker")
    got: list[str] = []

    hints.send()
    with app.connection_for_read() as connection:

        def take(_: object, message: object) -> None:
            got.append(message.headers["task"])  # type: ignore[attr-defined]  # kombu's message
            message.ack()  # type: ignore[attr-defined]  # kombu's message

        with app.amqp.TaskConsumer(connection.default_channel, on_message=None, callbacks=[take], accept=["json"]):
            connection.drain_events(timeout=5)

    assert got == [TASK]
    assert hints.waiting() == 0
    hints.close()
    app.close()


def test_waiting_hints_can_be_counted(valkey_url: str) -> None:
    hints = hints_to(valkey_url)

    assert hints.waiting() == 0
    hints.send(3)
    assert hints.waiting() == 3
    hints.send(10_000)
    assert hints.waiting() == 64, "more are never needed"
    hints.close()


@pytest.mark.parametrize("warm", [True, False])
def test_a_killed_broker_costs_nothing(own_valkey: Server, warm: bool) -> None:
    hints = hints_to(own_valkey.url)
    assert not warm or hints.send()
    own_valkey.process.kill()
    own_valkey.process.wait()

    sent, took_s = timed(hints.send)

    assert not sent
    assert took_s < BOUND_S
    hints.close()


@pytest.mark.parametrize("warm", [True, False])
def test_a_frozen_broker_costs_a_bounded_time_once(own_valkey: Server, warm: bool) -> None:
    hints = hints_to(own_valkey.url)
    assert not warm or hints.send()
    own_valkey.process.send_signal(signal.SIGSTOP)

    sent, took_s = timed(lambda: hints.send(64))
    again, took_again_s = timed(hints.send)
    waiting, took_waiting_s = timed(hints.waiting)

    assert (sent, again, waiting) == (False, False, None)
    assert took_s < BOUND_S
    # Nothing is tried within 10 s of a failure.
    assert took_again_s < 0.1
    assert took_waiting_s < 0.1
    hints.close()


def test_counting_a_frozen_brokers_hints_is_bounded_too(own_valkey: Server) -> None:
    hints = hints_to(own_valkey.url)
    own_valkey.process.send_signal(signal.SIGSTOP)

    waiting, took_s = timed(hints.waiting)

    assert waiting is None
    assert took_s < BOUND_S
    hints.close()


def test_a_broker_that_comes_back_is_used_again(own_valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_PAUSE_S", 0.0)
    hints = hints_to(own_valkey.url)
    assert hints.send()
    own_valkey.process.kill()
    own_valkey.process.wait()
    assert not hints.send()

    (own_valkey.directory / "s").unlink()
    again = start_valkey(own_valkey.directory)

    assert hints.send()
    assert hints.waiting() == 1
    hints.close()
    again.stop()


def test_no_broker_at_all_is_no_error() -> None:
    for url in ("redis://127.0.0.1:1/0", "redis+socket:///nowhere/s"):
        hints = hints_to(url)

        assert timed(hints.send)[1] < BOUND_S
        assert not hints.send()
        hints.close()


def test_every_setting_is_one_that_celery_knows() -> None:
    known = dict(defaults.flatten(defaults.NAMESPACES))

    assert set(queue._COMMON) <= set(known)


@pytest.mark.parametrize(("role", "timeout_s"), [("worker", 10), ("producer", 1.5)])
def test_both_sides_share_the_key_prefix_but_not_their_patience(role: str, timeout_s: float) -> None:
    app = celery_app(Settings(key_prefix="lab7:"), role=role)  # type: ignore[arg-type]  # parametrised

    assert app.conf.broker_transport_options["global_keyprefix"] == "lab7:"
    assert app.conf.broker_transport_options["socket_timeout"] == timeout_s
    assert (app.conf.task_acks_late, app.conf.worker_disable_prefetch, app.conf.worker_pool_start_method) == (
        False,
        True,
        "spawn",
    )
    app.close()
