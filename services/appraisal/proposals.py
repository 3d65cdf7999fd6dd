"""Proposals of the council: another value of an item, each member's vote on it, and what the votes decide."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.appraisal.appraisal import evolve, value_of
from services.appraisal.case import Appraisal, Case, in_time, reasoned, stated
from services.appraisal.chamber import Proposal
from shared.decider import Decider, Rejected
from shared.events import Event
from shared.events.appraisal import (
    AdjustmentProposed,
    AdjustmentReasoned,
    Choice,
    CouncilAdjusted,
    ProposalRejected,
    ProposalWorded,
    VoteCast,
)
from shared.rubric.period import ZONE


@dataclass(frozen=True)
class Propose:
    """Put another value of an item before an open session. `secretary`: by the officer who serves the council."""

    case: Case
    secretary: bool
    session: str
    item: str
    data: str | None
    not_applicable: bool
    reason_code: str
    reason: str


@dataclass(frozen=True)
class Cast:
    """Vote on a proposal, or vote anew while it is not decided."""

    case: Case
    proposal: int
    choice: Choice
    in_writing: bool


@dataclass(frozen=True)
class Settle:
    """Close the vote on a proposal: it is carried or not."""

    case: Case
    proposal: int
    resolution: str
    reason: str


Command = Propose | Cast | Settle


def decide(state: Appraisal, command: Command) -> Sequence[Event]:
    """The rules of proposals and votes; Rejected with the codes in the service's table."""
    in_time(state, command.case)
    match command:
        case Propose():
            return _propose(state, command)
        case Cast():
            return _cast(state, command)
        case Settle():
            return _settle(state, command)


def _propose(state: Appraisal, command: Propose) -> list[Event]:
    case = command.case
    if not command.secretary:
        _seated(state, case.actor)
    reasoned(case.rubric, command.reason_code, command.reason)
    state.chamber.the_session(command.session)
    value = value_of(state, case, case.rubric.leaf(command.item), stated(command))
    return [
        AdjustmentProposed(
            agency=case.agency,
            item=command.item,
            proposal=case.position,
            session=command.session,
            data=value.data,
            not_applicable=value.not_applicable,
            reason_code=command.reason_code,
        ),
        ProposalWorded(agency=case.agency, item=command.item, of=case.position, reason=command.reason),
    ]


def _cast(state: Appraisal, command: Cast) -> list[Event]:
    case, chamber = command.case, state.chamber
    _seated(state, case.actor)
    proposal = chamber.the_proposal(command.proposal)
    session = chamber.the_session(proposal.session)
    if not command.in_writing and session.in_writing:
        raise Rejected("vote-not-open", "in this session the members vote in writing", "in_writing")
    if not command.in_writing and case.time.astimezone(ZONE).date() < session.held_on:
        before = f"the session is held on {session.held_on}; until then members vote in writing"
        raise Rejected("vote-not-open", before, "in_writing")
    vote = VoteCast(
        agency=case.agency,
        proposal=command.proposal,
        member=case.actor,
        choice=command.choice,
        in_writing=command.in_writing,
    )
    return [vote]


def _settle(state: Appraisal, command: Settle) -> list[Event]:
    case, chamber = command.case, state.chamber
    if not chamber.presides(case.actor):
        raise Rejected("not-the-chair", "only the seated chair of the council, or the deputy, closes a vote")
    proposal = chamber.the_proposal(command.proposal)
    chamber.the_session(proposal.session)
    tally = chamber.tally(proposal, case.council)
    if case.council.carries(tally.in_favour):
        return _adjusted(state, command, proposal)
    rejected = ProposalRejected(
        agency=case.agency,
        item=proposal.item,
        proposal=command.proposal,
        resolution=command.resolution,
        tally=tally,
    )
    return [rejected]


def _adjusted(state: Appraisal, command: Settle, proposal: Proposal) -> list[Event]:
    case = command.case
    reasoned(case.rubric, proposal.reason_code, command.reason)
    value = value_of(state, case, case.rubric.leaf(proposal.item), proposal.data)
    return [
        CouncilAdjusted(
            agency=case.agency,
            item=proposal.item,
            data=value.data,
            points=value.points,
            not_applicable=value.not_applicable,
            resolution=command.resolution,
            tally=state.chamber.tally(proposal, case.council),
            reason_code=proposal.reason_code,
            proposal=command.proposal,
        ),
        AdjustmentReasoned(agency=case.agency, item=proposal.item, of=case.position, reason=command.reason),
    ]


def _seated(state: Appraisal, actor: str) -> None:
    if actor not in state.chamber.members:
        raise Rejected("not-seated", "you do not sit on the period's Appraisal Council")


DECIDER: Decider[Appraisal, Command, Event] = Decider(Appraisal(), decide, evolve)
