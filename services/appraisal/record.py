"""The council's record as people look at it: sessions, proposals, votes, decisions; remarks and conflicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.events import Entry, Event
from shared.events.appraisal import (
    AdjustmentProposed,
    AdjustmentReasoned,
    ConflictDeclared,
    ConflictWorded,
    CouncilAdjusted,
    CouncilDecided,
    CouncilSeated,
    ProposalRejected,
    ProposalWorded,
    RemarkMade,
    RemarkWorded,
    SeatsNamed,
    SessionClosed,
    SessionOpened,
    SessionWorded,
    Tally,
    VoteCast,
)


@dataclass(frozen=True)
class Held:
    """A session: its opening and closing, the words beside it, and what the council decided in it as a whole.

    `seated`: who sat on the council at the closing.
    """

    position: int
    opened: SessionOpened
    place: str | None = None
    closed: SessionClosed | None = None
    decided: CouncilDecided | None = None
    seated: CouncilSeated | None = None

    def json(self) -> dict[str, Any]:
        """As an answer shows it."""
        shown: dict[str, Any] = self.opened.model_dump(mode="json") | {"closed": self.closed is not None}
        shown |= {} if self.place is None else {"place": self.place}
        if self.closed is not None:
            shown |= {"resolution": self.closed.resolution, "present": list(self.closed.present)}
        if self.decided is not None:
            shown["decision"] = self.decided.model_dump(mode="json", exclude={"session"})
        return shown


@dataclass(frozen=True)
class Motion:
    """A proposal with its votes, and what became of it."""

    position: int
    proposed: AdjustmentProposed
    words: str | None = None
    votes: Mapping[str, VoteCast] = field(default_factory=dict)
    decided: CouncilAdjusted | ProposalRejected | None = None
    decided_at: int | None = None
    reason: str | None = None

    @property
    def outcome(self) -> str:
        """`open`, `carried` or `rejected`."""
        if self.decided is None:
            return "open"
        return "carried" if isinstance(self.decided, CouncilAdjusted) else "rejected"

    @property
    def tally(self) -> Tally | None:
        """How the council voted, once the vote is closed."""
        return None if self.decided is None else self.decided.tally

    def json(self, actor: str, seated: bool) -> dict[str, Any]:
        """As an answer shows it; how each voted is shown to who sits on the council only, its tally to all."""
        fields = {"agency", "item", "proposal", "session", "data", "not_applicable", "reason_code"}
        shown: dict[str, Any] = self.proposed.model_dump(mode="json", include=fields, exclude_none=True)
        shown |= {"outcome": self.outcome, "voted": len(self.votes)}
        shown |= {} if self.words is None else {"words": self.words}
        if self.decided is not None:
            shown |= {"tally": self.decided.tally.model_dump(), "resolution": self.decided.resolution}
        if isinstance(self.decided, CouncilAdjusted):
            shown |= self.decided.model_dump(mode="json", include={"points"}, exclude_none=True)
        shown |= {} if self.reason is None else {"reason": self.reason}
        if seated:
            shown["votes"] = [
                {"member": member, "choice": vote.choice, "in_writing": vote.in_writing}
                for member, vote in sorted(self.votes.items())
            ]
            shown["own"] = self.votes[actor].choice if actor in self.votes else None
        return shown


@dataclass(frozen=True)
class Said:
    """A remark of a following body, or a conflict of interest that a person declared."""

    position: int
    time: str
    actor: str
    agency: str
    about: str | None = None
    words: str | None = None

    def json(self) -> dict[str, Any]:
        """As an answer shows it."""
        return {name: value for name, value in self.__dict__.items() if value is not None}


@dataclass(frozen=True)
class Record:
    """What the council and those around it did: sessions by name, the rest by position; `names` of those who sit."""

    sessions: Mapping[str, Held] = field(default_factory=dict)
    motions: Mapping[int, Motion] = field(default_factory=dict)
    remarks: Mapping[int, Said] = field(default_factory=dict)
    conflicts: Mapping[int, Said] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    seated: CouncilSeated | None = None

    def evolve(self, entry: Entry, event: Event) -> "Record":
        """The record after one more entry of the appraisal log."""
        match event:
            case CouncilSeated():
                return replace(self, seated=event)
            case SeatsNamed():
                return replace(self, names={**self.names, **event.names})
            case SessionOpened():
                return self._held(event.session, Held(entry.position, event))
            case SessionWorded():
                return self._held(event.session, replace(self.sessions[event.session], place=event.place))
            case SessionClosed():
                held = replace(self.sessions[event.session], closed=event, seated=self.seated)
                return self._held(event.session, held)
            case CouncilDecided():
                return self._held(event.session, replace(self.sessions[event.session], decided=event))
            case RemarkMade():
                said = _said(entry, event.agency, event.about)
                return replace(self, remarks={**self.remarks, entry.position: said})
            case RemarkWorded():
                return replace(self, remarks=_worded(self.remarks, event.of, event.remark))
            case ConflictDeclared():
                return replace(self, conflicts={**self.conflicts, entry.position: _said(entry, event.agency)})
            case ConflictWorded():
                return replace(self, conflicts=_worded(self.conflicts, event.of, event.reason))
            case _:
                return self._moved(entry, event)

    def _held(self, name: str, held: Held) -> "Record":
        return replace(self, sessions={**self.sessions, name: held})

    def _moved(self, entry: Entry, event: Event) -> "Record":
        motion: Motion | None = None
        match event:
            case AdjustmentProposed():
                motion = Motion(entry.position, event)
            case ProposalWorded():
                motion = replace(self.motions[event.of], words=event.reason)
            case VoteCast():
                before = self.motions[event.proposal]
                motion = replace(before, votes={**before.votes, event.member: event})
            case CouncilAdjusted(proposal=int(position)) | ProposalRejected(proposal=position):
                motion = replace(self.motions[position], decided=event, decided_at=entry.position)
            case AdjustmentReasoned():
                decided = [each for each in self.motions.values() if each.decided_at == event.of]
                motion = replace(decided[0], reason=event.reason) if decided else None
        return self if motion is None else replace(self, motions={**self.motions, motion.position: motion})


def _said(entry: Entry, agency: str, about: str | None = None) -> Said:
    return Said(entry.position, entry.header["time"], entry.actor, agency, about)


def _worded(said: Mapping[int, Said], of: int, words: str) -> dict[int, Said]:
    return {**said, of: replace(said[of], words=words)}
