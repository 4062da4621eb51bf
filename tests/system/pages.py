"""The app within the test's own process, for a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from werkzeug.serving import make_server

from service import create_app
from store.settings import Settings
from tests.service.conftest import close


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """Its address."""
    app = create_app(settings)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    close(app)
    server.shutdown()
    serving.join()
    server.server_close()
