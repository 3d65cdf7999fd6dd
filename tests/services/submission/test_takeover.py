"""Taking over an earlier period's declarations: offered item by item, accepted item by item, never unseen."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from services.submission import period as periods
from services.submission.assessment import File, Taken
from services.submission.book import Book, fold, words
from services.submission.evidence import MAX_FILES
from services.submission.self_assessment import DECIDER, Declare, RecordEvidence
from services.submission.takeover import drafts, require_earlier, taken
from shared.decider import Rejected
from shared.events import Event
from shared.events.submission import (
    EvidenceNamed,
    EvidenceUploaded,
    EvidenceWithdrawn,
    NotApplicableClaimed,
    PointsDeclared,
    Source,
)
from shared.rubric import load_rubric
from tests.services.submission.samples import LAST, RUBRIC, opening
from tests.services.submission.test_self_assessment import FILE, after, command, given, refusal, whole
from tests.services.submission.test_views import OWN, log

SOURCE = Source(log="submission/2024-six", position=9)
KEPT = (File("ab" * 32, 9, "application/pdf", "Kế hoạch.pdf"), File("cd" * 32, 7, "image/png", None))
DRAFT = Taken(SOURCE, "2.5", KEPT)
BEFORE: tuple[Event, ...] = (
    PointsDeclared(agency="a-01", item="1.1", data="yes", points=Decimal(2)),
    PointsDeclared(agency="a-01", item="1.2", data="large", points=Decimal(2)),
    PointsDeclared(agency="a-01", item="1.3", data="4", points=Decimal(2)),
    PointsDeclared(agency="a-01", item="2.1", data="2.5", points=Decimal("2.5"), estimated=True),
    EvidenceUploaded(agency="a-01", items=("2.1", "1.1"), sha256="ab" * 32, size=9, media_type="application/pdf"),
    EvidenceNamed(agency="a-01", of=10, name="Kế hoạch.pdf"),
    EvidenceUploaded(agency="a-01", items=("2.1",), sha256="cd" * 32, size=7, media_type="image/png"),
    EvidenceWithdrawn(agency="a-01", sha256="ab" * 32, items=("1.1",)),
    NotApplicableClaimed(agency="a-01", item="2.2"),
)
SIX: dict[str, Any] = {"period": "2024-six", "kind": "six-month", "span": {"from": "2024-01-01", "to": "2024-06-30"}}


def book(*own: Event, rubric: str = RUBRIC, **changes: Any) -> tuple[Book, dict[int, str]]:
    file = opening(rubrics=[load_rubric(rubric).model_dump(mode="json")], **changes)
    opened: Sequence[Event] = periods.decide(periods.Standing(), periods.OpenPeriod(file, 0))
    told = [*(("period", each) for each in opened), *((OWN, each) for each in own)]
    entries = log(f"submission/{file.period}", told)
    return fold(Book(), entries), words(entries)


def take(data: str = "2,5", draft: Taken = DRAFT, **changes: Any) -> Any:
    return command(Declare, item="2.1", data=data, taken=draft, **changes)


def test_drafts_are_offered_item_by_item_with_their_evidence_and_where_they_came_from() -> None:
    earlier, names = book(*BEFORE, **SIX)
    offered = drafts(book()[0], earlier, "a-01", names, {"submission/2024-six": 15}).drafts
    assert [line.item for line in offered] == ["1.1", "1.2", "1.3", "2.1"]
    last = offered[-1]
    assert (last.data, last.points, last.points_then, last.estimated) == ("2.5", Decimal("2.5"), Decimal("2.5"), True)
    assert [(file.sha256[:2], file.name) for file in last.evidence] == [("ab", "Kế hoạch.pdf"), ("cd", None)]
    assert (last.taken_from, last.same_rule, last.taken) == (SOURCE, True, False)
    assert offered[0].evidence == []


def test_a_draft_that_this_periods_rule_refuses_says_why() -> None:
    earlier, names = book(*BEFORE, **SIX)
    lowered = RUBRIC.replace('label: {vi: Chấm tay}, max: "3"', 'label: {vi: Chấm tay}, max: "2"')
    offered = {line.item: line for line in drafts(book(rubric=lowered)[0], earlier, "a-01", names, {}).drafts}
    last = offered["2.1"]
    assert (last.points, last.code, last.same_rule) == (None, "points-above-maximum", False)
    assert offered["1.3"].code == "answer-missing"
    assert offered["1.1"].same_rule


def test_a_draft_that_was_taken_over_is_marked() -> None:
    earlier, names = book(*BEFORE, **SIX)
    accepted = PointsDeclared(agency="a-01", item="2.1", data="2.5", points=Decimal("2.5"), taken_from=SOURCE)
    own = PointsDeclared(agency="a-01", item="2.1", data="2.5", points=Decimal("2.5"))
    assert drafts(book(accepted)[0], earlier, "a-01", names, {}).drafts[-1].taken
    assert not drafts(book(accepted, own)[0], earlier, "a-01", names, {}).drafts[-1].taken


def test_only_the_latest_declaration_of_that_item_is_a_draft() -> None:
    earlier, names = book(*BEFORE, **SIX)
    assert taken(earlier, "a-01", "2.1", 9, names) == DRAFT
    for item, position in (("2.1", 8), ("1.1", 9), ("2.2", 14), ("9.9", 9)):
        with pytest.raises(Rejected) as refused:
            taken(earlier, "a-01", item, position, names)
        assert refused.value.code == "draft-unknown"


def test_only_an_earlier_period_offers_drafts() -> None:
    earlier, _ = book(**SIX)
    require_earlier(book()[0], earlier)
    for now, then in ((earlier, book()[0]), (earlier, earlier)):
        with pytest.raises(Rejected) as refused:
            require_earlier(now, then)
        assert refused.value.code == "period-not-earlier"


def test_a_draft_that_is_taken_over_brings_its_entry_and_its_evidence() -> None:
    assert DECIDER.decide(given(), take()) == [
        PointsDeclared(agency="a-01", item="2.1", data="2.5", points=Decimal("2.5"), taken_from=SOURCE),
        EvidenceUploaded(agency="a-01", items=("2.1",), sha256="ab" * 32, size=9, media_type="application/pdf"),
        EvidenceNamed(agency="a-01", of=21, name="Kế hoạch.pdf"),
        EvidenceUploaded(agency="a-01", items=("2.1",), sha256="cd" * 32, size=7, media_type="image/png"),
    ]
    state = after(given(), take())
    assert (state.items["2.1"].taken_from, len(state.items["2.1"].evidence)) == (SOURCE, 2)


def test_a_file_that_the_item_has_already_comes_only_once() -> None:
    state = after(given(), command(RecordEvidence, items=("2.1",), **FILE))
    kinds = [type(event) for event in DECIDER.decide(state, take())]
    assert kinds == [PointsDeclared, EvidenceUploaded]


def test_nothing_is_taken_over_unseen_nor_after_the_last_time_nor_with_too_many_files() -> None:
    differs = refusal(given(), take("2,25"))
    assert (differs.code, differs.field) == ("draft-differs", "data")
    assert refusal(given(), take(time=LAST)).code == "step-closed"
    many = tuple(File(f"{number:064x}", 1, "application/pdf", None) for number in range(MAX_FILES + 1))
    assert refusal(given(), take(draft=DRAFT._replace(files=many))).code == "evidence-too-many"
    assert refusal(given(), take("9", draft=DRAFT._replace(data="9"))).code == "points-above-maximum"


def test_an_estimate_is_not_confirmed_after_the_last_time_by_taking_a_draft_over() -> None:
    state = after(whole(), command(Declare, item="2.1", data="1", estimated=True))
    assert refusal(state, take(time=LAST)).code == "step-closed"
