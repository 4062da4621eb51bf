"""The HTTP door: it translates requests into calls of the store, and what comes back into JSON. It never trains."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from service import (
    analysis,
    auth,
    catalog,
    claims,
    docs,
    events,
    experiments,
    guards,
    health,
    metrics,
    predictions,
    problems,
    queue,
    report,
    results,
    rows,
)
from service.counts import Counts
from service.openapi import BEARER, Api
from service.parts import Parts, keep
from service.polls import Polls
from service.rendered import Rendered
from service.watch import Watch
from store.database import Database
from store.queue import Hints
from store.settings import Settings
from store.versions import Versions


class JSON(DefaultJSONProvider):
    """JSON that any reader takes: no NaN. Keys stay in order, for the order of a sweep has a meaning."""

    sort_keys = False

    def dumps(self, obj: Any, **options: Any) -> str:
        return super().dumps(obj, **options | {"allow_nan": False})


def create_app(settings: Settings) -> Flask:
    """The app over one database and one broker. Neither needs to be there yet."""
    app = Flask(__name__, template_folder="page", static_folder=None)
    app.json = JSON(app)
    # An id that was left empty is no other path: with its slashes merged, one experiment's cancel would be everybody's.
    app.url_map.merge_slashes = False
    app.config |= {
        "API_TITLE": "Activation Lab",
        "API_VERSION": "v1",
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/",
        "MAX_CONTENT_LENGTH": settings.max_body_bytes,
    }
    if settings.asks_for_tokens:
        app.config["API_SPEC_OPTIONS"] = {"security": [{BEARER: []}]}
    database = Database.connect(settings.database_url)
    counts = Counts()
    watch = Watch(database, places=settings.max_streams, readers=counts.readers)
    hints = Hints(settings)
    keep(app, Parts(settings, database, hints, Versions(database), Rendered(), watch, counts))
    metrics.register(app, counts, database, hints)
    guards.register(app)
    auth.register(app, database)
    problems.register(app)
    app.register_blueprint(docs.blueprint)
    api = Api(app)
    # The document shows the limits in force, which the fields look up in the app.
    with app.app_context():
        for part in (
            experiments,
            events,
            results,
            rows,
            analysis,
            predictions,
            report,
            claims,
            catalog,
            queue,
            health,
            metrics,
        ):
            api.register_blueprint(part.blueprint)
    app.wsgi_app = Polls(app, app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way to put something in front
    return app
