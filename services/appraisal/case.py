"""What is known around a command on an agency's appraisal, and what every such decision needs: time, reason, data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from services.appraisal.chamber import Chamber
from shared.decider import Rejected
from shared.events.appraisal import Tally
from shared.rubric import Council, Rubric


class Declared(NamedTuple):
    """What the agency declared on an item last, None if that it does not apply, and where it stands in its log.

    `estimated`: the agency has still to replace or confirm the figure.
    """

    position: int
    data: str | None
    estimated: bool = False


class Value(NamedTuple):
    """What holds for an item: `data` where there is one, points, or that it does not apply.

    `appraiser`: who gave it, where an appraiser did; `revision`: which of the item's appraisals it is, from 1.
    """

    data: str | None
    points: Decimal | None
    not_applicable: bool
    judged: int | None
    appraiser: str | None = None
    revision: int = 1


@dataclass(frozen=True)
class Appraisal:
    """One agency's appraisal, with the seats and assignments of the period that it depends on.

    `of`: the position in the submission log of the submission or closing that opened it last.
    """

    opened: bool = False
    of: int = -1
    closed: bool = False
    appraised: Mapping[str, Value] = field(default_factory=dict)
    adjusted: Mapping[str, Value] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    chamber: Chamber = field(default_factory=Chamber)

    def value(self, item: str) -> Value | None:
        """What holds for an item: the council's value, else the appraised one."""
        return self.adjusted.get(item) or self.appraised.get(item)


@dataclass(frozen=True)
class Case:
    """What is known around a command: who acts, when and where the entries will stand, and what the agency declared.

    `answered`: how many requests for explanation of an item were answered or closed. `published`: whether the period's
    index is out, after which no score may move. `reopened`: whether its self-assessment is reopened and may change.
    `matched`: the request names the version of the agency's appraisal that it rests on.
    """

    actor: str
    agency: str
    group: str
    time: datetime
    position: int
    rubric: Rubric
    council: Council
    declared: Mapping[str, Declared]
    answered: Mapping[str, int]
    published: bool
    reopened: bool = False
    matched: bool = False


def in_time(state: Appraisal, case: Case) -> None:
    """Refuses what comes after the publication, before the agency's appraisal is open, or from who has a conflict of
    interest with the agency."""
    if case.published:
        raise Rejected("period-published", "the period's index is published; nothing that a score rests on may change")
    if not state.opened:
        raise Rejected("appraisal-not-open", "the agency has not submitted and the step is not closed", "agency")
    if case.actor in state.chamber.conflicts:
        raise Rejected("conflict-of-interest", "you declared a conflict of interest with this agency", "agency")


def reasoned(rubric: Rubric, code: str, words: str) -> None:
    """Refuses a decision without words, or with a reason code that the rubric does not know."""
    if not words.strip():
        raise Rejected("reason-missing", "say why", "reason")
    known = [reason.id for reason in rubric.reasons]
    if code not in known:
        raise Rejected("reason-code-unknown", f"the rubric's reason codes are {', '.join(known)}", "reason_code")


class Statement(Protocol):
    """A command that states an item's data, or that the item does not apply."""

    @property
    def item(self) -> str: ...
    @property
    def data(self) -> str | None: ...
    @property
    def not_applicable(self) -> bool: ...


def stated(command: Statement) -> str | None:
    """The data, None if the item is said not to apply; Rejected `data-invalid` unless it is one of the two."""
    if command.not_applicable == (command.data is not None):
        raise Rejected("data-invalid", "give either data or not_applicable", command.item)
    return command.data


def carried(tally: Tally, council: Council) -> None:
    """Refuses a tally that does not add up (`tally-invalid`), or in which too few are in favour (`not-carried`)."""
    if tally.members != council.members:
        raise Rejected("tally-invalid", f"the council has {council.members} members", "tally.members")
    voted = tally.in_favour + tally.against + tally.abstained
    if voted > tally.members or tally.in_writing > voted:
        raise Rejected("tally-invalid", "more votes than members, or more in writing than votes", "tally")
    if not council.carries(tally.in_favour):
        few = f"{tally.in_favour} of {tally.members} members do not carry a decision"
        raise Rejected("not-carried", few, "tally.in_favour")
