"""Answers that follow from all that an experiment has recorded. Once it has ended, its version alone changes them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from flask import Response, current_app, request

from service.parts import parts
from store.models import TERMINAL, Experiment


def concluded(experiment: Experiment, *what: Hashable, make: Callable[[], Any]) -> Response:
    """What `make` gives, as JSON with its ETag; 304 to whoever has it. `what` says what of the experiment it is. Of an
    experiment that has ended `make` is called once for each version.
    """

    def render() -> bytes:
        return current_app.json.dumps(make()).encode()

    has_ended = experiment.state in TERMINAL
    text = parts().rendered.of((experiment.id, *what), str(experiment.version), render) if has_ended else render()
    response = Response(text, mimetype="application/json")
    response.add_etag()
    response.make_conditional(request)
    return response
