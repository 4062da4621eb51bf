"""What experiments wait for. It changes with what others ask for, and so stands in no experiment's own answer, which is
kept for as long as that experiment does not change.
"""

from __future__ import annotations

from typing import Any

from service.answers import Answer, Number, Text, Whole, or_null
from service.blueprint import Blueprint
from service.parts import parts
from store import gauges
from store.gauges import Line

blueprint = Blueprint("queue", __name__, url_prefix="/v1/queue", description="What waits, and for what.")

# A process that is free takes what waits within a second; one that is starting, or whose hint was lost, later.
_PATIENCE_S = 60.0


class QueueAnswer(Answer):
    waiting = Whole(metadata={"description": "Experiments that wait for a turn while nothing of them runs."})
    running = Whole(metadata={"description": "Experiments that are being trained."})
    processes = Whole(metadata={"description": "Training processes at work."})
    unclaimed_s = Number(metadata={"description": "So long something has waited and no process has taken anything."})
    answer = or_null(Text, "What one that waits is waiting for, in a sentence; null where none waits.")


@blueprint.route("")
@blueprint.response(200, QueueAnswer)
def queue() -> dict[str, Any]:
    """Say what an experiment waits for of which nothing runs.

    Experiments take turns: a free training process goes to the token, and of its experiments to the one, with the
    fewest stacks running; among equals to the one whose last turn is longest ago.
    """
    with parts().database.reading() as session:
        line = gauges.line(session)
    return {
        "waiting": line.waiting,
        "running": line.running,
        "processes": line.processes,
        "unclaimed_s": line.unclaimed_s,
        "answer": _answer(line),
    }


def _answer(line: Line) -> str | None:
    if not line.waiting:
        return None
    if line.processes:
        busy = "1 is" if line.processes == 1 else f"{line.processes} are"
        others = "1 other experiment" if line.running == 1 else f"{line.running} other experiments"
        more = f"; {line.waiting - 1} more wait" if line.waiting > 2 else "; 1 more waits" if line.waiting == 2 else ""
        return f"Waits for a free training process: {busy} busy, with {others}{more}."
    if line.unclaimed_s < _PATIENCE_S:
        return "Waits for a training process to take it."
    return (
        f"No training process has taken anything for {_duration(line.unclaimed_s)}, though this waits: is one running?"
    )


def _duration(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
