"""What may stand after the question mark: each view's query, read from text as strictly as JSON is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.datasets import DATASETS
from lab.catalog.measurements import CURVES, DERIVED, MEASUREMENTS
from service.fields import Choice, Described, Field, Flag, ListOf, Real, Text, Whole
from service.parts import parts
from service.schemas import Strict
from store.metrics import GRADIENT_RATIO, REVIVED_SHARE, RUN_METRICS
from store.models import STATES

_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}")
_REAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
MAX_STEP = 10**9


class WholeText(Whole):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        return super()._deserialize(int(value) if _INTEGER.fullmatch(value) else None)


class RealText(Real):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        return super()._deserialize(float(value) if _REAL.fullmatch(value) else None)


class FlagText(Flag):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        return super()._deserialize({"true": True, "false": False}.get(value))


class Moment(Field):
    """A point in time, with its offset from UTC."""

    allowed = "a date and time with its offset, such as 2030-01-31T12:00:00Z"

    def described(self) -> Described:
        return {"type": "string", "format": "date-time"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        if not _MOMENT.fullmatch(value):
            raise self.make_error("invalid")
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error


class PageSize(WholeText):
    """Entries of one page: 50 unless given; the most is a setting."""

    def __init__(self) -> None:
        super().__init__(1, 1, load_default=lambda: min(50, self.maximum))

    @property
    def maximum(self) -> int:
        return parts().settings.max_page

    def described(self) -> Described:
        return super().described() | {"default": self.load_default()}


class LayerOrMean(Field):
    """A hidden layer, counted from 1, or the mean over layers."""

    _whole = WholeText(1, "depth")

    @property
    def allowed(self) -> str:
        return f"mean, or {self._whole.allowed}"

    def described(self) -> Described:
        return {"anyOf": [{"const": "mean"}, self._whole.described()]}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int | None:
        if value == "mean":
            return None
        try:
            return int(self._whole.deserialize(value))
        except ma.ValidationError as error:
            raise self.make_error("invalid") from error


class FieldNames(Field):
    """Columns to show, between commas."""

    def __init__(self, known: tuple[str, ...], **options: Any) -> None:
        super().__init__(load_default=known, **options)
        self.known = known

    @property
    def allowed(self) -> str:
        return "names between commas, each once, of " + ", ".join(self.known)

    def described(self) -> Described:
        name = "|".join(self.known)
        return {"type": "string", "pattern": f"^({name})(,({name}))*$"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        names = tuple(value.split(","))
        if len(set(names)) < len(names) or not set(names) <= set(self.known):
            raise self.make_error("invalid")
        return names


def page_cursor() -> Text:
    return Text(1, 500, load_default=None, metadata={"description": "The `next` of the page before."})


class SubmitQuery(Strict):
    dry_run = FlagText(load_default=False, metadata={"description": "Answer with the plan; store nothing."})


class SubmitHeaders(ma.Schema):
    key = Text(
        1,
        200,
        data_key="Idempotency-Key",
        load_default=None,
        metadata={"description": "The same key with the same request gives the same experiment."},
    )


class ExperimentFilters(Strict):
    state = Choice(STATES, load_default=None)
    tag = Text(1, 50, load_default=None)
    name = Text(1, 200, load_default=None, metadata={"description": "A part of the name, in any case."})
    activation = Choice(ACTIVATIONS, load_default=None)
    dataset = Choice(DATASETS, load_default=None)
    created_after = Moment(load_default=None)
    created_before = Moment(load_default=None)


class CancelQuery(ExperimentFilters):
    """The filters of the list. To cancel without one has to be said."""

    everything = FlagText(
        data_key="all", load_default=False, metadata={"description": "Without a filter: every experiment."}
    )

    @ma.validates_schema
    def filters_or_all(self, data: dict[str, Any], **_: Any) -> None:
        narrowed = any(value is not None for name, value in data.items() if name != "everything")
        if narrowed == data["everything"]:
            raise ma.ValidationError("true without a filter, or at least one filter", "all")


class ExperimentsQuery(ExperimentFilters):
    sort = Choice(("-created_at", "created_at"), load_default="-created_at")
    limit = PageSize()
    cursor = page_cursor()


class HistoryQuery(Strict):
    limit = PageSize()
    cursor = page_cursor()


class RunsQuery(Strict):
    arm = ListOf(WholeText(0, "arms"), 1, "arms", load_default=())
    state = Choice(STATES, load_default=None)
    limit = PageSize()
    cursor = page_cursor()


class PredictionsQuery(Strict):
    arm = ListOf(WholeText(0, "arms"), 1, "arms", load_default=())
    limit = PageSize()
    cursor = page_cursor()


class ComparisonQuery(Strict):
    metric = Choice((*CURVES, *DERIVED, *MEASUREMENTS), required=True)
    layer = LayerOrMean(
        load_default=None,
        metadata={"default": "mean", "description": f"Of a measurement or {REVIVED_SHARE}, whose mean is over units."},
    )
    at = Choice(
        ("first", "last", "auc"),
        load_default="last",
        metadata={"description": f"Of a measurement or {GRADIENT_RATIO}; other metrics are one number a run."},
    )
    level = RealText(0, 0.9999, load_default=0.95)

    @ma.validates_schema(pass_original=True)
    def the_metric_has_what_is_said_of_it(self, data: dict[str, Any], original: Any, **_: Any) -> None:
        metric = data["metric"]
        reasons = {}
        if metric in RUN_METRICS:
            reasons = dict.fromkeys(("layer", "at"), "is one number a run")
        elif metric == GRADIENT_RATIO:
            reasons = {"layer": "is one number for all layers"}
        elif metric == REVIVED_SHARE:
            reasons = {"at": "is one number for all steps"}
        errors = {
            name: [f"nothing: it does not apply to {metric}, which {reason}"]
            for name, reason in reasons.items()
            if name in original
        }
        if errors:
            raise ma.ValidationError(errors)
