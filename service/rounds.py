"""How far a round of a claim is: what it has found, what is missing, and what is to be asked next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from lab.claims.claim import EFFORTS, Asked, Claim, Effort
from lab.claims.evidence import Evidence, Reading, Results
from lab.claims.verdict import JudgedClaim, judge
from lab.errors import Conflict, NotFound, shown
from lab.plan import arms_of
from lab.spec import ExperimentSpec, digest_of
from store import predictions, replicates, rounds
from store.metrics import metric_values
from store.models import CANCELLED, FAILED, SUCCEEDED, TERMINAL, Experiment
from store.rounds import Round

Values = Mapping[int, Mapping[int, float | None]]
"""Arm position to replicate to value."""


@dataclass(frozen=True, slots=True)
class Member:
    """An experiment of the round, in its place in the claim. `state` is that of the replicates that the claim asks for:
    a person may have added others.
    """

    key: str
    stage: str
    experiment: Experiment
    state: str
    readings: tuple[Reading, ...]


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
        states = {member.state for member in self.members}
        return not states & {FAILED, CANCELLED} and bool(self.due or not states <= {SUCCEEDED})


def follow(session: Session, claim: Claim, of: Round) -> Progress:
    """How far `of` is, stage by stage: the next one's requests follow from what the earlier ones found."""
    evidence: dict[str, Results] = {}
    members: list[Member] = []
    missing: list[str] = []
    for i, stage in enumerate(claim.stages, start=1):
        try:
            asked = stage.experiments(of.effort, evidence)
        except Conflict as error:
            return Progress(of, i, tuple(members), missing=(*missing, str(error)))
        found = {
            key: _member(session, key, stage.name, it, experiment)
            for key, it in asked.items()
            if (experiment := _answering(it.spec, of.experiments)) is not None
        }
        members += found.values()
        due = {key: it for key, it in asked.items() if key not in found}
        missing += [_lacks(each) for each in found.values() if each.state != SUCCEEDED]
        missing += [f"{stage.name}, {key}: has not been asked for" for key in due]
        if due or any(member.state not in TERMINAL for member in found.values()):
            return Progress(of, i, tuple(members), due, missing=tuple(missing))
        evidence |= {key: _results(session, asked[key], member.experiment) for key, member in found.items()}
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


def to_go_on_with(session: Session, claim: Claim, *, effort: Effort, round_id: str | None) -> Progress:
    """Of the round that is named; otherwise of the newest, and of a new one where there is none, or where nothing more
    will come of it. Who asks at the same moment waits for the end of this transaction. Raises NotFound.
    """
    rounds.wait_for_turn(session, claim.name)
    if round_id is not None:
        return of_round(session, claim, round_id)
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
        reading: _first(
            metric_values(session, experiment.id, reading.metric, layer=reading.layer, at=reading.at).values,
            asked.spec.replicates,
        )
        for reading in asked.readings
    }
    return Results(asked.spec, values, _predicted(session, asked, experiment))


def _predicted(session: Session, asked: Asked, experiment: Experiment) -> dict[tuple[int, int, str], float | None]:
    arms = range(len(arms_of(asked.spec))) if asked.predicted else ()
    found = predictions.predictions(session, experiment.id, arms)
    return {
        (arm, value.layer, value.quantity): value.predicted
        for arm, values in found.items()
        for value in values
        if value.layer is not None and value.quantity in asked.predicted
    }


def _first(values: Values, n: int) -> dict[int, dict[int, float | None]]:
    """Those of the first `n` replicates. A claim is judged by as many as it said before: to add to them until it is so
    would make it so.
    """
    return {
        arm: {replicate: value for replicate, value in of_arm.items() if replicate < n}
        for arm, of_arm in values.items()
    }


def _answering(spec: ExperimentSpec, experiments: Sequence[Experiment]) -> Experiment | None:
    """The newest that asks for what `spec` does, or for more replicates of it."""
    digest = spec.digest
    return next((each for each in experiments if _digest_with(each, spec.replicates) == digest), None)


def _digest_with(experiment: Experiment, n: int) -> str:
    """Of what the experiment asks for, but for replicates beyond the first `n`."""
    if experiment.spec["replicates"] <= n:
        return experiment.spec_digest
    return digest_of(experiment.spec | {"replicates": n})


def _member(session: Session, key: str, stage: str, asked: Asked, experiment: Experiment) -> Member:
    state = replicates.state_of_first(session, experiment, asked.spec.replicates)
    return Member(key, stage, experiment, state, asked.readings)


def _lacks(member: Member) -> str:
    more = ": what is complete counts, a retry goes on" if member.state == CANCELLED else ""
    return f"{member.stage}, {member.key}: experiment {member.experiment.id} is {member.state}{more}"
