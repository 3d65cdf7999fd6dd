"""Reminders: what an agency is late with, what is due soon, and what is missing for it. Pure: the time is passed in."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from services.submission import assessment as rules
from services.submission.assessment import Assessment, Requests
from services.submission.book import Book, reopened_until
from services.submission.period import STEP
from services.submission.views import Head
from shared.events import Instant


class Reminder(BaseModel):
    """One thing that an agency has still to do.

    `what`: `self-assessment`, `reopening`, `explanation` (of `item`) or `figure-estimated` (of `item`). `until`: when
    nothing is taken any more, exclusive; absent where no date is set. `overdue`: the due time has passed. `missing`:
    what a submission still lacks.
    """

    agency: str
    name_vi: str
    name_en: str
    what: str
    item: str | None = None
    due: Instant | None = None
    until: Instant | None = None
    overdue: bool = False
    missing: list[dict[str, str]] = []


class RemindersAnswer(BaseModel):
    """The reminders of a period at a moment: the earliest first."""

    period: str
    at: Instant
    days: int
    reminders: list[Reminder]
    heads: dict[str, Head]


def due(book: Book, requests: Requests, now: datetime, ahead: timedelta) -> list[Reminder]:
    """What is overdue or ends within the time ahead, and what has no date; by time, agency and item."""
    found = [
        reminder
        for agency in sorted(book.period.active)
        for reminder in _of(book, agency, requests, now)
        if reminder.overdue or reminder.due is None or reminder.due <= now + ahead
    ]
    dated = [each for each in found if each.due is not None]
    undated = [each for each in found if each.due is None]
    return [*sorted(dated, key=lambda each: (each.due, each.agency, each.what, each.item or "")), *undated]


def answer(
    book: Book, now: datetime, days: int, lines: Sequence[Reminder], heads: Mapping[str, int]
) -> RemindersAnswer:
    """The reminders as they are shown."""
    period = book.period.the_opened().period
    shown = {log: Head(size=size) for log, size in sorted(heads.items())}
    return RemindersAnswer(period=period, at=now, days=days, reminders=list(lines), heads=shown)


def _of(book: Book, agency: str, requests: Requests, now: datetime) -> Iterator[Reminder]:
    state, named = book.dossier(agency).assessment, book.period.the_agency(agency)
    who = {"agency": agency, "name_vi": named.name_vi, "name_en": named.name_en}
    reopened, deadline = reopened_until(state), book.period.the_opened().deadlines.get(STEP)
    if reopened is not None:
        yield Reminder(
            **who,
            what="reopening",
            due=reopened,
            until=reopened,
            overdue=now >= reopened,
            missing=_missing(book, agency, state),
        )
    elif not state.submitted:
        due_time = None if deadline is None else deadline.due
        yield Reminder(
            **who,
            what=STEP,
            due=due_time,
            until=book.period.last_time(STEP),
            overdue=due_time is not None and now >= due_time,
            missing=_missing(book, agency, state),
        )
    for position, request in sorted(requests.items()):
        if request.agency == agency and position not in state.answered:
            until = request.until
            yield Reminder(**who, what="explanation", item=request.item, due=until, until=until, overdue=now >= until)
    if state.submitted or book.period.closed is not None:
        for warning in rules.warnings(state, book.period.rubric_of(agency)):
            yield Reminder(**who, what="figure-estimated", item=warning["item"])


def _missing(book: Book, agency: str, state: Assessment) -> list[dict[str, str]]:
    """The faults of the self-assessment; where it has none, the head's approval if that is missing."""
    found = list(rules.faults(state, book.period.rubric_of(agency)))
    if not found and state.approved != rules.digest(state):
        return [{"code": "approval-missing", "detail": "the agency's head has not approved exactly this"}]
    return found
