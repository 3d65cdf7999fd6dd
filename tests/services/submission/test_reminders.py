"""Reminders: what is due, overdue or missing, at a time that is passed in."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from services.submission.assessment import Request, digest
from services.submission.book import Book, fold, reopened
from services.submission.book import due as book_due
from services.submission.reminders import Reminder, due
from shared.events import Event
from shared.events.submission import (
    AgencyWithdrawn,
    ExplanationClosed,
    ExplanationGiven,
    PointsDeclared,
    SelfAssessmentApproved,
    SelfAssessmentClosed,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
)
from tests.services.submission.samples import DUE, EARLY, LAST, SELF_ASSESSED
from tests.services.submission.test_views import OPENED, OWN, log

WEEK = timedelta(days=7)
SENT = SelfAssessmentSubmitted(agency="a-01", digest="0" * 64, items=(), total=Decimal(0))
UNTIL = LAST + timedelta(days=10)
ESTIMATE = PointsDeclared(agency="a-01", item="2.1", data="1", points=Decimal(1), estimated=True)


def told(*own: Event, closed: bool = False) -> Book:
    after = [("period", SelfAssessmentClosed(submitted=("a-01",), not_submitted=("a-02",)))] if closed else []
    return fold(Book(), log("submission/2024-year", [*OPENED, *((OWN, event) for event in own), *after]))


def of(book: Book, now: datetime, ahead: timedelta = WEEK, agency: str = "a-01", **requests: Any) -> list[Reminder]:
    return [each for each in due(book, requests.get("requests", {}), now, ahead) if each.agency == agency]


def test_a_self_assessment_is_remembered_as_its_due_time_comes_near_and_overdue_from_then_on() -> None:
    assert of(told(), DUE - WEEK - timedelta(seconds=1)) == []
    [soon] = of(told(), DUE - WEEK)
    assert (soon.what, soon.due, soon.until, soon.overdue) == ("self-assessment", DUE, LAST, False)
    assert {each["code"] for each in soon.missing} == {"declaration-missing", "evidence-or-explanation-missing"}
    assert {each["item"] for each in soon.missing} == set(SELF_ASSESSED)
    assert [each.overdue for each in of(told(), DUE)] == [True]


def test_a_whole_self_assessment_lacks_only_the_approval_and_then_nothing() -> None:
    data = {"1.1": "yes", "1.2": "large", "1.3": "4", "2.1": "2.75", "2.2": "yes"}
    points = {"1.1": "2", "1.2": "2", "1.3": "2", "2.1": "2.75", "2.2": "1"}
    own: list[Event] = []
    for item, datum in data.items():
        own.append(PointsDeclared(agency="a-01", item=item, data=datum, points=Decimal(points[item])))
        own.append(ExplanationGiven(agency="a-01", item=item))
    whole = told(*own)
    [lacking] = of(whole, DUE)
    assert [each["code"] for each in lacking.missing] == ["approval-missing"]
    named = digest(whole.dossier("a-01").assessment)
    [ready] = of(told(*own, SelfAssessmentApproved(agency="a-01", digest=named)), DUE)
    assert ready.missing == []


def test_who_has_submitted_is_left_alone_and_who_was_reopened_is_reminded_of_its_own_time() -> None:
    assert of(told(SENT), DUE) == []
    reopened = SelfAssessmentReopened(agency="a-01", until=UNTIL, reason_code="as-declared")
    [line] = of(told(SENT, reopened, closed=True), UNTIL - WEEK)
    assert (line.what, line.due, line.overdue) == ("reopening", UNTIL, False)
    assert of(told(SENT, reopened, SENT), UNTIL) == []


def test_an_unanswered_request_is_remembered_until_it_is_answered_or_closed() -> None:
    requests = {number: Request("a-01", "2.1", UNTIL) for number in (3, 5, 7)} | {9: Request("a-02", "1.1", UNTIL)}
    book = told(
        SENT,
        ExplanationGiven(agency="a-01", item="2.1", request=3),
        ExplanationClosed(agency="a-01", item="2.1", request=5),
    )
    assert of(book, UNTIL - WEEK - timedelta(seconds=1), requests=requests) == []
    [line] = of(book, UNTIL, requests=requests)
    assert (line.what, line.item, line.until, line.overdue) == ("explanation", "2.1", UNTIL, True)


def test_an_estimated_figure_is_remembered_once_the_self_assessment_has_gone_out() -> None:
    assert [each.what for each in of(told(ESTIMATE), EARLY, timedelta())] == []
    assert [(each.what, each.item) for each in of(told(ESTIMATE, SENT), EARLY)] == [("figure-estimated", "2.1")]
    confirmed = ESTIMATE.model_copy(update={"estimated": None})
    assert of(told(ESTIMATE, SENT, confirmed), EARLY) == []


def test_the_most_pressing_comes_first() -> None:
    requests = {3: Request("a-01", "2.1", DUE - timedelta(days=1))}
    lines = due(told(ESTIMATE, SENT), requests, DUE, WEEK)
    assert [(each.agency, each.what) for each in lines] == [
        ("a-01", "explanation"),
        ("a-02", "self-assessment"),
        ("a-01", "figure-estimated"),
    ]


def test_an_agency_that_takes_no_further_part_is_not_reminded_and_nothing_of_it_is_closed() -> None:
    gone = AgencyWithdrawn(agency="a-01", decision="12/QĐ-UBND", dated=EARLY.date())
    reopened_ = SelfAssessmentReopened(agency="a-01", until=UNTIL, reason_code="as-declared")
    requests = {3: Request("a-01", "2.1", UNTIL)}
    stays = told(SENT, reopened_)
    assert book_due(stays, requests, UNTIL).reopenings == (("a-01", 2),)
    assert book_due(stays, requests, UNTIL).requests == ((3, "a-01"),)
    left = fold(stays, log("submission/2024-year", [*[("x", SENT)] * 8, ("period", gone)])[-1:])
    assert of(left, UNTIL, requests=requests) == []
    closing = book_due(left, requests, UNTIL)
    assert (closing.requests, closing.reopenings, reopened(left)) == ((), (), {})
