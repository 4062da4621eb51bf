"""Claims: what is said of activations, the experiments that test it, and what they found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flask import url_for
from sqlalchemy.orm import Session

from lab.claims import CLAIMS, wording
from lab.claims.claim import EFFORTS, Claim, Effort, Part
from lab.claims.verdict import Judged, JudgedClaim, JudgedPart, standing
from lab.errors import NotFound, shown
from lab.plan import plan
from service import rounds
from service.answers import page_of
from service.auth import bearer, check_quotas
from service.blueprint import Blueprint
from service.claim_answers import ClaimAnswer, RoundAnswer, VerdictAnswer
from service.claim_requests import RoundSchema, VerdictQuery
from service.parts import limits, parts
from service.rounds import Member, Progress
from service.waking import wake
from store import submissions
from store.commits import keep_once
from store.models import Experiment

blueprint = Blueprint("claims", __name__, url_prefix="/v1/claims", description="What is said, and what is so.")

_CLAIM = {"name": "claim", "in": "path", "required": True, "schema": {"type": "string", "enum": list(CLAIMS)}}


@blueprint.route("")
@blueprint.response(200, page_of(ClaimAnswer, "ClaimPage"))
def find() -> dict[str, Any]:
    """List the claims with their parts."""
    return {"items": [_shown(claim) for claim in CLAIMS.values()], "next": None}


@blueprint.route("/<claim>", parameters=[_CLAIM])
@blueprint.response(200, ClaimAnswer)
def get(claim: str) -> dict[str, Any]:
    """Show a claim: its sentence, its parts, and the experiments it begins with."""
    return _shown(_known(claim))


@blueprint.route("/<claim>/experiments", methods=["POST"], parameters=[_CLAIM])
@blueprint.arguments(RoundSchema, examples={"full": {"value": {"effort": "full"}}})
@blueprint.response(202, RoundAnswer, headers={"Location": {"schema": {"type": "string"}}})
def ask(given: dict[str, Any], claim: str) -> Any:
    """Go on with a claim: ask for the experiments of its next stage, in the round under way or in a new one.

    A round that has lost an experiment is not gone on with; one that is named is never left for another.
    """
    known = _known(claim)

    def write(session: Session) -> tuple[dict[str, Any], int]:
        progress = rounds.to_go_on_with(session, known, effort=given["effort"], round_id=given["round"])
        asked = [
            submissions.submit(session, spec, plan(spec, limits()), owner=bearer().name)
            for spec in rounds.requests(known, progress)
        ]
        check_quotas(session)
        return _round(known, progress, asked), sum(experiment.n_stacks for experiment in asked)

    def is_kept(session: Session, made: tuple[dict[str, Any], int]) -> bool:
        return submissions.are_kept(session, made[0]["submitted"])

    answer, n_stacks = keep_once(parts().database, write, is_kept=is_kept)
    wake(n_stacks)
    return answer, {"Location": url_for("claims.verdict", claim=claim)}


@blueprint.route("/<claim>/verdict", parameters=[_CLAIM])
@blueprint.arguments(VerdictQuery, location="query")
@blueprint.response(200, VerdictAnswer)
def verdict(query: dict[str, Any], claim: str) -> dict[str, Any]:
    """Judge a claim by its latest whole round, or by the experiments that are named; says what is missing."""
    known, effort = _known(claim), query["effort"]
    with parts().database.reading() as session:
        if query["experiments"]:
            named = [submissions.get(session, experiment_id) for experiment_id in query["experiments"]]
            progress = rounds.of_experiments(session, known, named, effort)
        elif query["round"]:
            progress = rounds.of_round(session, known, query["round"])
        else:
            progress = rounds.latest(session, known, effort)
    judged = rounds.judged(known, progress)
    return {
        "claim": known.name,
        "sentence": known.sentence,
        "standing": standing(judged).value,
        "answer": _answer(judged, progress),
        "effort": progress.round.effort,
        "round": progress.round.id or None,
        "complete": progress.is_whole,
        "missing": list(progress.missing),
        "experiments": [member_json(member) for member in progress.members],
        "parts": [_judged(part, progress) for part in judged.parts],
    }


def member_json(member: Member) -> dict[str, Any]:
    return {
        "id": member.experiment.id,
        "key": member.key,
        "stage": member.stage,
        "state": member.state,
        "reads": [asdict(reading) for reading in member.readings],
    }


def _known(name: str) -> Claim:
    if name not in CLAIMS:
        raise NotFound(f"There is no claim {shown(name)}. Known: {', '.join(CLAIMS)}.")
    return CLAIMS[name]


def _shown(claim: Claim) -> dict[str, Any]:
    return {
        "name": claim.name,
        "title": claim.title,
        "sentence": claim.sentence,
        "stages": [stage.name for stage in claim.stages],
        "parts": [_part(part) for part in claim.parts],
        "experiments": {effort: _first(claim, effort) for effort in EFFORTS},
    }


def _first(claim: Claim, effort: Effort) -> list[dict[str, Any]]:
    asked = claim.stages[0].experiments(effort, {}) if claim.stages else {}
    return [{"key": key, "spec": it.spec.to_json()} for key, it in asked.items()]


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "statement": part.statement,
        "effect": part.effect,
        "direction": part.direction,
        "sesoi": part.sesoi,
        "explanation": part.explanation,
        "would_change": part.would_change,
    }


def _round(claim: Claim, progress: Progress, asked: Sequence[Experiment]) -> dict[str, Any]:
    due = zip(progress.due.items(), asked, strict=True)
    stage = claim.stages[progress.stage - 1].name if claim.stages else ""
    members = [*progress.members, *(Member(key, stage, each, each.state, it.readings) for (key, it), each in due)]
    return {
        "claim": claim.name,
        "effort": progress.round.effort,
        "round": progress.round.id,
        "stage": progress.stage,
        "stages": len(claim.stages),
        "submitted": [experiment.id for experiment in asked],
        "experiments": [member_json(member) for member in members],
    }


def _answer(judged: JudgedClaim, progress: Progress) -> str:
    if progress.evidence is not None or progress.members:
        return wording.answer(judged)
    name, head = judged.claim.name, standing(judged).value.capitalize()
    return f"{head}. It has not been run: POST /v1/claims/{name}/experiments, or `actlab claim {name} --run`, runs it."


def _judged(judged: JudgedPart, progress: Progress) -> dict[str, Any]:
    return _part(judged.part) | {
        "verdict": judged.verdict.value,
        "sentence": wording.say(judged),
        "level": judged.level,
        "figure": _figure(judged.part, progress),
        "numbers": [_number(number) for number in judged.numbers],
    }


def _figure(part: Part, progress: Progress) -> str | None:
    """Where the figure is served; null where the round has no such experiment yet, or numbers alone show the part."""
    key, _, name = part.figure.rpartition("/")
    for member in progress.members:
        if key and member.key.startswith(key):
            return url_for("analysis.figure", experiment_id=member.experiment.id, name=name)
    return None


def _number(number: Judged) -> dict[str, Any]:
    return asdict(number.estimate) | {
        "label": number.sample.label,
        "missing": number.missing,
        "sesoi": number.sesoi,
        "verdict": number.verdict.value,
        "note": number.reason,
        "effects": [{"replicate": i, "effect": effect} for i, effect in number.sample.values.items()],
        "made_of": [{"label": label, "value": value} for label, value in number.sample.made_of.items()],
    }
