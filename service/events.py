"""An experiment's events as they happen: as a stream, or by long polls for those who cannot read one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import marshmallow as ma
import structlog
from flask import Response, current_app, jsonify, request
from sqlalchemy.exc import SQLAlchemyError

from lab.errors import NotFound, Unavailable
from service.answers import Answer, Text
from service.blueprint import Blueprint
from service.fields import Text as TextIn
from service.news import END, NAMES, Told, news
from service.parts import parts
from service.query_strings import WholeText
from service.schemas import Strict
from service.watch import Watch, Watched
from store import happenings
from store.database import Database
from store.happenings import MOST_CHARACTERS, NOW, START, Now, Seen

blueprint = Blueprint("events", __name__, url_prefix="/v1/experiments", description="What happens, as it does.")

log = structlog.get_logger(__name__)

MEDIA_TYPE = "text/event-stream"
MOST_EVENTS = 200
LONGEST_WAIT_S = 60
WAIT_S = 30
_RETRY_MS = 2000
# Whoever takes nothing for so long is taken to be gone.
_SEND_S = 30.0
_PAUSE_S = 1.0


class NewsAnswer(Answer):
    event = Text(validate=ma.validate.OneOf(NAMES))
    data = ma.fields.Dict()


class EventsAnswer(Answer):
    events = ma.fields.List(ma.fields.Nested(NewsAnswer))
    since = Text(metadata={"description": "What to ask with the next time."})
    ended = ma.fields.Boolean(metadata={"description": "Whether there is nothing more to come: ask no more."})


class EventsQuery(Strict):
    since = TextIn(
        1,
        MOST_CHARACTERS,
        load_default=None,
        metadata={
            "description": f"A long poll in place of the stream: what happened since then. `{START}` at first, or "
            f"`{NOW}` for how it stands without its past, then the `since` of the answer before, or the id of an event."
            " Answers as soon as there is something.",
            "example": START,
        },
    )
    wait_s = WholeText(
        0,
        LONGEST_WAIT_S,
        load_default=None,
        metadata={"default": WAIT_S, "description": "With since: how long to wait for something to happen."},
    )

    @ma.validates_schema
    def a_wait_is_that_of_a_long_poll(self, data: dict[str, Any], **_: Any) -> None:
        if data["wait_s"] is not None and data["since"] is None:
            raise ma.ValidationError({"wait_s": ["nothing: it is about since"]})


class EventsHeaders(ma.Schema):
    last_event_id = TextIn(
        1,
        MOST_CHARACTERS,
        data_key="Last-Event-ID",
        load_default=None,
        metadata={
            "description": "The id of the last event that was seen: the stream goes on after it. "
            f"`{NOW}`: it begins with how it stands, without its past."
        },
    )


_EVENT_SCHEMA = {
    "type": "object",
    "description": "One event; its data are JSON.",
    "properties": {
        "event": {"type": "string", "enum": list(NAMES)},
        "id": {"type": "string"},
        "data": {"type": "string"},
    },
    "required": ["event", "id", "data"],
}


@blueprint.route("/<uuid:experiment_id>/events")
@blueprint.arguments(EventsQuery, location="query")
@blueprint.arguments(EventsHeaders, location="headers")
@blueprint.alt_response(
    200,
    schema=_EVENT_SCHEMA,
    content_type=MEDIA_TYPE,
    description="Without since: server-sent events.",
    success=True,
)
@blueprint.alt_response(204, description="It has ended, and all of it was seen: do not come back.", success=True)
@blueprint.response(200, EventsAnswer)
def follow(query: dict[str, Any], headers: dict[str, Any], experiment_id: Any) -> Response:
    """Follow an experiment: changes of state, progress, new measurements, its end.

    `state` is an entry of the history; `progress` are the keys of the experiment that change; `measurements` says that
    there are new rows, which `/measurements?since=` and `/curves?since=` give, asked with its `since`; `end` comes
    last, with the state, or null where the experiment was deleted. Streams and long polls beyond a number are answered
    with 503: poll the experiment then, with its ETag.
    """
    if query["since"] is not None:
        wait_s = WAIT_S if query["wait_s"] is None else query["wait_s"]
        return _long_poll(*_begun(str(experiment_id), query["since"], field="since"), wait_s)
    return _stream(*_begun(str(experiment_id), headers["last_event_id"] or START, field="Last-Event-ID"))


def _begun(experiment_id: str, cursor: str, *, field: str) -> tuple[Seen, Now]:
    """What the reader has seen, and how the experiment stands."""
    seen = None if cursor == NOW else happenings.read(cursor, field=field)
    now = _look(parts().database, experiment_id)
    return seen or happenings.up_to(now), now


def _long_poll(seen: Seen, now: Now, wait_s: float) -> Response:
    database, watch = parts().database, parts().watch
    told = _first(database, seen, now)
    if told or now.has_ended or not wait_s:
        return _answer(told, seen, now)
    watched = watch.take(now)
    try:
        later = watch.wait(watched, now.since_s, for_s=wait_s)
    finally:
        watch.leave(watched)
    return _answer(told, seen, now) if later is None else _answer(_first(database, seen, later), seen, later)


def _first(database: Database, seen: Seen, now: Now) -> list[Told]:
    return list(islice(news(database, seen, now), MOST_EVENTS))


def _answer(told: list[Told], seen: Seen, now: Now) -> Response:
    since = told[-1].seen if told else seen
    return jsonify(
        events=[{"event": each.name, "data": each.data} for each in told],
        since=since.cursor,
        ended=now.has_ended and len(told) < MOST_EVENTS,
    )


def _stream(seen: Seen, now: Now) -> Response:
    database, watch = parts().database, parts().watch
    if now.has_ended and next(news(database, seen, now), None) is None:
        return Response(status=204)
    if request.method == "HEAD":
        # Nobody waits for what is not sent.
        return Response(mimetype=MEDIA_TYPE)
    watched = watch.take(now)
    heartbeat_s = parts().settings.stream_heartbeat_s
    response = Response(
        _text(database, watch, watched, seen, now, heartbeat_s, current_app.json.dumps), mimetype=MEDIA_TYPE
    )
    # Also where nothing is ever read of it.
    response.call_on_close(lambda: watch.leave(watched))
    response.headers |= {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if (connection := request.environ.get("gunicorn.socket")) is not None:
        connection.settimeout(_SEND_S)
    return response


def _look(database: Database, experiment_id: str) -> Now:
    """What is seen later than this is not older."""
    with database.reading() as session:
        now = happenings.look(session, experiment_id)
    return replace(now, since_s=time.monotonic())


def _text(
    database: Database, watch: Watch, watched: Watched, seen: Seen, now: Now, heartbeat_s: float, dumps: Any
) -> Iterator[str]:
    """Until it has ended or is gone, or the process is to end."""
    yield f"retry: {_RETRY_MS}\n\n"
    while True:
        try:
            for told in news(database, seen, now):
                yield _event(told.name, dumps(told.data), told.seen)
                seen = told.seen
        except (SQLAlchemyError, Unavailable) as error:
            # What was not told yet is told once the database is there again.
            log.warning("stream_waits", error=str(error).splitlines()[0])
            yield _HEARTBEAT
            watch.closing.wait(_PAUSE_S)
        else:
            if now.has_ended:
                yield _event(END, dumps({"state": now.experiment.state}), seen)
                return
            try:
                later = watch.wait(watched, now.since_s, for_s=heartbeat_s)
            except NotFound:
                yield _event(END, dumps({"state": None}), seen)
                return
            if later is None and not watch.closing.is_set():
                yield _HEARTBEAT
            now = later or now
        if watch.closing.is_set():
            return


_HEARTBEAT = ": still here\n\n"


def _event(name: str, data: str, seen: Seen) -> str:
    return f"event: {name}\nid: {seen.cursor}\ndata: {data}\n\n"
