"""Hints: Celery messages that say "wake up, stacks are waiting". They may be lost; the record is what counts."""

from __future__ import annotations

import time
from typing import Any, Literal

import structlog
from celery import Celery
from kombu import Queue

from store.settings import Settings

TASK = "actlab.train"
QUEUE = "stacks"

_log = structlog.get_logger()
_PATIENCE_S = 1.5
_PAUSE_S = 10.0
# A hint wakes one worker, which wakes the next when it is done: more than this is never needed at once.
MOST = 64


class Hints:
    """Publishes hints, best effort: bounded in time, and silent for 10 s after a failure."""

    def __init__(self, settings: Settings) -> None:
        self._app = celery_app(settings, role="producer")
        self._silent_until = 0.0

    def send(self, n: int = 1) -> bool:
        """Whether the broker took the hints: `n`, or so many that no more wait than would ever be needed at once. Takes
        1.5 s at most, and never raises.
        """
        started = time.monotonic()
        if started < self._silent_until:
            return False
        try:
            with self._app.producer_pool.acquire(block=True, timeout=_PATIENCE_S) as producer:
                for _ in range(min(n, MOST - _waiting(producer.connection))):
                    self._app.send_task(TASK, queue=QUEUE, ignore_result=True, producer=producer)
                    if time.monotonic() - started > _PATIENCE_S:
                        break
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the broker, the caller's work is on record
            self._silent_until = time.monotonic() + _PAUSE_S
            _log.warning("hint_not_sent", error=repr(error))
            return False
        return True

    def waiting(self) -> int | None:
        """How many hints wait in the queue; None where the broker does not say."""
        if time.monotonic() < self._silent_until:
            return None
        try:
            with self._app.connection_for_write() as connection:
                return _waiting(connection)
        except Exception as error:  # noqa: BLE001 - as above
            self._silent_until = time.monotonic() + _PAUSE_S
            _log.warning("hints_not_counted", error=repr(error))
            return None

    def close(self) -> None:
        self._app.close()


def _waiting(connection: Any) -> int:
    # A passive declaration would not find the queue: it does not heed the key prefix.
    return int(connection.default_channel.client.llen(QUEUE))


def celery_app(settings: Settings, *, role: Literal["worker", "producer"] = "worker") -> Celery:
    """Celery as it was measured to behave when brokers die. Start workers with `--without-gossip --without-mingle`."""
    app = Celery("actlab", broker=settings.broker_url, set_as_current=role == "worker")
    app.conf.update(_COMMON)
    transport = _WORKER_TRANSPORT if role == "worker" else _PRODUCER_TRANSPORT
    app.conf.broker_transport_options = transport | {"global_keyprefix": settings.key_prefix}
    return app


_COMMON: dict[str, Any] = {
    "task_default_queue": QUEUE,
    # Taken is taken. Where a broker died before it heard of an acknowledgement, Celery counted the hint as being worked
    # on for ever, took no other, and so never saw that its connection was gone.
    "task_queues": [Queue(QUEUE, no_ack=True)],
    "task_ignore_result": True,
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "enable_utc": True,
    # The record carries the work. A late ack would start a long task a second time.
    "task_acks_late": False,
    "task_reject_on_worker_lost": False,
    "task_publish_retry_policy": {"max_retries": 0},
    # A message taken ahead of its turn hangs unacknowledged when the broker dies.
    "worker_disable_prefetch": True,
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # torch does not survive a fork. Importing it costs seconds, so a child serves many stacks.
    "worker_pool": "prefork",
    "worker_pool_start_method": "spawn",
    "worker_max_tasks_per_child": 200,
    # A spawned child is up once it has imported torch. On a busy machine that outlasts Celery's 4 s, at which it kills
    # the child and spawns the next, for ever.
    "worker_proc_alive_timeout": 120.0,
    # The broker's publish and subscribe is where a worker's main process crashed.
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
}

_WORKER_TRANSPORT: dict[str, Any] = {
    "visibility_timeout": 300,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
}

_PRODUCER_TRANSPORT: dict[str, Any] = {
    "socket_timeout": _PATIENCE_S,
    "socket_connect_timeout": _PATIENCE_S,
    "max_retries": 0,
}
