"""What the readers of a period's submission log see."""

import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from services.submission import period as periods
from services.submission.assessment import Request
from services.submission.book import Book, Due, due, fold, fold_monitors, fold_requests, reopened, words
from services.submission.views import answer
from shared.decider import Rejected
from shared.events import Entry, Event, canonical, encode, instant, type_tag
from shared.events.appraisal import AppraisalStarted, ExplanationRequested, MonitorAssigned
from shared.events.submission import (
    EvidenceNamed,
    EvidenceUploaded,
    EvidenceWithdrawn,
    ExplanationClosed,
    ExplanationGiven,
    ExplanationWorded,
    NotApplicableClaimed,
    NotApplicableReasoned,
    PointsDeclared,
    ReopeningClosed,
    SelfAssessmentApproved,
    SelfAssessmentClosed,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
)
from shared.rubric import load_rubric
from tests.services.submission.samples import EARLY, LAST, RUBRIC, opening

ACTOR = "0b" * 16
OWN = "self-assessment/a-01"
OPENED = [("period", each) for each in periods.decide(periods.Standing(), periods.OpenPeriod(opening(), 0))]
UNTIL = LAST + timedelta(days=10)


def log(name: str, events: Sequence[tuple[str, Event]], erased: bool = False) -> list[Entry]:
    """The events as entries of a log; `erased` takes the data of those that may be erased."""
    entries, versions = [], dict.fromkeys([stream for stream, _ in events], 0)
    for position, (stream, event) in enumerate(events):
        versions[stream] += 1
        header = {
            "type": type_tag(event, name.partition("/")[0]),
            "subject": stream,
            "position": str(position),
            "version": str(versions[stream]),
            "time": instant(EARLY),
            "actor": ACTOR,
        }
        gone = erased and event.erasable
        entries.append(Entry(name, position, canonical(header), None, None if gone else encode(event)))
    return entries


def book(*own: Event, erased: bool = False) -> tuple[Book, list[Entry]]:
    entries = log("submission/2024-year", [*OPENED, *((OWN, event) for event in own)], erased)
    return fold(Book(), entries), entries


STORY = (
    PointsDeclared(agency="a-01", item="1.1", data="yes", points=Decimal(2)),
    NotApplicableClaimed(agency="a-01", item="2.1"),
    NotApplicableReasoned(agency="a-01", item="2.1", of=7, reason="Không phát sinh"),
    EvidenceUploaded(agency="a-01", items=("1.1",), sha256="ab" * 32, size=9, media_type="application/pdf"),
    EvidenceNamed(agency="a-01", of=9, name="Kế hoạch.pdf"),
    ExplanationGiven(agency="a-01", item="1.1"),
    ExplanationWorded(agency="a-01", item="1.1", of=11, text="Xem trang 3"),
)


def test_a_self_assessment_is_shown_with_the_positions_it_rests_on() -> None:
    read, entries = book(*STORY)
    shown = answer(read, "a-01", {}, words(entries), {"submission/2024-year": len(entries)})
    lines = {line.item: line for line in shown.items}
    assert list(lines) == ["1.1", "1.2", "1.3", "2.1", "2.2"]
    assert (lines["1.1"].position, lines["1.1"].points, lines["1.1"].explanation) == (6, Decimal(2), "Xem trang 3")
    assert (lines["2.1"].position, lines["2.1"].not_applicable, lines["2.1"].reason) == (7, True, "Không phát sinh")
    assert lines["1.2"].position is None
    assert [(line.position, line.name) for line in shown.evidence] == [(9, "Kế hoạch.pdf")]
    assert (shown.version, shown.total, shown.name_en) == (7, Decimal(2), "Social Insurance")
    assert json.loads(shown.model_dump_json())["heads"] == {"submission/2024-year": {"size": 13}}


def test_erased_words_are_gone_and_nothing_else_changes() -> None:
    whole, whole_entries = book(*STORY)
    erased, erased_entries = book(*STORY, erased=True)
    assert words(erased_entries) == {}
    shown = answer(erased, "a-01", {}, words(erased_entries), {})
    assert shown.items[0].explanation is None
    assert shown.digest == answer(whole, "a-01", {}, words(whole_entries), {}).digest


def test_folding_in_pieces_gives_the_same_book() -> None:
    read, entries = book(*STORY)
    assert fold(fold(Book(), entries[:8]), entries[8:]) == read


def test_an_agency_that_did_nothing_yet_is_shown_empty_and_another_is_unknown() -> None:
    read, _ = book()
    assert answer(read, "a-02", {}, {}, {}).version == 0
    with pytest.raises(Rejected) as refused:
        read.dossier("a-99")
    assert refused.value.code == "agency-unknown"
    with pytest.raises(Rejected) as refused:
        Book().dossier("a-01")
    assert refused.value.code == "period-unknown"


def test_requests_are_shown_open_answered_or_closed() -> None:
    requests = {number: Request("a-01", "2.1", UNTIL) for number in (3, 5, 7)} | {9: Request("a-02", "1.1", UNTIL)}
    read, entries = book(
        ExplanationGiven(agency="a-01", item="2.1", request=3),
        ExplanationWorded(agency="a-01", item="2.1", of=6, text="Đã làm"),
        ExplanationClosed(agency="a-01", item="2.1", request=5),
    )
    shown = answer(read, "a-01", requests, words(entries), {}).requests
    assert [(line.request, line.state, line.answer) for line in shown] == [
        (3, "answered", "Đã làm"),
        (5, "closed", None),
        (7, "open", None),
    ]


def test_the_appraisal_log_says_what_is_asked() -> None:
    events = [
        ("period", AppraisalStarted(period="2024-year", of=0)),
        ("appraisal/a-01", ExplanationRequested(agency="a-01", item="2.1", until=UNTIL, reason_code="evidence")),
    ]
    assert fold_requests({}, log("appraisal/2024-year", events)) == {1: Request("a-01", "2.1", UNTIL)}


def test_the_step_is_due_at_its_last_time_and_not_again_once_closed() -> None:
    read, _ = book()
    assert due(read, {}, LAST - timedelta(microseconds=1)) == Due(False, ())
    assert due(read, {}, LAST) == Due(True, ())
    closed = fold(Book(), log("l", [*OPENED, ("period", SelfAssessmentClosed(submitted=(), not_submitted=("a-01",)))]))
    assert due(closed, {}, LAST) == Due(False, ())
    assert due(Book(), {}, LAST) == Due(False, ())


def test_a_request_is_due_when_its_time_has_ended_without_an_answer() -> None:
    requests = {3: Request("a-01", "2.1", UNTIL), 5: Request("a-01", "1.1", UNTIL), 7: Request("a-99", "1.1", UNTIL)}
    read, _ = book(ExplanationGiven(agency="a-01", item="2.1", request=3))
    assert due(read, requests, UNTIL - timedelta(seconds=1)).requests == ()
    assert due(read, requests, UNTIL).requests == ((5, "a-01"),)


def test_a_reopening_is_due_at_its_own_last_time_and_shown_until_then() -> None:
    until = LAST + timedelta(days=5)
    submitted = SelfAssessmentSubmitted(agency="a-01", digest="0" * 64, items=(), total=Decimal(0))
    reopening = SelfAssessmentReopened(agency="a-01", until=until, reason_code="as-declared")
    read, _ = book(submitted, reopening)
    shown = answer(read, "a-01", {}, {}, {})
    assert (shown.submitted, shown.reopened, reopened(read)) == (None, until, {"a-01": until})
    assert due(read, {}, until - timedelta(microseconds=1)).reopenings == ()
    assert due(read, {}, until).reopenings == (("a-01", 2),)
    for last, stands in ((submitted, EARLY), (ReopeningClosed(agency="a-01", submitted=True), EARLY),
                         (ReopeningClosed(agency="a-01", submitted=False), None)):  # fmt: skip
        ended, _ = book(submitted, reopening, last)
        assert due(ended, {}, until).reopenings == ()
        assert answer(ended, "a-01", {}, {}, {}).submitted == stands
        assert reopened(ended) == {}


def test_the_heads_signature_line_says_who_approved_what_when_and_whether_it_still_stands() -> None:
    read, _ = book(STORY[0])
    named = answer(read, "a-01", {}, {}, {}).digest
    assert answer(read, "a-01", {}, {}, {}).approval is None
    signed, _ = book(STORY[0], SelfAssessmentApproved(agency="a-01", digest=named))
    line = answer(signed, "a-01", {}, {}, {}).approval
    assert line is not None
    assert (line.position, line.actor, line.time, line.digest, line.stands) == (7, ACTOR, EARLY, named, True)
    changed, _ = book(STORY[0], SelfAssessmentApproved(agency="a-01", digest=named), STORY[1])
    shown = answer(changed, "a-01", {}, {}, {})
    assert shown.approval is not None
    assert (shown.approval.stands, shown.approved, shown.approval.digest) == (False, False, named)


def test_a_withdrawn_file_stays_in_the_list_with_the_items_that_it_left() -> None:
    gone = EvidenceWithdrawn(agency="a-01", sha256="ab" * 32, items=("1.1",))
    read, entries = book(*STORY, gone)
    shown = answer(read, "a-01", {}, words(entries), {})
    assert [(line.items, line.withdrawn, line.name) for line in shown.evidence] == [(["1.1"], ["1.1"], "Kế hoạch.pdf")]
    assert shown.items[0].evidence == []
    again, _ = book(*STORY, gone, STORY[3])
    assert [line.withdrawn for line in answer(again, "a-01", {}, {}, {}).evidence] == [["1.1"], []]


def test_the_time_of_the_submission_is_shown() -> None:
    read, _ = book(SelfAssessmentSubmitted(agency="a-01", digest="0" * 64, items=(), total=Decimal(0)))
    assert answer(read, "a-01", {}, {}, {}).submitted == EARLY
    assert read.standing.submitted == {"a-01"}


def test_each_item_bears_its_guidance_its_rule_and_who_follows_it() -> None:
    events = [
        ("period", MonitorAssigned(monitor="0e" * 16, group="central", fields=("1",))),
        ("period", MonitorAssigned(monitor="0d" * 16, group="central", fields=("1", "2"))),
        ("period", MonitorAssigned(monitor="0d" * 16, group="central", fields=("1",))),
        ("period", MonitorAssigned(monitor="0c" * 16, group="communes", fields=("2",))),
    ]
    guided = RUBRIC.replace(
        'label: {vi: Kế hoạch}, max: "2"',
        'label: {vi: Kế hoạch}, max: "2", guidance: Ban hành trước 31-1, evidence: Quyết định ban hành',
    )
    opened = periods.decide(
        periods.Standing(), periods.OpenPeriod(opening(rubrics=[load_rubric(guided).model_dump(mode="json")]), 0)
    )
    read = fold(Book(), log("submission/2024-year", [("period", each) for each in opened]))
    shown = answer(read, "a-01", {}, {}, {}, fold_monitors({}, log("appraisal/2024-year", events)))
    first, last = shown.items[0], shown.items[-1]
    assert (first.guidance, first.proof, first.rule.kind) == ("Ban hành trước 31-1", "Quyết định ban hành", "yes-no")
    assert (first.monitors, last.monitors) == (["0d" * 16, "0e" * 16], [])
