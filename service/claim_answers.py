"""The shapes of what the API answers about claims."""

from __future__ import annotations

import marshmallow as ma

from lab.claims.claim import EFFORTS
from lab.claims.verdict import Standing, Verdict
from service.answers import Answer, Number, Text, Whole, or_null
from service.schemas import ExperimentSchema
from store.models import STATES

_OF_PART = [verdict.value for verdict in Verdict]
_OF_NUMBER = [verdict for verdict in _OF_PART if verdict != Verdict.NOT_RUN.value]


class PartAnswer(Answer):
    name = Text()
    statement = Text()
    effect = Text(metadata={"description": "What the number is."})
    direction = Text(metadata={"description": "above: the effect exceeds sesoi; within: it lies within +-sesoi."})
    sesoi = Number(metadata={"description": "The smallest effect of interest."})
    explanation = Text()
    would_change = Text(metadata={"description": "What would change the verdict."})


class AskedAnswer(Answer):
    key = Text()
    spec = ma.fields.Nested(ExperimentSchema)


class ClaimAnswer(Answer):
    name = Text()
    title = Text()
    sentence = Text()
    stages = ma.fields.List(
        Text(), metadata={"description": "Each follows from what the earlier ones found; none where nothing trains."}
    )
    parts = ma.fields.List(ma.fields.Nested(PartAnswer))
    experiments = ma.fields.Dict(
        keys=Text(validate=ma.validate.OneOf(list(EFFORTS))),
        values=ma.fields.List(ma.fields.Nested(AskedAnswer)),
        metadata={"description": "Of the first stage, by effort."},
    )


class ReadingAnswer(Answer):
    """One number a network."""

    metric = Text(metadata={"description": "As `/comparison` takes it."})
    at = Text(validate=ma.validate.OneOf(["first", "last"]), metadata={"description": "Which recorded step."})
    layer = Whole(allow_none=True, metadata={"description": "Null for the mean over hidden layers."})


class MemberAnswer(Answer):
    id = ma.fields.UUID()
    key = Text(metadata={"description": "Its place in the claim."})
    stage = Text()
    state = Text(validate=ma.validate.OneOf(STATES))
    reads = ma.fields.List(
        ma.fields.Nested(ReadingAnswer), metadata={"description": "What the claim takes from it; the rest follows."}
    )


class RoundAnswer(Answer):
    """A round of a claim. When its experiments have ended and `stage` is below `stages`, ask again for the next."""

    claim = Text()
    effort = Text()
    round = Text()
    stage = Whole(metadata={"description": "The stage it is at, from 1."})
    stages = Whole()
    submitted = ma.fields.List(ma.fields.UUID(), metadata={"description": "What this very request submitted."})
    experiments = ma.fields.List(ma.fields.Nested(MemberAnswer))


class EffectAnswer(Answer):
    replicate = Whole()
    effect = or_null(Number, "Null where it is missing.")


class MadeOfAnswer(Answer):
    label = Text()
    value = Number()


class NumberAnswer(Answer):
    label = Text()
    n = Whole(metadata={"description": "Networks, or pairs of networks, with a value."})
    missing = Whole(metadata={"description": "Planned ones without: failed, cancelled, diverged or undefined."})
    mean = or_null(Number)
    sd = or_null(Number)
    low = or_null(Number)
    high = or_null(Number)
    sesoi = Number()
    verdict = Text(validate=ma.validate.OneOf(_OF_NUMBER))
    note = Text()
    effects = ma.fields.List(
        ma.fields.Nested(EffectAnswer), metadata={"description": "Of each network or pair: what the mean is taken of."}
    )
    made_of = ma.fields.List(
        ma.fields.Nested(MadeOfAnswer),
        metadata={"description": "What an effect was worked out from, where it is more than what the claim reads."},
    )


class JudgedPartAnswer(PartAnswer):
    verdict = Text(
        validate=ma.validate.OneOf(_OF_PART),
        metadata={"description": "not run: until the claim's experiments have been run to their end."},
    )
    sentence = Text(metadata={"description": "The verdict and the numbers that decided it."})
    level = Number(metadata={"description": "Of the intervals: adjusted for the number of parts."})
    figure = or_null(Text, "Where the figure that shows it is.")
    numbers = ma.fields.List(ma.fields.Nested(NumberAnswer), metadata={"description": "The part holds if all do."})


class VerdictAnswer(Answer):
    claim = Text()
    sentence = Text()
    standing = Text(
        validate=ma.validate.OneOf([each.value for each in Standing]),
        metadata={"description": "Of the claim as it is said: whether all parts of it, some, or none are supported."},
    )
    answer = Text(metadata={"description": "What of it is so, what is not, and what is open."})
    effort = Text()
    round = or_null(Text, "Null where experiments were named, or none has begun.")
    complete = ma.fields.Boolean(metadata={"description": "Whether every experiment has succeeded."})
    missing = ma.fields.List(Text())
    experiments = ma.fields.List(ma.fields.Nested(MemberAnswer))
    parts = ma.fields.List(ma.fields.Nested(JudgedPartAnswer))
