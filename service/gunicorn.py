"""How gunicorn serves the app: `gunicorn -c python:service.gunicorn service.wsgi:app`.

Two processes, for the interpreter's lock lets each use one core, and many threads: views do little but wait for SQL.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import sys
from typing import Any

from prometheus_client import multiprocess, values

from service import metrics
from service.parts import parts
from store.settings import InvalidSettings, Settings
from store.variables import is_loopback

try:
    settings = Settings.from_environ(os.environ)
except InvalidSettings as error:
    sys.exit(str(error))

bind = settings.bind
worker_class = "service.repeats.Worker"
workers = 2
# Those who wait for news leave others threads enough.
threads = max(128, settings.max_streams + 64)
# Forked with everything in memory, processes share most of it. Nothing is connected, and no thread runs, before that.
preload_app = True
timeout = 60
graceful_timeout = 20
keepalive = 5
# The most that gunicorn can bound: every arm that an experiment may have can be named in one query.
limit_request_line = 8190
# Headers by which a proxy says where the app stands are nobody's to send.
forwarder_headers = ""
# The control socket would be one more way in, and a file to clean up.
control_socket_disable = True
# Polls that are answered from memory would stand in none.
accesslog = None


# Each process leaves its counts where the others read them. The package looks for the folder when it is imported, which
# it has been by now.
os.environ[metrics.FOLDER] = metrics.folder()
values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]  # the library leaves it untyped


def on_exit(server: Any) -> None:  # noqa: ARG001 - the hook's signature
    shutil.rmtree(os.environ[metrics.FOLDER], ignore_errors=True)


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - the hook's signature
    """What a process that is gone held open counts no more."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # as above


def post_request(worker: Any, request: Any, environ: Any, response: Any) -> None:  # noqa: ARG001 - the hook's signature
    worker.answered(environ, response)


def when_ready(server: Any) -> None:
    """Sockets also come from the command line and from whoever started the program; nothing is served before this."""
    for listener in server.LISTENERS:
        if not (settings.guarded or _is_local(listener.sock)):
            sys.exit(
                "The API asks nobody who they are, so it does not serve "
                f"{listener} without ACTLAB_AUTH=tokens (or ACTLAB_TRUST_NETWORK=yes)."
            )
    # What has been loaded is never garbage: nobody looks through it again, and processes that are forked share it.
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """Streams end as soon as the process is told to: their readers go on with the next one."""
    # So many new objects set off a search for garbage. A page of rows is thousands of objects, none of them garbage: at
    # Python's own threshold, 700, a third of the time of an answer went into searching them again and again.
    gc.set_threshold(50_000)
    with worker.wsgi.app_context():
        watch = parts().watch

    def end(number: int, frame: Any) -> None:
        watch.closing.set()
        worker.handle_exit(number, frame)

    signal.signal(signal.SIGTERM, end)


def _is_local(listener: socket.socket) -> bool:
    return listener.family == socket.AF_UNIX or is_loopback(listener.getsockname()[0])
