"""The self-assessment of an agency: what it may declare, and what its submission needs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.submission import period as periods
from services.submission.assessment import Assessment, Request, digest
from services.submission.self_assessment import (
    DECIDER,
    Approve,
    ClaimNotApplicable,
    CloseExplanation,
    Command,
    Declare,
    Explain,
    RecordEvidence,
    Submit,
)
from shared.decider import Rejected, fold
from shared.events import Event
from shared.events.submission import (
    EvidenceNamed,
    EvidenceUploaded,
    ExplanationClosed,
    ExplanationGiven,
    ExplanationWorded,
    NotApplicableClaimed,
    NotApplicableReasoned,
    PeriodStarted,
    PointsDeclared,
    SelfAssessmentApproved,
    SelfAssessmentClosed,
    SelfAssessmentSubmitted,
)
from tests.services.submission.samples import EARLY, LAST, SELF_ASSESSED, opening

OPENED = tuple(periods.DECIDER.decide(periods.Standing(), periods.OpenPeriod(opening(), 0)))
FILE: dict[str, Any] = {"sha256": "ab" * 32, "size": 1000, "media_type": "application/pdf", "name": "Kế hoạch.pdf"}
UNTIL = LAST + timedelta(days=10)
REQUESTS = {4: Request("a-01", "2.1", UNTIL), 6: Request("a-02", "1.1", UNTIL), 8: Request("a-01", "2.3", UNTIL)}


def command(kind: type[Any], time: datetime = EARLY, published: bool = False, agency: str = "a-01", **own: Any) -> Any:
    return kind(agency=agency, time=time, position=20, published=published, **own)


def given(*events: Event, opened: Sequence[Event] = OPENED) -> Assessment:
    return fold(DECIDER, [*opened, *events])


def after(state: Assessment, *commands: Command) -> Assessment:
    for each in commands:
        for event in DECIDER.decide(state, each):
            if not event.erasable:
                state = DECIDER.evolve(state, event)
    return state


def refusal(state: Assessment, asked: Command) -> Rejected:
    with pytest.raises(Rejected) as refused:
        DECIDER.decide(state, asked)
    return refused.value


def whole() -> Assessment:
    """Every self-assessed item declared and backed by a file."""
    data = {"1.1": "Có", "1.2": "large", "1.3": "4", "2.1": "2,75", "2.2": "yes"}
    declared = [command(Declare, item=item, data=datum) for item, datum in data.items()]
    return after(given(), *declared, command(RecordEvidence, items=SELF_ASSESSED, **FILE))


def approved(state: Assessment) -> Assessment:
    return after(state, command(Approve, digest=digest(state)))


def test_declared_data_are_recorded_canonically_with_the_points_that_follow() -> None:
    events = DECIDER.decide(given(), command(Declare, item="2.1", data=" 2,75 "))
    assert events == [PointsDeclared(agency="a-01", item="2.1", data="2.75", points=Decimal("2.75"))]


def test_a_later_declaration_replaces_the_earlier_one() -> None:
    state = after(given(), command(Declare, item="1.1", data="yes"), command(Declare, item="1.1", data="no"))
    assert (state.items["1.1"].data, state.items["1.1"].points) == ("no", Decimal(0))


def test_the_answer_to_another_item_chooses_the_rule() -> None:
    state = after(given(), command(Declare, item="1.2", data="small"), command(Declare, item="1.3", data="1"))
    assert state.items["1.3"].points == Decimal("1.5")


@pytest.mark.parametrize(
    ("item", "data", "code"),
    [
        ("9.9", "yes", "item-unknown"),
        ("2.3", "1", "item-not-self-assessed"),
        ("2.4", "4", "item-not-self-assessed"),
        ("1.1", "maybe", "data-invalid"),
        ("1.2", "huge", "level-unknown"),
        ("1.3", "1", "answer-missing"),
        ("2.1", "3.25", "points-above-maximum"),
        ("2.1", "0.3", "points-off-step"),
        ("2.1", "-1", "points-negative"),
    ],
)
def test_a_declaration_that_the_rubric_refuses_names_the_item(item: str, data: str, code: str) -> None:
    refused = refusal(given(), command(Declare, item=item, data=data))
    assert (refused.code, refused.field) == (code, item)


def test_a_claim_of_not_applicable_records_its_reason_beside_it() -> None:
    events = DECIDER.decide(given(), command(ClaimNotApplicable, item="2.1", reason=" Không có nhiệm vụ này "))
    assert events == [
        NotApplicableClaimed(agency="a-01", item="2.1"),
        NotApplicableReasoned(agency="a-01", item="2.1", of=20, reason="Không có nhiệm vụ này"),
    ]


def test_a_claim_replaces_the_data_and_a_declaration_replaces_the_claim() -> None:
    state = after(
        given(),
        command(Declare, item="2.1", data="1"),
        command(ClaimNotApplicable, item="2.1", reason="Không phát sinh"),
    )
    assert (state.items["2.1"].data, state.items["2.1"].not_applicable) == (None, True)
    again = after(state, command(Declare, item="2.1", data="2"))
    assert (again.items["2.1"].data, again.items["2.1"].not_applicable) == ("2", False)


def test_a_claim_without_a_reason_is_refused() -> None:
    refused = refusal(given(), command(ClaimNotApplicable, item="2.1", reason="  "))
    assert (refused.code, refused.field) == ("reason-missing", "reason")


def test_a_reason_that_no_entry_can_hold_is_refused() -> None:
    assert refusal(given(), command(ClaimNotApplicable, item="2.1", reason="x" * 4001)).code == "text-too-long"


def test_a_claim_on_an_item_that_always_applies_is_refused() -> None:
    refused = refusal(given(), command(ClaimNotApplicable, item="1.1", reason="Không có"))
    assert (refused.code, refused.field) == ("item-always-applies", "1.1")


def test_an_explanation_is_recorded_with_its_words_beside_it() -> None:
    events = DECIDER.decide(given(), command(Explain, item="2.1", text="Theo báo cáo số 12"))
    assert events == [
        ExplanationGiven(agency="a-01", item="2.1"),
        ExplanationWorded(agency="a-01", item="2.1", of=20, text="Theo báo cáo số 12"),
    ]


def test_evidence_is_recorded_for_its_items_with_its_name_beside_it() -> None:
    events = DECIDER.decide(given(), command(RecordEvidence, items=("1.1", "2.1", "1.1"), **FILE))
    assert events == [
        EvidenceUploaded(
            agency="a-01", items=("1.1", "2.1"), sha256="ab" * 32, size=1000, media_type="application/pdf"
        ),
        EvidenceNamed(agency="a-01", of=20, name="Kế hoạch.pdf"),
    ]


def test_the_same_file_for_the_same_items_appends_nothing() -> None:
    record = command(RecordEvidence, items=("1.1",), **FILE)
    assert DECIDER.decide(after(given(), record), record) == []


def test_an_item_takes_no_more_than_twenty_files() -> None:
    files = [command(RecordEvidence, items=("1.1",), **{**FILE, "sha256": f"{number:064x}"}) for number in range(20)]
    refused = refusal(after(given(), *files), command(RecordEvidence, items=("1.1",), **FILE))
    assert (refused.code, refused.field) == ("evidence-too-many", "1.1")


@pytest.mark.parametrize(
    ("items", "code"), [((), "item-unknown"), (("9.9",), "item-unknown"), (("2.3",), "item-not-self-assessed")]
)
def test_evidence_must_serve_self_assessed_items(items: tuple[str, ...], code: str) -> None:
    assert refusal(given(), command(RecordEvidence, items=items, **FILE)).code == code


@pytest.mark.parametrize("name", ["", "  ", "a/", "x" * 256, "a\x00.pdf"])
def test_evidence_without_a_usable_name_is_refused(name: str) -> None:
    refused = refusal(given(), command(RecordEvidence, items=("1.1",), **{**FILE, "name": name}))
    assert (refused.code, refused.field) == ("name-invalid", "name")


def test_the_head_approves_exactly_what_the_digest_names() -> None:
    state = whole()
    approval = SelfAssessmentApproved(agency="a-01", digest=digest(state))
    assert DECIDER.decide(state, command(Approve, digest=digest(state))) == [approval]
    assert DECIDER.decide(approved(state), command(Approve, digest=digest(state))) == []


def test_an_approval_of_another_digest_is_refused() -> None:
    refused = refusal(whole(), command(Approve, digest="0" * 64))
    assert (refused.code, refused.field) == ("digest-differs", "digest")


@pytest.mark.parametrize(
    "change",
    [
        command(Declare, item="2.1", data="2.5"),
        command(ClaimNotApplicable, item="2.1", reason="Không phát sinh"),
        command(Explain, item="2.1", text="Bổ sung"),
        command(RecordEvidence, items=("2.1",), **{**FILE, "sha256": "cd" * 32}),
    ],
)
def test_every_change_after_the_approval_voids_it(change: Command) -> None:
    assert refusal(after(approved(whole()), change), command(Submit)).code == "approval-missing"


def test_a_new_wording_of_an_explanation_is_a_new_digest() -> None:
    once = after(whole(), command(Explain, item="2.1", text="Lần một"))
    assert digest(after(once, command(Explain, item="2.1", text="Lần hai"))) != digest(once)


def test_the_digest_does_not_depend_on_the_order_of_the_declarations() -> None:
    one, two = command(Declare, item="1.1", data="yes"), command(Declare, item="2.1", data="1")
    assert digest(after(given(), one, two)) == digest(after(given(), two, one))


def test_a_whole_and_approved_self_assessment_is_submitted_with_points_and_total() -> None:
    state = approved(whole())
    (event,) = DECIDER.decide(state, command(Submit, digest=digest(state)))
    assert isinstance(event, SelfAssessmentSubmitted)
    assert [(each.item, each.points) for each in event.items] == [
        ("1.1", Decimal(2)),
        ("1.2", Decimal(2)),
        ("1.3", Decimal(2)),
        ("2.1", Decimal("2.75")),
        ("2.2", Decimal(1)),
    ]
    # 2 + 2 + 4 × 0.5 + 2.75 in the appraisal part, and the bonus of 1 outside of it
    assert event.total == Decimal("9.75")
    assert event.digest == digest(state)


def test_a_claim_needs_no_evidence_and_counts_nothing_in_the_total() -> None:
    state = approved(after(whole(), command(ClaimNotApplicable, item="2.2", reason="Không có sáng kiến")))
    (event,) = DECIDER.decide(state, command(Submit))
    assert isinstance(event, SelfAssessmentSubmitted)
    assert (event.items[-1].not_applicable, event.total) == (True, Decimal("8.75"))


def test_an_incomplete_self_assessment_is_refused_naming_each_item() -> None:
    state = after(
        given(), command(Declare, item="1.1", data="yes"), command(Explain, item="1.2", text="Theo quyết định")
    )
    refused = refusal(state, command(Submit))
    assert refused.code == "self-assessment-incomplete"
    assert [(error["item"], error["code"]) for error in refused.errors] == [
        ("1.1", "evidence-or-explanation-missing"),
        ("1.2", "declaration-missing"),
        ("1.3", "declaration-missing"),
        ("1.3", "evidence-or-explanation-missing"),
        ("2.1", "declaration-missing"),
        ("2.1", "evidence-or-explanation-missing"),
        ("2.2", "declaration-missing"),
        ("2.2", "evidence-or-explanation-missing"),
    ]


def test_points_that_no_longer_follow_from_another_items_data_hold_up_the_submission() -> None:
    stale = approved(after(whole(), command(Declare, item="1.2", data="small")))
    refused = refusal(stale, command(Submit))
    assert [(error["item"], error["code"]) for error in refused.errors] == [("1.3", "declaration-stale")]
    mended = approved(after(stale, command(Declare, item="1.3", data="2")))
    assert len(DECIDER.decide(mended, command(Submit))) == 1


def test_a_submission_without_the_heads_approval_is_refused() -> None:
    assert refusal(whole(), command(Submit)).code == "approval-missing"


def test_a_submission_of_another_digest_is_refused() -> None:
    assert refusal(approved(whole()), command(Submit, digest="0" * 64)).code == "digest-differs"


CHANGES = [
    command(Declare, item="1.1", data="yes"),
    command(ClaimNotApplicable, item="2.1", reason="Không phát sinh"),
    command(Explain, item="1.1", text="Giải thích"),
    command(RecordEvidence, items=("1.1",), **{**FILE, "sha256": "cd" * 32}),
    command(Approve, digest="0" * 64),
    command(Submit),
]


@pytest.mark.parametrize("asked", CHANGES)
def test_nothing_changes_after_the_submission(asked: Command) -> None:
    state = approved(whole())
    assert refusal(after(state, command(Submit)), asked).code == "already-submitted"


@pytest.mark.parametrize("asked", CHANGES)
def test_nothing_changes_from_the_last_time_on(asked: Command) -> None:
    late = type(asked)(**{**asked.__dict__, "time": LAST})
    assert refusal(whole(), late).code == "step-closed"


def test_lateness_is_tolerated_until_the_last_time() -> None:
    late = command(Declare, time=LAST - timedelta(microseconds=1), item="1.1", data="yes")
    assert len(DECIDER.decide(given(), late)) == 1


def test_nothing_changes_after_the_step_was_closed_early() -> None:
    closed = SelfAssessmentClosed(submitted=(), not_submitted=("a-01", "a-02"))
    assert refusal(given(closed), command(Declare, item="1.1", data="yes")).code == "step-closed"


@pytest.mark.parametrize("asked", [*CHANGES, command(CloseExplanation, time=UNTIL, request=4, requests=REQUESTS)])
def test_everything_is_refused_once_the_index_is_published(asked: Command) -> None:
    published = type(asked)(**{**asked.__dict__, "published": True})
    assert refusal(whole(), published).code == "period-published"


def test_nothing_is_declared_before_the_period_has_started() -> None:
    opened = [event for event in OPENED if not isinstance(event, PeriodStarted)]
    assert refusal(given(opened=opened), command(Declare, item="1.1", data="yes")).code == "period-not-started"
    assert refusal(given(opened=()), command(Declare, item="1.1", data="yes")).code == "period-unknown"


def test_an_agency_that_is_not_in_the_period_declares_nothing() -> None:
    refused = refusal(given(), command(Declare, agency="a-99", item="1.1", data="yes"))
    assert (refused.code, refused.field) == ("agency-unknown", "agency")


def answer(time: datetime = LAST, **changes: Any) -> Any:
    return command(
        Explain, time, **{"item": "2.1", "text": "Giải trình", "request": 4, "requests": REQUESTS, **changes}
    )


def test_a_request_for_explanation_is_answered_after_the_step_has_closed() -> None:
    closed = SelfAssessmentClosed(submitted=(), not_submitted=("a-01", "a-02"))
    events = DECIDER.decide(given(closed), answer())
    assert events[0] == ExplanationGiven(agency="a-01", item="2.1", request=4)
    assert isinstance(events[1], ExplanationWorded)


@pytest.mark.parametrize("changes", [{"request": 5}, {"request": 6}, {"item": "1.1"}])
def test_a_request_that_is_not_the_agencys_own_about_this_item_is_unknown(changes: dict[str, Any]) -> None:
    refused = refusal(given(), answer(**changes))
    assert (refused.code, refused.field) == ("request-unknown", "request")


def test_a_request_is_answered_once() -> None:
    assert refusal(after(given(), answer()), answer()).code == "request-answered"


def test_an_answer_after_its_time_is_refused() -> None:
    assert refusal(given(), answer(time=UNTIL)).code == "request-closed"


def test_an_answer_needs_its_words() -> None:
    assert refusal(given(), answer(text="")).code == "reason-missing"


def test_further_files_are_taken_for_an_item_under_an_open_request() -> None:
    state = after(approved(whole()), command(Submit))
    further = {**FILE, "sha256": "cd" * 32}
    for item in ("2.1", "2.3"):  # the second is appraised only, and asked about
        events = DECIDER.decide(state, command(RecordEvidence, LAST, items=(item,), requests=REQUESTS, **further))
        assert isinstance(events[0], EvidenceUploaded)
    late = command(RecordEvidence, UNTIL, items=("2.1",), requests=REQUESTS, **further)
    assert refusal(state, late).code == "already-submitted"


def test_an_unanswered_request_closes_when_its_time_has_ended() -> None:
    close = command(CloseExplanation, UNTIL, request=4, requests=REQUESTS)
    events = DECIDER.decide(given(), close)
    assert events == [ExplanationClosed(agency="a-01", item="2.1", request=4)]
    assert DECIDER.decide(given(*events), close) == []
    assert DECIDER.decide(after(given(), answer()), close) == []


def test_a_request_is_not_closed_before_its_time_nor_for_another_agency() -> None:
    early = command(CloseExplanation, UNTIL - timedelta(seconds=1), request=4, requests=REQUESTS)
    assert refusal(given(), early).code == "request-open"
    foreign = command(CloseExplanation, UNTIL, request=6, requests=REQUESTS)
    assert refusal(given(), foreign).code == "request-unknown"


def test_an_answer_after_the_request_was_closed_is_refused() -> None:
    closed = ExplanationClosed(agency="a-01", item="2.1", request=4)
    assert refusal(given(closed), answer()).code == "request-answered"
