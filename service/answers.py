"""The shapes of what the API answers. Everything is always there; what is unknown or undefined is null."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from lab.agreement import OUTCOMES
from service.schemas import ExperimentSchema
from store.models import STATES

Number = ma.fields.Float
Whole = ma.fields.Integer
Text = ma.fields.String

_PROBE = "Training inputs on which the statistics were taken."
_SMALLEST_PROBE = _PROBE + " The fewest of any arm, where the sweep changes the training set."


class Answer(ma.Schema):
    """An object whose every key is always there."""

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:  # noqa: ARG002
        field_obj.required = True


def _state(description: str = "") -> Text:
    return Text(validate=ma.validate.OneOf(STATES), metadata={"description": description} if description else {})


def or_null(kind: type[ma.fields.Field[Any]], description: str = "") -> Any:
    return kind(allow_none=True, metadata={"description": description} if description else {})


def outcome(description: str) -> Text:
    """Of a measurement held against theory."""
    return Text(allow_none=True, validate=ma.validate.OneOf([*OUTCOMES, None]), metadata={"description": description})


class AsIs(ma.fields.Nested):
    """An object that is in the schema's own form already: to dump them took two fifths of a long list's time."""

    def _serialize(self, nested_obj: Any, attr: str | None, obj: Any, **_: Any) -> Any:  # type: ignore[override]  # noqa: ARG002 - as the library names them
        return nested_obj


class PlanAnswer(Answer):
    arms = Whole()
    runs = Whole()
    stacks = Whole()
    cost_flops = Whole(metadata={"description": "Floating-point operations, estimated."})
    steps = Whole(metadata={"description": "Training steps, added up over runs."})


class ArmAnswer(Answer):
    position = Whole()
    label = Text()
    activation = ma.fields.Dict(metadata={"description": "Its name and every parameter."})
    swept = ma.fields.Dict(metadata={"description": "The point of the sweep: path to value."})
    baseline = Whole(metadata={"description": "Position of the arm that this one is compared with."})


class RunCounts(Answer):
    queued = Whole()
    running = Whole()
    succeeded = Whole()
    failed = Whole()
    cancelled = Whole()
    diverged = Whole(metadata={"description": "Of the succeeded ones: a diverged network is a result."})


class FailureAnswer(Answer):
    stack = Whole()
    error_class = Text()
    error = Text()


class ExperimentAnswer(Answer):
    id = ma.fields.UUID()
    name = Text()
    tags = ma.fields.List(Text())
    state = _state("An experiment ends when all its work has.")
    version = Whole()
    progress = Number(validate=ma.validate.Range(0, 1))
    eta_s = or_null(
        Number,
        "Seconds until the end, at the speed since it was started or taken up again; null while that is unknown, while "
        "nothing of it runs, and after the end.",
    )
    created_at = ma.fields.AwareDateTime()
    started_at = or_null(ma.fields.AwareDateTime)
    finished_at = or_null(ma.fields.AwareDateTime)
    plan = AsIs(PlanAnswer)
    runs = AsIs(RunCounts)
    failures = ma.fields.List(ma.fields.Nested(FailureAnswer))
    spec = AsIs(
        ExperimentSchema, metadata={"description": "The request with every default filled in. It can be posted again."}
    )
    spec_digest = Text(metadata={"description": "SHA-256 of what decides the numbers: all but name and tags."})


class CancelledAnswer(Answer):
    cancelled = Whole(metadata={"description": "Experiments that were asked to end."})
    more = ma.fields.Boolean(metadata={"description": "Whether there are others to ask for."})


class EventAnswer(Answer):
    at = ma.fields.AwareDateTime()
    stack = or_null(Whole, "Position of the stack that changed; null where it is the experiment.")
    generation = Whole(metadata={"description": "0, and one more with every retry and every addition of replicates."})
    attempt = or_null(Whole, "How often the stack had been claimed.")
    from_state = Text(allow_none=True, validate=ma.validate.OneOf((*STATES, None)))
    to_state = _state()
    actor = Text(metadata={"description": "Who did it: api, sweeper, or a training process as host/worker/process."})
    reason = or_null(Text)


class ForecastAnswer(Answer):
    """How long the work would take, by what this lab has measured."""

    seconds = or_null(Number, "Of the processes together, with nothing else to do; null where too little is measured.")
    low = or_null(
        Number,
        "Of the measured stacks, each predicted from the others, four in five took between low and high, as shares of "
        "seconds.",
    )
    high = or_null(Number)
    busy_s = or_null(Number, "Added up over the processes.")
    processes = Whole(metadata={"description": "Training processes seen in the last ten minutes."})
    measured = Whole(metadata={"description": "Finished stacks that it is made from: the newest, 200 at most."})
    note = Text(metadata={"description": "What it lacks; empty where nothing."})


class DryRunAnswer(Answer):
    plan = ma.fields.Nested(PlanAnswer)
    forecast = ma.fields.Nested(ForecastAnswer)
    spec = ma.fields.Nested(ExperimentSchema)
    arms = ma.fields.List(ma.fields.Nested(ArmAnswer))


class LayerAnswer(Answer):
    layer = Whole()
    dead_fraction_start = or_null(Number)
    dead_fraction_end = or_null(Number)
    units_died = or_null(Whole)
    units_revived = or_null(Whole)


class RunAnswer(Answer):
    id = Whole()
    arm = Whole()
    label = Text()
    swept = ma.fields.Dict(metadata={"description": "The point of the sweep: path to value."})
    replicate = Whole()
    state = _state()
    stack = Whole(metadata={"description": "Position of the stack in which the run trains."})
    diverged_at = or_null(Whole, "Step at which the loss first became non-finite.")
    train_loss = or_null(Number)
    probe_loss = or_null(Number)
    test_loss = or_null(Number)
    test_accuracy = or_null(Number)
    loss_auc = or_null(Number)
    dead_fraction_start = or_null(Number)
    dead_fraction_end = or_null(Number)
    units_died = or_null(Whole)
    units_revived = or_null(Whole)
    layers = ma.fields.List(ma.fields.Nested(LayerAnswer), allow_none=True)


class RowsAnswer(Answer):
    columns = ma.fields.Dict(
        values=ma.fields.List(ma.fields.Raw()),
        metadata={
            "description": "Name to values: one list a column, all of one length. What the experiment sweeps has "
            "columns of its own, by path, such as network.depth."
        },
    )
    next = or_null(Text, "Cursor of the next page.")
    since = or_null(Text, "With `since`: what to ask with the next time.")
    removed = ma.fields.List(
        Whole(), metadata={"description": "With `since`: runs whose earlier rows were removed, to be recorded again."}
    )
    more = ma.fields.Boolean(metadata={"description": "Whether there are more rows now."})
    probe_size = Whole(metadata={"description": _SMALLEST_PROBE})


class DifferenceAnswer(Answer):
    to = Text(metadata={"description": "Label of the arm compared with."})
    n = Whole(metadata={"description": "Pairs of equal seed that have both members."})
    missing = Whole(metadata={"description": "Pairs without both members, but for those that were cancelled."})
    mean = or_null(Number)
    low = or_null(Number)
    high = or_null(Number)
    p = or_null(Number)
    p_holm = or_null(Number, "p adjusted (Holm) over all comparisons of this answer.")
    note = Text()


class ComparedArmAnswer(Answer):
    arm = Whole()
    label = Text()
    swept = ma.fields.Dict()
    n = Whole(metadata={"description": "Networks with a value."})
    failed = Whole()
    cancelled = Whole()
    diverged = Whole()
    probe_size = Whole(metadata={"description": _PROBE})
    mean = or_null(Number)
    sd = or_null(Number)
    low = or_null(Number)
    high = or_null(Number)
    difference = ma.fields.Nested(DifferenceAnswer, allow_none=True)
    note = Text()


class ComparisonAnswer(Answer):
    metric = Text()
    definition = Text()
    layer = ma.fields.Raw(
        metadata={"type": ["string", "integer", "null"], "description": "Null where it plays no part."}
    )
    at = or_null(Text, "Null where it plays no part.")
    level = Number()
    probe_size = Whole(metadata={"description": _SMALLEST_PROBE})
    baseline = Text()
    arms = ma.fields.List(ma.fields.Nested(ComparedArmAnswer))
    note = Text(metadata={"description": "How intervals of differences and p go together; empty with one of them."})


class EstimateAnswer(Answer):
    mean = or_null(Number)
    low = or_null(Number)
    high = or_null(Number)
    n = Whole()


class SummaryRowAnswer(Answer):
    arm = Whole()
    label = Text()
    test_accuracy = ma.fields.Nested(EstimateAnswer)
    test_loss = ma.fields.Nested(EstimateAnswer)
    dead_fraction_start = or_null(Number)
    dead_fraction_end = or_null(Number)
    gradient_ratio = or_null(Number)
    gradient_ratio_predicted = or_null(Number, "What theory predicts of it; null where it does not apply.")
    gradient_ratio_agreement = outcome("Whether they agree; null where there is nothing to compare.")
    activation_mean = or_null(Number)
    n = Whole()
    failed = Whole()
    cancelled = Whole()
    diverged = Whole()
    probe_size = Whole(metadata={"description": _PROBE})


class SummaryAnswer(Answer):
    table = ma.fields.List(ma.fields.Nested(SummaryRowAnswer))
    answer = ma.fields.List(Text(), metadata={"description": "Sentences that follow from the table."})
    probe_size = Whole(metadata={"description": _SMALLEST_PROBE})


class FigureAnswer(Answer):
    """A Plotly figure."""

    data = ma.fields.List(ma.fields.Dict())
    layout = ma.fields.Dict()


def page_of(item: type[Answer], name: str) -> type[Answer]:
    """The answer that holds one page of a list, and the cursor of the next."""
    page: type[Answer] = Answer.from_dict(  # type: ignore[assignment]  # from_dict keeps the class it is called on
        {"items": ma.fields.List(ma.fields.Nested(item)), "next": or_null(Text, "Cursor of the next page.")}, name=name
    )
    return page
