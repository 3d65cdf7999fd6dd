"""The index of a period: consolidated by an officer, approved by another person, published with its heads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, NamedTuple

from services.scoring.filed import Assessed
from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.replay import Result
from services.scoring.scorecard import SCORED, Finalised, Judged, States, not_held, open_requests
from shared.decider import Decider, Rejected
from shared.events import Event, instant, parts_digest
from shared.events.scoring import (
    CardPublished,
    Head,
    IndexPublished,
    IndexRevised,
    ResultApproved,
    ResultConsolidated,
    RevisionOpened,
    RevisionReasoned,
    ScoringStarted,
)

STREAM: Final = "index"


class Obstacle(NamedTuple):
    """What holds a consolidation or publication up; `place` names the agency, campaign or log at fault."""

    code: str
    detail: str
    place: str | None = None
    item: str | None = None

    def json(self) -> dict[str, str]:
        """As an answer shows it."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Situation(NamedTuple):
    """What a decision rests on: the followed logs, the time, which logs are parked, and how far the archive holds.

    `archived`: log → the size of a checkpoint that was read back from the archive and has this service's own root.
    """

    period: str
    states: States
    time: datetime
    parked: frozenset[str]
    archived: Mapping[str, int]


def head_sizes(period: str, finalised: Finalised) -> dict[str, int]:
    """The sizes that a finalising sets for the scored logs: the two that it saw, and its own log up to itself."""
    appraisal, seen = f"appraisal/{period}", finalised.seen
    sizes = {log: seen.get(log, 0) for log in (f"{service}/{period}" for service in SCORED)}
    return {**sizes, appraisal: finalised.position + 1}


def obstacles(on: Situation) -> list[Obstacle]:
    """Everything that holds a consolidation up, in the order of the work; empty if nothing does."""
    return [*_agencies(on), *_survey(on), *period_obstacles(on)]


def period_obstacles(on: Situation) -> list[Obstacle]:
    """Of `obstacles` those that are of no single agency and no campaign."""
    found = list[Obstacle]()
    if on.states.appraisal.council is None:
        found.append(Obstacle("council-missing", "no Appraisal Council is seated"))
    finalised = on.states.appraisal.finalised
    if finalised is None:
        found.append(Obstacle("appraisal-not-final", "the period's appraisal is not finalised"))
    else:
        found += _heads(on, finalised)
    found += [Obstacle("log-parked", "the log is parked", log) for log in sorted(on.parked)]
    return found


def publication_obstacles(state: "Index", on: Situation, size: int) -> list[Obstacle]:
    """What holds a publication up beside `obstacles`; `size` is that of the scoring log before it."""
    found, own = list[Obstacle](), f"scoring/{on.period}"
    if state.approved is None:
        found.append(Obstacle("approval-missing", "no one has approved the consolidated result"))
    if on.archived.get(own, 0) < size:
        found.append(Obstacle("heads-not-archived", f"no archived checkpoint of size {size} is verified", own))
    return found


def _agencies(on: Situation) -> Iterator[Obstacle]:
    for agency in sorted(on.states.period.active):
        yield from appraisal_obstacles(on, agency)


def appraisal_obstacles(on: Situation, agency: str) -> Iterator[Obstacle]:
    """What is open of an agency's appraisal."""
    states = on.states
    if not states.appraisal.agencies.get(agency, Judged()).closed:
        yield Obstacle("agency-open", "the agency's appraisal is not closed", agency)
    if states.submission.agencies.get(agency, Assessed()).reopened:
        yield Obstacle("reopening-open", "the self-assessment is reopened and may still change", agency)
    rubric, aside = states.period.rubric_of(agency), not_held(states)
    missing = {leaf.code for leaf in states.survey.missing(agency, rubric)}
    missing |= {leaf.code for leaf in rubric.leaves.values() if leaf.part in aside}
    for line in FORMULAS[CURRENT].card(states, agency, False).leaves:
        if line.open and line.code not in missing:
            yield Obstacle("leaf-open", "the item has no points yet", agency, line.code)
    for request in open_requests(states, agency, on.time):
        until = f"a request for explanation may be answered until {instant(request.until)}"
        yield Obstacle("explanation-open", until, agency, request.item)


def _survey(on: Situation) -> Iterator[Obstacle]:
    states = on.states
    for campaign in sorted(states.survey.open_campaigns()):
        yield Obstacle("survey-open", "the campaign is not completed", campaign)
    for agency in sorted(states.period.active):
        yield from survey_obstacles(on, agency)


def survey_obstacles(on: Situation, agency: str) -> Iterator[Obstacle]:
    """What the survey has not covered of an agency, but for what its campaign is still open for."""
    asked = on.states.survey.campaign_of(agency)
    if asked is not None and not asked.completed:
        return  # its campaign is named
    for leaf in on.states.survey.missing(agency, on.states.period.rubric_of(agency)):
        yield Obstacle("survey-open", "neither a campaign nor a study covers the item", agency, leaf.code)


def _heads(on: Situation, finalised: Finalised) -> Iterator[Obstacle]:
    for log, size in sorted(head_sizes(on.period, finalised).items()):
        if on.states.moved[log.partition("/")[0]] >= size:
            yield Obstacle("finalising-outdated", "a later entry moves the score: finalise anew", log)
        if on.archived.get(log, 0) < size:
            yield Obstacle("heads-not-archived", f"no archived checkpoint of size {size} is verified", log)


class Start(NamedTuple):
    """Begin the period's scoring log; `of`: the position of `period-opened`."""

    period: str
    of: int


class Consolidate(NamedTuple):
    """Consolidate the result, which was computed at the heads that the finalising sets; None while there are none."""

    actor: str
    on: Situation
    result: Result | None


class Approve(NamedTuple):
    """Approve the consolidated result by its digest, with the decision's number and date."""

    actor: str
    digest: str
    decision: str
    dated: date


class Publish(NamedTuple):
    """Publish the approved result, computed again; `position` is that of the first entry, `own` the head before it."""

    on: Situation
    result: Result | None
    own: Head
    position: int


class Revise(NamedTuple):
    """Open a revision of the published index under a decision, with its reason; `position` is that of the entry."""

    decision: str
    dated: date
    reason: str
    position: int


Command = Start | Consolidate | Approve | Publish | Revise


@dataclass(frozen=True)
class Index:
    """How far the index of a period has come. `published`: the index that stands; `revision`: the position of the one
    that is being revised, which then no longer stands."""

    started: bool = False
    consolidated: ResultConsolidated | None = None
    approved: ResultApproved | None = None
    published: IndexPublished | None = None
    revision: int | None = None


def decide(state: Index, command: Command) -> Sequence[Event]:
    """Every rule of consolidation, approval and publication; Rejected with the codes in the service's table."""
    if isinstance(command, Start):
        return [] if state.started else [ScoringStarted(period=command.period, of=command.of)]
    if isinstance(command, Revise):
        return _revise(state, command)
    if state.published is not None:
        raise Rejected("already-published", "the period's index is published")
    match command:
        case Consolidate():
            return _consolidate(command)
        case Approve():
            return _approve(state, command)
        case Publish():
            return _publish(state, command)


def _consolidate(command: Consolidate) -> list[Event]:
    _refuse(obstacles(command.on))
    result = _current(command.on, command.result)
    return [
        ResultConsolidated(by=command.actor, formula=result.formula, heads=dict(result.heads), digest=result.digest)
    ]


def _approve(state: Index, command: Approve) -> list[Event]:
    if state.consolidated is None:
        raise Rejected("not-consolidated", "there is no consolidated result to approve")
    if state.consolidated.by == command.actor:
        raise Rejected("same-person", "who consolidated the result cannot approve it")
    _same_digest(state.consolidated.digest, command.digest)
    return [ResultApproved(digest=command.digest, decision=command.decision, dated=command.dated)]


def _publish(state: Index, command: Publish) -> list[Event]:
    on, own = command.on, f"scoring/{command.on.period}"
    _refuse([*obstacles(on), *publication_obstacles(state, on, command.position)])
    result, approved = _current(on, command.result), state.approved
    assert approved is not None
    if command.own.size != command.position:
        raise Rejected("result-outdated", "the scoring log has grown while the result was computed; repeat")
    _same_digest(approved.digest, result.digest)
    cards = [CardPublished(agency=row.agency, row=row, card=result.cards[row.agency]) for row in result.table]
    manifest = {
        "period": on.period,
        "formula": result.formula,
        "heads": {**result.heads, own: command.own},
        "digest": result.digest,
        "decision": approved.decision,
        "dated": approved.dated,
        "count": len(cards),
        "first": command.position,
        "parts_digest": parts_digest(cards),
    }
    if state.revision is not None:
        return [*cards, IndexRevised.model_validate({**manifest, "revises": state.revision})]
    return [*cards, IndexPublished.model_validate(manifest)]


def _revise(state: Index, command: Revise) -> list[Event]:
    if state.revision is not None:
        raise Rejected("revision-open", "the published index is being revised already")
    if state.published is None:
        raise Rejected("not-published", "no index of this period is published", "period")
    reason = command.reason.strip()
    if not reason:
        raise Rejected("reason-missing", "say why the published index is revised", "reason")
    of = state.published.first + state.published.count
    return [
        RevisionOpened(of=of, decision=command.decision, dated=command.dated),
        RevisionReasoned(of=command.position, reason=reason),
    ]


def _refuse(found: Sequence[Obstacle]) -> None:
    if found:
        codes = ", ".join(sorted({obstacle.code for obstacle in found}))
        errors = [obstacle.json() for obstacle in found]
        raise Rejected("obstacles-remain", f"{len(found)} obstacles: {codes}", errors=errors)


def _current(on: Situation, result: Result | None) -> Result:
    """The result, if it was computed at the very heads that the finalising sets."""
    finalised = on.states.appraisal.finalised
    assert finalised is not None
    if result is None or {log: head.size for log, head in result.heads.items()} != head_sizes(on.period, finalised):
        raise Rejected("result-outdated", "the appraisal was finalised while the result was computed; repeat")
    return result


def _same_digest(expected: str, given: str) -> None:
    if expected != given:
        raise Rejected("digest-differs", f"the digest is {expected}", "digest")


def evolve(state: Index, event: Event) -> Index:
    """The index after one more event of its stream; a new consolidation needs a new approval."""
    match event:
        case ScoringStarted():
            return replace(state, started=True)
        case ResultConsolidated():
            return replace(state, consolidated=event, approved=None)
        case ResultApproved():
            return replace(state, approved=event)
        case IndexPublished():
            return replace(state, published=event, revision=None)
        case RevisionOpened():
            return replace(state, published=None, consolidated=None, approved=None, revision=event.of)
        case _:
            return state


DECIDER: Decider[Index, Command, Event] = Decider(Index(), decide, evolve)
