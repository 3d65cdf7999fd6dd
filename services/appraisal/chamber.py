"""What the council has before it: seats, sessions, proposals with their votes, conflicts of interest; and monitors."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from shared.decider import Rejected
from shared.events import Event
from shared.events.appraisal import (
    AdjustmentProposed,
    Choice,
    ConflictDeclared,
    CouncilAdjusted,
    CouncilSeated,
    MonitorAssigned,
    ProposalRejected,
    SessionClosed,
    SessionOpened,
    Tally,
    VoteCast,
)
from shared.rubric import Council


class Session(NamedTuple):
    """A session of the council."""

    held_on: date
    in_writing: bool
    closed: bool = False


class Vote(NamedTuple):
    """A member's vote."""

    choice: Choice
    in_writing: bool


@dataclass(frozen=True)
class Proposal:
    """Another value of an item that the council votes on; `votes` by member."""

    item: str
    session: str
    data: str | None
    not_applicable: bool
    reason_code: str
    votes: Mapping[str, Vote] = field(default_factory=dict)
    decided: bool = False


@dataclass(frozen=True)
class Chamber:
    """The council's seats and sessions, and of one agency the proposals, and who has a conflict of interest."""

    chair: str | None = None
    deputy: str | None = None
    members: tuple[str, ...] = ()
    sessions: Mapping[str, Session] = field(default_factory=dict)
    proposals: Mapping[int, Proposal] = field(default_factory=dict)
    conflicts: frozenset[str] = frozenset()
    monitored: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def presides(self, actor: str) -> bool:
        """Whether the person is the seated chair or deputy."""
        return actor in (self.chair, self.deputy)

    def the_session(self, name: str) -> Session:
        """A session that is open; Rejected `session-unknown`, `session-closed`."""
        session = self.sessions.get(name)
        if session is None:
            raise Rejected("session-unknown", f"the council has no session {name}", "session")
        if session.closed:
            raise Rejected("session-closed", f"the session {name} is closed", "session")
        return session

    def the_proposal(self, position: int) -> Proposal:
        """A proposal that is not decided; Rejected `proposal-unknown`, `proposal-decided`."""
        proposal = self.proposals.get(position)
        if proposal is None:
            raise Rejected("proposal-unknown", f"nothing was proposed at position {position}", "proposal")
        if proposal.decided:
            raise Rejected("proposal-decided", "the proposal is decided", "proposal")
        return proposal

    def tally(self, proposal: Proposal, council: Council) -> Tally:
        """How those voted who sit on the council now and have no conflict of interest; out of all its members."""
        counted = [
            vote for member, vote in proposal.votes.items() if member in self.members and member not in self.conflicts
        ]
        chosen = [vote.choice for vote in counted]
        return Tally(
            members=council.members,
            in_favour=chosen.count("for"),
            against=chosen.count("against"),
            abstained=chosen.count("abstained"),
            in_writing=sum(vote.in_writing for vote in counted),
        )

    def evolve(self, event: Event) -> "Chamber":
        """The chamber after one more event of the period's stream or of the agency's."""
        match event:
            case CouncilSeated():
                return replace(self, chair=event.chair, deputy=event.deputy, members=event.members)
            case SessionOpened():
                session = Session(event.held_on, event.in_writing)
                return replace(self, sessions={**self.sessions, event.session: session})
            case SessionClosed():
                closed = self.sessions[event.session]._replace(closed=True)
                return replace(self, sessions={**self.sessions, event.session: closed})
            case MonitorAssigned():
                fields = {(event.monitor, event.group): frozenset(event.fields)}
                return replace(self, monitored={**self.monitored, **fields})
            case ConflictDeclared():
                return replace(self, conflicts=self.conflicts | {event.person})
            case _:
                return self._of_proposal(event)

    def _of_proposal(self, event: Event) -> "Chamber":
        match event:
            case AdjustmentProposed():
                proposal = Proposal(event.item, event.session, event.data, event.not_applicable, event.reason_code)
                return self._with(event.proposal, proposal)
            case VoteCast():
                proposal = self.proposals[event.proposal]
                votes = {**proposal.votes, event.member: Vote(event.choice, event.in_writing)}
                return self._with(event.proposal, replace(proposal, votes=votes))
            case CouncilAdjusted(proposal=int(position)) | ProposalRejected(proposal=position):
                return self._with(position, replace(self.proposals[position], decided=True))
            case _:
                return self

    def _with(self, position: int, proposal: Proposal) -> "Chamber":
        return replace(self, proposals={**self.proposals, position: proposal})
