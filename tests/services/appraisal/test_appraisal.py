"""Given what happened, when a command comes, then these events or that refusal: the appraisal of one agency."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from services.appraisal.appraisal import (
    DECIDER,
    Adjust,
    Appraise,
    Close,
    Command,
    Open,
    Recognise,
    RequestExplanation,
)
from services.appraisal.case import Case, Declared
from shared.decider import Rejected, fold
from shared.events import Event
from shared.events.appraisal import (
    AdjustmentReasoned,
    AgencyAppraised,
    AgencyOpened,
    AppraisalReasoned,
    AppraiserAssigned,
    CouncilAdjusted,
    CouncilSeated,
    ExplanationAsked,
    ExplanationRequested,
    ItemAppraised,
    Tally,
)
from shared.rubric import Council, load_rubric
from tests.services.submission.samples import RUBRIC

NOW = datetime(2024, 12, 10, 3, tzinfo=UTC)
APPRAISER, CHAIR = "a" * 32, "c" * 32
OPENED = AgencyOpened(agency="agency-01", submitted=True, of=40)
ASSIGNED = AppraiserAssigned(appraiser=APPRAISER, group="central", fields=("1", "2"))
SEATED = CouncilSeated(chair=CHAIR, members=(CHAIR, "d" * 32))
GIVEN: tuple[Event, ...] = (ASSIGNED, SEATED, OPENED)
DECLARED = {
    "1.1": Declared(10, "yes"),
    "1.2": Declared(11, "large"),
    "1.3": Declared(12, "3"),
    "2.1": Declared(13, "2.5"),
    "2.2": Declared(14, None),
}
CARRIED = Tally(members=10, in_favour=6, against=2, abstained=1, in_writing=3)


def case(
    actor: str = APPRAISER,
    declared: Mapping[str, Declared] = DECLARED,
    answered: Mapping[str, int] | None = None,
    published: bool = False,
) -> Case:
    return Case(
        actor=actor,
        agency="agency-01",
        group="central",
        time=NOW,
        position=100,
        rubric=load_rubric(RUBRIC),
        council=Council(members=10),
        declared=declared,
        answered=answered or {},
        published=published,
    )


def when(command: Command, given: tuple[Event, ...] = GIVEN) -> list[Event]:
    return list(DECIDER.decide(fold(DECIDER, given), command))


def refused(command: Command, given: tuple[Event, ...] = GIVEN) -> Rejected:
    with pytest.raises(Rejected) as caught:
        when(command, given)
    return caught.value


def recognise(*items: str, in_field: str | None = None, on: Case | None = None, **changes: object) -> Recognise:
    whole = Recognise(on or case(), items, in_field, {}, "as-declared", "Đủ tài liệu kiểm chứng")
    return replace(whole, **changes)  # type: ignore[arg-type]


def correct(item: str, data: str | None = "no", on: Case | None = None, **changes: object) -> Appraise:
    whole = Appraise(on or case(), item, data, False, DECLARED[item].position if item in DECLARED else None,
                     "as-declared", "Thiếu quyết định ban hành")  # fmt: skip
    return replace(whole, **changes)  # type: ignore[arg-type]


def adjust(item: str, data: str | None = "yes", on: Case | None = None, **changes: object) -> Adjust:
    whole = Adjust(on or case(CHAIR), item, data, False, "12/NQ-HĐTĐ", CARRIED, "as-declared", "Bổ sung minh chứng")
    return replace(whole, **changes)  # type: ignore[arg-type]


def appraised(
    item: str,
    data: str | None,
    points: str | None,
    judged: int | None,
    *,
    not_applicable: bool = False,
    by: str | None = APPRAISER,
) -> Event:
    return ItemAppraised(
        agency="agency-01",
        item=item,
        data=data,
        points=None if points is None else Decimal(points),
        not_applicable=not_applicable,
        judged=judged,
        recognised=True,
        reason_code="as-declared",
        appraiser=by,
    )


ALL_APPRAISED = (
    appraised("1.1", "yes", "2", 10),
    appraised("1.2", "large", "2", 11),
    appraised("1.3", "3", "1.5", 12),
    appraised("2.1", "2.5", "2.5", 13),
    appraised("2.2", None, None, 14, not_applicable=True),
    appraised("2.3", "0", "0", None),
)


def test_a_submission_opens_the_appraisal_once() -> None:
    assert when(Open("agency-01", True, 40), ()) == [OPENED]
    assert when(Open("agency-01", True, 40)) == []


def test_an_item_is_recognised_as_declared_with_its_reason_and_the_position_judged() -> None:
    assert when(recognise("1.1")) == [
        appraised("1.1", "yes", "2", 10),
        AppraisalReasoned(agency="agency-01", item="1.1", of=100, reason="Đủ tài liệu kiểm chứng"),
    ]


def test_recognising_a_claim_accepts_that_the_item_does_not_apply() -> None:
    assert when(recognise("2.2"))[0] == appraised("2.2", None, None, 14, not_applicable=True)


def test_a_field_is_recognised_in_one_command_with_an_entry_for_each_remaining_item() -> None:
    events = when(recognise(in_field="1"), (*GIVEN, ALL_APPRAISED[0]))
    assert [event.item for event in events if isinstance(event, ItemAppraised)] == ["1.2", "1.3"]
    assert [event.of for event in events if isinstance(event, AppraisalReasoned)] == [100, 102]


def test_corrected_data_give_their_points_by_the_items_own_rule() -> None:
    [entry, _] = when(correct("1.3", "1"))
    assert isinstance(entry, ItemAppraised)
    assert (entry.data, entry.points, entry.judged, entry.recognised) == ("1", Decimal("0.5"), 12, False)


def test_a_corrected_answer_chooses_the_rule_of_the_item_that_depends_on_it() -> None:
    [entry, _] = when(correct("1.3", "1"), (*GIVEN, appraised("1.2", "small", "1", 11)))
    assert isinstance(entry, ItemAppraised)
    assert entry.points == Decimal("1.5")


def test_a_claim_is_refused_by_setting_data() -> None:
    [entry, _] = when(correct("2.2", "no"))
    assert isinstance(entry, ItemAppraised)
    assert (entry.not_applicable, entry.points, entry.judged) == (False, Decimal(0), 14)


def test_a_request_asks_before_a_date_and_keeps_the_question_apart() -> None:
    until = NOW + timedelta(days=5)
    assert when(RequestExplanation(case(), "1.1", until, "as-declared", "Căn cứ nào?")) == [
        ExplanationRequested(agency="agency-01", item="1.1", until=until, reason_code="as-declared"),
        ExplanationAsked(agency="agency-01", item="1.1", of=100, question="Căn cứ nào?"),
    ]


def test_the_council_adjusts_with_resolution_vote_and_reason() -> None:
    assert when(adjust("1.1", "no")) == [
        CouncilAdjusted(
            agency="agency-01",
            item="1.1",
            data="no",
            points=Decimal(0),
            resolution="12/NQ-HĐTĐ",
            tally=CARRIED,
            reason_code="as-declared",
        ),
        AdjustmentReasoned(agency="agency-01", item="1.1", of=100, reason="Bổ sung minh chứng"),
    ]


def test_the_council_may_adjust_after_the_agency_is_closed() -> None:
    assert when(adjust("1.1"), (*GIVEN, *ALL_APPRAISED, AgencyAppraised(agency="agency-01")))


def test_an_agency_closes_when_every_item_has_a_value() -> None:
    assert when(Close(case()), (*GIVEN, *ALL_APPRAISED)) == [AgencyAppraised(agency="agency-01")]


def test_the_councils_value_closes_an_item_too() -> None:
    adjusted = when(adjust("1.1"))[0]
    assert when(Close(case()), (*GIVEN, *ALL_APPRAISED[1:], adjusted)) == [AgencyAppraised(agency="agency-01")]


def closing_faults(given: tuple[Event, ...], on: Case | None = None) -> list[tuple[str, str]]:
    rejected = refused(Close(on or case()), given)
    assert rejected.code == "leaf-open"
    return [(error["item"], error["code"]) for error in rejected.errors]


def test_an_open_item_holds_the_closing_up_and_is_named() -> None:
    assert closing_faults((*GIVEN, *ALL_APPRAISED[2:])) == [("1.1", "leaf-open"), ("1.2", "leaf-open")]


def test_a_later_declaration_holds_the_closing_up() -> None:
    later = case(declared={**DECLARED, "1.1": Declared(55, "no")})
    assert closing_faults((*GIVEN, *ALL_APPRAISED), later) == [("1.1", "declaration-later")]


def test_a_value_whose_rule_was_changed_under_it_holds_the_closing_up() -> None:
    assert closing_faults((*GIVEN, *ALL_APPRAISED, appraised("1.2", "small", "1", 11))) == [("1.3", "leaf-outdated")]


def test_an_unanswered_request_holds_the_closing_up_until_it_is_settled() -> None:
    asked = when(RequestExplanation(case(), "1.1", NOW + timedelta(days=5), "as-declared", "Căn cứ nào?"))
    given = (*GIVEN, *ALL_APPRAISED, *asked)
    assert closing_faults(given) == [("1.1", "explanation-open")]
    assert when(Close(case(answered={"1.1": 1})), given) == [AgencyAppraised(agency="agency-01")]


REFUSALS: dict[str, tuple[Command, tuple[Event, ...]]] = {
    "appraisal-not-open": (recognise("1.1"), (ASSIGNED, SEATED)),
    "period-published": (recognise("1.1", on=case(published=True)), GIVEN),
    "agency-closed": (recognise("1.1"), (*GIVEN, AgencyAppraised(agency="agency-01"))),
    "reason-missing": (recognise("1.1", reason="  "), GIVEN),
    "reason-code-unknown": (recognise("1.1", reason_code="because"), GIVEN),
    "field-not-assigned": (recognise("1.1", on=case("b" * 32)), GIVEN),
    "field-unknown": (recognise(in_field="9"), GIVEN),
    "nothing-remaining": (recognise(in_field="1"), (*GIVEN, *ALL_APPRAISED)),
    "nothing-declared": (recognise("2.3"), GIVEN),
    "items-invalid": (recognise("1.1", "1.1"), GIVEN),
    "item-unknown": (correct("7.7"), GIVEN),
    "item-surveyed": (correct("2.4", "3"), GIVEN),
    "declaration-changed": (correct("1.1", judged=9), GIVEN),
    "data-invalid": (correct("1.3", "nhiều"), GIVEN),
    "must-apply": (correct("1.1", None, not_applicable=True), GIVEN),
    "points-off-step": (correct("2.1", "2,6"), GIVEN),
    "points-above-maximum": (correct("2.1", "3,25"), GIVEN),
    "level-unknown": (correct("1.2", "huge"), GIVEN),
    "until-passed": (RequestExplanation(case(), "1.1", NOW, "as-declared", "Căn cứ nào?"), GIVEN),
    "explanation-open": (
        RequestExplanation(case(), "1.1", NOW + timedelta(days=9), "as-declared", "Căn cứ nào?"),
        (*GIVEN, ExplanationRequested(agency="agency-01", item="1.1", until=NOW, reason_code="as-declared")),
    ),
    "not-the-chair": (adjust("1.1", on=case("d" * 32)), GIVEN),
    "not-carried": (adjust("1.1", tally=CARRIED.model_copy(update={"in_favour": 5})), GIVEN),
    "tally-invalid": (adjust("1.1", tally=CARRIED.model_copy(update={"against": 5})), GIVEN),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_command_against_the_rules_is_refused_with_its_code(code: str) -> None:
    command, given = REFUSALS[code]
    assert refused(command, given).code == code


def test_exactly_half_of_the_members_do_not_carry() -> None:
    assert refused(adjust("1.1", tally=CARRIED.model_copy(update={"in_favour": 5}))).code == "not-carried"
    assert when(adjust("1.1", tally=CARRIED.model_copy(update={"in_favour": 6})))


def test_a_tally_of_another_council_size_is_refused() -> None:
    assert refused(adjust("1.1", tally=CARRIED.model_copy(update={"members": 9}))).code == "tally-invalid"


def test_an_appraiser_of_another_group_has_no_say() -> None:
    other = AppraiserAssigned(appraiser=APPRAISER, group="communes", fields=("1", "2"))
    assert refused(recognise("1.1"), (other, SEATED, OPENED)).code == "field-not-assigned"


def test_an_assignment_taken_away_no_longer_counts() -> None:
    none = AppraiserAssigned(appraiser=APPRAISER, group="central", fields=())
    assert refused(recognise("1.1"), (*GIVEN, none)).code == "field-not-assigned"


def test_a_later_submission_opens_the_agency_again_and_an_earlier_one_does_not() -> None:
    closed = (*GIVEN, AgencyAppraised(agency="agency-01"))
    again = AgencyOpened(agency="agency-01", submitted=True, of=90)
    assert when(Open("agency-01", True, 90), closed) == [again]
    assert when(Open("agency-01", True, 40), closed) == []
    assert fold(DECIDER, closed).closed
    assert not fold(DECIDER, (*closed, again)).closed


def test_a_reopened_self_assessment_holds_the_closing_up() -> None:
    error = refused(Close(replace(case(), reopened=True))).errors[0]
    assert (error["item"], error["code"]) == ("self-assessment", "reopening-open")


def estimated_case(position: int = 13, confirmed: bool = False) -> Case:
    declared = {"1.1": Declared(10, "yes"), "2.1": Declared(position, "2.5", not confirmed)}
    return case(declared=declared)


def faults_of_2_1(on: Case, *given: Event) -> list[tuple[str, str]]:
    faults = refused(Close(on), (*GIVEN, *given)).errors
    return [(fault["item"], fault["code"]) for fault in faults if fault["item"] == "2.1"]


def test_an_estimated_figure_holds_the_closing_up_until_it_is_confirmed_and_judged_anew() -> None:
    recognised = appraised("2.1", "2.5", "2.5", 13)
    assert faults_of_2_1(estimated_case(), recognised) == [("2.1", "figure-estimated")]
    assert faults_of_2_1(estimated_case(30, confirmed=True), recognised) == [("2.1", "declaration-later")]
    assert faults_of_2_1(estimated_case(30, confirmed=True), appraised("2.1", "2.5", "2.5", 30)) == []


def test_an_estimated_figure_that_appraiser_or_council_corrected_holds_nothing_up() -> None:
    assert faults_of_2_1(estimated_case(), appraised("2.1", "1", "1", 13)) == []
    adjusted = when(adjust("2.1", "2.5"))
    assert faults_of_2_1(estimated_case(), appraised("2.1", "2.5", "2.5", 13), *adjusted) == []


OTHER = "b" * 32
BOTH: tuple[Event, ...] = (
    *GIVEN,
    AppraiserAssigned(appraiser=OTHER, group="central", fields=("1",)),
    appraised("1.1", "yes", "2", 10),
)


def test_two_appraisers_never_overwrite_each_other_unseen() -> None:
    other = case(OTHER)
    for command in (correct("1.1", on=other), recognise("1.1", on=other)):
        rejected = refused(command, BOTH)
        assert (rejected.code, rejected.field) == ("stale-version", "replaces")
    assert when(correct("1.1", on=other, replaces=1), BOTH)
    assert when(recognise("1.1", on=other, replaces={"1.1": 1}), BOTH)
    assert when(correct("1.1", on=replace(other, matched=True)), BOTH), "If-Match says that the whole was seen"


def test_an_appraisal_read_before_another_ones_is_stale() -> None:
    [first, _] = when(correct("1.1", on=case(OTHER), replaces=1), BOTH)
    after = (*BOTH, first)
    assert refused(correct("1.1", replaces=1), after).code == "stale-version"
    assert refused(correct("1.1"), after).code == "stale-version"
    assert when(correct("1.1", replaces=2), after)
    assert refused(correct("1.2", replaces=1), after).code == "stale-version"
    assert when(correct("1.2", "small", replaces=0), after)


def test_an_appraiser_corrects_the_own_decision_without_more() -> None:
    assert when(correct("1.1"), BOTH)


def test_a_decision_stored_before_appraisers_were_named_is_replaced_as_ever() -> None:
    old = appraised("1.1", "yes", "2", 10, by=None)
    assert when(correct("1.1"), (*GIVEN, old))


def test_a_second_round_asks_again_once_the_first_is_answered_and_the_last_word_is_the_councils() -> None:
    ask = RequestExplanation(case(answered={"1.1": 1}), "1.1", NOW + timedelta(days=9), "as-declared", "Còn văn bản?")
    first = ExplanationRequested(
        agency="agency-01", item="1.1", until=NOW + timedelta(days=5), reason_code="as-declared"
    )
    given = (*GIVEN, *ALL_APPRAISED, first)
    assert refused(replace(ask, case=case()), given).code == "explanation-open"
    second, _ = when(ask, given)
    again = (*given, second)
    assert closing_faults(again, case(answered={"1.1": 1})) == [("1.1", "explanation-open")]
    settled = case(answered={"1.1": 2})
    [corrected, _] = when(correct("1.1", "no", on=settled), again)
    adjusted = when(adjust("1.1", "yes"), (*again, corrected))[0]
    state = fold(DECIDER, (*again, corrected, adjusted))
    value = state.value("1.1")
    assert value is not None
    assert (value.data, value.points) == ("yes", Decimal(2))
    assert DECIDER.decide(state, Close(settled)) == [AgencyAppraised(agency="agency-01")]
