"""How far a round of a claim is: what it has found, what is missing, and what is to be asked next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from lab.claims.claim import EFFORTS, Asked, Claim, Effort
from lab.claims.evidence import Evidence, Results
from lab.claims.verdict import JudgedClaim, judge
from lab.errors import Conflict, NotFound, shown
from lab.spec import ExperimentSpec
from store import rounds
from store.metrics import metric_values
from store.models import CANCELLED, FAILED, SUCCEEDED, TERMINAL, Experiment
from store.rounds import Round


@dataclass(frozen=True, slots=True)
class Member:
    """An experiment of the round, in its place in the claim."""

    key: str
    stage: str
    experiment: Experiment


@dataclass(frozen=True, slots=True)
class Progress:
    """`stage` counts from 1 to the last that has been reached. `due` is what that stage still asks for. `evidence` is
    None until every stage has ended; `missing` says what the claim lacks, or lost.
    """

    round: Round
    stage: int
    members: tuple[Member, ...] = ()
    due: Mapping[str, Asked] = field(default_factory=dict)
    evidence: Evidence | None = None
    missing: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        return self.evidence is not None and not self.missing

    @property
    def is_under_way(self) -> bool:
        """Whether something is still to come of it: it trains, or has more to ask, and has lost nothing."""
        states = {member.experiment.state for member in self.members}
        return not states & {FAILED, CANCELLED} and bool(self.due or not states <= {SUCCEEDED})


def follow(session: Session, claim: Claim, of: Round) -> Progress:
    """How far `of` is, stage by stage: the next one's requests follow from what the earlier ones found."""
    by_digest = {experiment.spec_digest: experiment for experiment in reversed(of.experiments)}
    evidence: dict[str, Results] = {}
    members: list[Member] = []
    missing: list[str] = []
    for i, stage in enumerate(claim.stages, start=1):
        try:
            asked = stage.experiments(of.effort, evidence)
        except Conflict as error:
            return Progress(of, i, tuple(members), missing=(*missing, str(error)))
        found = {key: by_digest[it.spec.digest] for key, it in asked.items() if it.spec.digest in by_digest}
        members += [Member(key, stage.name, experiment) for key, experiment in found.items()]
        due = {key: it for key, it in asked.items() if key not in found}
        missing += [_lacks(stage.name, key, each) for key, each in found.items() if each.state != SUCCEEDED]
        missing += [f"{stage.name}, {key}: has not been asked for" for key in due]
        if due or any(experiment.state not in TERMINAL for experiment in found.values()):
            return Progress(of, i, tuple(members), due, missing=tuple(missing))
        evidence |= {key: _results(session, asked[key], experiment) for key, experiment in found.items()}
    return Progress(of, len(claim.stages), tuple(members), evidence=evidence, missing=tuple(missing))


def latest(session: Session, claim: Claim, effort: Effort | None) -> Progress:
    """Of the newest round that is whole; where none is, of the newest; where there is none at all, of one that has not
    begun.
    """
    newest: Progress | None = None
    for of in _of_effort(session, claim, effort):
        progress = follow(session, claim, of)
        if progress.is_whole:
            return progress
        newest = newest or progress
    return newest or follow(session, claim, Round("", effort or "full"))


def of_round(session: Session, claim: Claim, round_id: str) -> Progress:
    """Raises NotFound."""
    for of in rounds.rounds(session, claim.name):
        if of.id == round_id:
            return follow(session, claim, of)
    raise NotFound(f"There is no round {shown(round_id)} of {claim.name}.")


def under_way(session: Session, claim: Claim, effort: Effort) -> Progress:
    """Of the newest round; of a new one where there is none, or where nothing more will come of it."""
    for of in _of_effort(session, claim, effort)[:1]:
        progress = follow(session, claim, of)
        if progress.is_under_way:
            return progress
    return follow(session, claim, rounds.begun(effort))


def of_experiments(
    session: Session, claim: Claim, experiments: Sequence[Experiment], effort: Effort | None
) -> Progress:
    """Of experiments that a person names, whatever their tags. Without an effort, that which more of them belong to."""
    candidates = [effort] if effort else list(EFFORTS)
    followed = [follow(session, claim, Round("", each, tuple(experiments))) for each in candidates]
    return max(followed, key=lambda progress: len(progress.members))


def judged(claim: Claim, progress: Progress) -> JudgedClaim:
    return judge(claim, progress.evidence, progress.round.effort)


def requests(claim: Claim, progress: Progress) -> list[ExperimentSpec]:
    """What is due, named and tagged so that it is found again."""
    tags = rounds.tags(claim.name, progress.round)
    return [replace(asked.spec, name=f"{claim.name}: {key}", tags=tags) for key, asked in progress.due.items()]


def _of_effort(session: Session, claim: Claim, effort: Effort | None) -> list[Round]:
    return [of for of in rounds.rounds(session, claim.name) if effort in (None, of.effort)]


def _results(session: Session, asked: Asked, experiment: Experiment) -> Results:
    values = {
        reading: metric_values(session, experiment.id, reading.metric, layer=reading.layer, at=reading.at).values
        for reading in asked.readings
    }
    return Results(asked.spec, values)


def _lacks(stage: str, key: str, experiment: Experiment) -> str:
    return f"{stage}, {key}: experiment {experiment.id} is {experiment.state}"
