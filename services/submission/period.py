"""The period: opening it with its rubrics and agencies, and closing the step of self-assessment."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import Final

from shared.decider import Decider, Rejected
from shared.events import Event, parts_digest
from shared.events.submission import (
    AgenciesAdded,
    Agency,
    AgencyJoined,
    AgencyRenamed,
    AgencyWithdrawn,
    Deadline,
    Group,
    PeriodOpened,
    PeriodStarted,
    ReopeningClosed,
    RubricFieldSet,
    RubricSet,
    SelfAssessmentClosed,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
)
from shared.period import Period
from shared.rubric import Label, PeriodOpening, check, split
from shared.rubric.period import ZONE

STREAM: Final = "period"
STEP: Final = "self-assessment"
"""The step of the process that this service closes, as `deadlines` names it."""
AGENCIES_AN_ENTRY: Final = 200
MAX_AGENCIES: Final = 4000
"""Agencies of one period: `self-assessment-closed` names each of them in one entry of 256 KiB."""


@dataclass(frozen=True)
class Standing:
    """A period and the agencies that have submitted, after a prefix of its submission log."""

    period: Period = field(default_factory=Period)
    submitted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class OpenPeriod:
    """Open a period; `position` is that of the first entry."""

    opening: PeriodOpening
    position: int


@dataclass(frozen=True)
class CloseSelfAssessment:
    """End the step of self-assessment; before its last time only if every agency has submitted."""

    time: datetime


@dataclass(frozen=True)
class Change:
    """A change among the agencies of a period, by a decision; `published`: whether its index stands published."""

    agency: str
    decision: str
    dated: date
    published: bool


@dataclass(frozen=True)
class JoinAgency(Change):
    """Take an agency into a group of the period."""

    group: str
    name: Label
    predecessor: str | None


@dataclass(frozen=True)
class RenameAgency(Change):
    """Give an agency another name."""

    name: Label


@dataclass(frozen=True)
class WithdrawAgency(Change):
    """End an agency's part in the period."""

    successor: str | None


Command = OpenPeriod | CloseSelfAssessment | JoinAgency | RenameAgency | WithdrawAgency


def decide(state: Standing, command: Command) -> Sequence[Event]:
    """The events that the command means; Rejected as the service's table of codes says."""
    match command:
        case OpenPeriod():
            return _open(state, command)
        case CloseSelfAssessment():
            return _close(state, command)
        case JoinAgency():
            return _join(state.period, command)
        case RenameAgency():
            return _rename(state.period, command)
        case WithdrawAgency():
            return _withdraw(state.period, command)


def evolve(state: Standing, event: Event) -> Standing:
    """The standing after one more event of the log, of whichever stream."""
    match event:
        case SelfAssessmentSubmitted() | ReopeningClosed(submitted=True):
            return replace(state, submitted=state.submitted | {event.agency})
        case SelfAssessmentReopened():
            return replace(state, submitted=state.submitted - {event.agency})
        case _:
            period = state.period.evolve(event)
            return state if period is state.period else replace(state, period=period)


DECIDER: Decider[Standing, Command, Event] = Decider(Standing(), decide, evolve)


def _open(state: Standing, command: OpenPeriod) -> list[Event]:
    opening = command.opening
    if state.period.opened is not None:
        raise Rejected("period-exists", f"the period {opening.period} is open already", "period")
    _require_computable(opening)
    agencies = [
        _agency(each.id, group.id, each.name, each.publication) for group in opening.groups for each in group.agencies
    ]
    if len(agencies) > MAX_AGENCIES:
        raise Rejected("period-invalid", f"a period has at most {MAX_AGENCIES} agencies", "groups")
    events: list[Event] = [_opened(opening)]
    for group in opening.groups:
        head, fields = split(opening.rubric_of(group.id))
        parts = [RubricFieldSet(group=group.id, field=each) for each in fields]
        first = command.position + len(events)
        manifest = RubricSet(group=group.id, head=head, count=len(parts), first=first, digest=parts_digest(parts))
        events += [*parts, manifest]
    for start in range(0, len(agencies), AGENCIES_AN_ENTRY):
        events.append(AgenciesAdded(agencies=tuple(agencies[start : start + AGENCIES_AN_ENTRY])))
    return [*events, PeriodStarted()]


def _require_computable(opening: PeriodOpening) -> None:
    """Refuse rubrics that cannot be computed, naming every place; and a proof that is let go before the steps end."""
    errors = [
        {"field": f"rubrics.{rubric.id}.{finding.place}", "code": "rubric-invalid", "detail": finding.message}
        for rubric in opening.rubrics
        for finding in check(rubric)
        if finding.severity == "error"
    ]
    if errors:
        first = errors[0]
        raise Rejected("rubric-invalid", f"{first['field']}: {first['detail']}", first["field"], errors)
    end = max(deadline.closes for deadline in opening.deadlines.values())
    if _retain_until(opening) <= end:
        raise Rejected("period-invalid", "the proof must be kept until after the last deadline", "retain_until")


def _opened(opening: PeriodOpening) -> PeriodOpened:
    return PeriodOpened(
        period=opening.period,
        kind=opening.kind,
        name_vi=opening.name.vi,
        name_en=_english(opening.name),
        span_from=opening.span.from_,
        span_to=opening.span.to,
        deadlines={step: Deadline(due=each.due, last=each.last) for step, each in sorted(opening.deadlines.items())},
        groups=tuple(
            Group(group=each.id, name_vi=each.name.vi, name_en=_english(each.name), ranked=each.ranked)
            for each in opening.groups
        ),
        explanation_days=opening.explanation_days,
        appraised_points_visible_from=opening.appraised_points_visible_from,
        retain_until=_retain_until(opening),
        publication=opening.publication,
        council=opening.council,
    )


def _retain_until(opening: PeriodOpening) -> datetime:
    """The beginning of the day named, where the deadlines' clocks are."""
    return datetime.combine(opening.retain_until, time(), ZONE)


def _agency(agency: str, group: str, name: Label, publication: str | None) -> Agency:
    return Agency(agency=agency, group=group, name_vi=name.vi, name_en=_english(name), publication=publication)


def _english(name: Label) -> str:
    return name.en or name.vi


def _close(state: Standing, command: CloseSelfAssessment) -> list[Event]:
    period = state.period
    period.the_opened()
    if period.closed is not None:
        return []  # the deadline and an officer may both ask; the first has closed it
    missing = sorted(set(period.active) - state.submitted)
    last = period.last_time(STEP)
    if missing and last is not None and command.time < last:
        errors = [{"item": agency, "code": "not-submitted", "detail": "has not submitted"} for agency in missing]
        raise Rejected(
            "step-still-open", f"agencies may submit until {last.astimezone(ZONE).isoformat()}", errors=errors
        )
    return [SelfAssessmentClosed(submitted=tuple(sorted(state.submitted)), not_submitted=tuple(missing))]


def _join(period: Period, command: JoinAgency) -> list[Event]:
    _require_unpublished(period, command)
    if command.agency in period.agencies:
        raise Rejected("agency-exists", f"{command.agency} is an agency of this period already", "agency")
    if command.group not in period.rubrics:
        raise Rejected("group-unknown", f"the period has no group {command.group}", "group")
    if period.closed is not None:
        raise Rejected("step-closed", "the step of self-assessment is closed", "period")
    if len(period.agencies) >= MAX_AGENCIES:
        raise Rejected("period-invalid", f"a period has at most {MAX_AGENCIES} agencies", "agency")
    if command.predecessor is not None:
        period.the_agency(command.predecessor)
    return [
        AgencyJoined(
            agency=command.agency,
            group=command.group,
            name_vi=command.name.vi,
            name_en=_english(command.name),
            predecessor=command.predecessor,
            decision=command.decision,
            dated=command.dated,
        )
    ]


def _rename(period: Period, command: RenameAgency) -> list[Event]:
    _require_unpublished(period, command)
    known, name = period.the_agency(command.agency), command.name
    if (known.name_vi, known.name_en) == (name.vi, _english(name)):
        raise Rejected("name-unchanged", f"{command.agency} bears this name already", "name")
    return [
        AgencyRenamed(
            agency=command.agency,
            name_vi=name.vi,
            name_en=_english(name),
            decision=command.decision,
            dated=command.dated,
        )
    ]


def _withdraw(period: Period, command: WithdrawAgency) -> list[Event]:
    _require_unpublished(period, command)
    period.the_active(command.agency)
    if command.successor == command.agency:
        raise Rejected("successor-invalid", "an agency cannot follow upon itself", "successor")
    if command.successor is not None:
        period.the_active(command.successor)
    return [
        AgencyWithdrawn(
            agency=command.agency, successor=command.successor, decision=command.decision, dated=command.dated
        )
    ]


def _require_unpublished(period: Period, command: Change) -> None:
    period.the_opened()
    if command.published:
        raise Rejected("period-published", "the index of this period is published")
