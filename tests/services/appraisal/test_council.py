"""Given what happened, when a command comes, then these events or that refusal: the period's appraisal as a whole."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from services.appraisal.case import Case
from services.appraisal.council import (
    DECIDER,
    AcceptResult,
    AssignAppraiser,
    AssignMonitor,
    CloseSession,
    Command,
    Finalise,
    OpenSession,
    SeatCouncil,
    Start,
)
from services.submission import period as opening_rules
from shared.decider import Rejected, fold
from shared.events import Event
from shared.events.appraisal import (
    AdjustmentProposed,
    AgencyAppraised,
    AppraisalFinalised,
    AppraisalStarted,
    AppraiserAssigned,
    CouncilAdjusted,
    CouncilDecided,
    CouncilSeated,
    MonitorAssigned,
    SeatsNamed,
    SessionClosed,
    SessionOpened,
    SessionWorded,
    Tally,
    VoteCast,
)
from shared.period import Period
from tests.services.appraisal.test_appraisal import ALL_APPRAISED, DECLARED, GIVEN, SEATED, case
from tests.services.submission.samples import opening

MEMBERS = tuple(f"{number:032x}" for number in range(10))


def the_period() -> Period:
    known = Period()
    for event in opening_rules.DECIDER.decide(opening_rules.DECIDER.initial, opening_rules.OpenPeriod(opening(), 0)):
        known = known.evolve(event)
    return known


def when(command: Command, given: tuple[Event, ...] = ()) -> list[Event]:
    return list(DECIDER.decide(fold(DECIDER, given), command))


def refused(command: Command, given: tuple[Event, ...] = ()) -> Rejected:
    with pytest.raises(Rejected) as caught:
        when(command, given)
    return caught.value


def finalise(cases: dict[str, Case] | None = None, surveyed: frozenset[str] = frozenset({"agency-01"})) -> Finalise:
    return Finalise(the_period(), False, {"agency-01": case()} if cases is None else cases, surveyed)


CLOSED = (*GIVEN, *ALL_APPRAISED, AgencyAppraised(agency="agency-01"))


def test_the_log_starts_once() -> None:
    assert when(Start("2024-year", 0)) == [AppraisalStarted(period="2024-year", of=0)]
    assert when(Start("2024-year", 0), (AppraisalStarted(period="2024-year", of=0),)) == []


def test_an_appraiser_and_a_monitor_get_fields_of_a_group() -> None:
    assert when(AssignAppraiser(the_period(), False, "a" * 32, "central", ("1",))) == [
        AppraiserAssigned(appraiser="a" * 32, group="central", fields=("1",))
    ]
    assert when(AssignMonitor(the_period(), False, "b" * 32, "central", ("2",))) == [
        MonitorAssigned(monitor="b" * 32, group="central", fields=("2",))
    ]


def test_the_council_is_seated_with_as_many_members_as_the_period_states() -> None:
    assert when(SeatCouncil(the_period(), False, MEMBERS[0], MEMBERS)) == [
        CouncilSeated(chair=MEMBERS[0], members=MEMBERS)
    ]


REFUSALS: dict[str, Command] = {
    "period-unknown": AssignAppraiser(Period(), False, "a" * 32, "central", ("1",)),
    "period-published": AssignAppraiser(the_period(), True, "a" * 32, "central", ("1",)),
    "group-unknown": AssignMonitor(the_period(), False, "a" * 32, "communes", ("1",)),
    "field-unknown": AssignAppraiser(the_period(), False, "a" * 32, "central", ("9",)),
    "items-invalid": AssignAppraiser(the_period(), False, "a" * 32, "central", ("1", "1")),
    "council-invalid": SeatCouncil(the_period(), False, MEMBERS[0], MEMBERS[:9]),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_command_against_the_rules_is_refused_with_its_code(code: str) -> None:
    assert refused(REFUSALS[code]).code == code


@pytest.mark.parametrize(("chair", "members"), [("f" * 32, MEMBERS), (MEMBERS[0], (*MEMBERS[:9], MEMBERS[0]))])
def test_a_chair_from_outside_and_a_member_named_twice_are_refused(chair: str, members: tuple[str, ...]) -> None:
    assert refused(SeatCouncil(the_period(), False, chair, members)).code == "council-invalid"


def test_the_appraisal_is_final_when_agencies_are_closed_and_the_survey_is_complete() -> None:
    assert when(finalise(), CLOSED) == [AppraisalFinalised(agencies=("agency-01",))]


def open_matters(command: Finalise, given: tuple[Event, ...]) -> set[tuple[str, str]]:
    rejected = refused(command, given)
    assert rejected.code == "period-open"
    return {(error["item"], error["code"]) for error in rejected.errors}


def test_everything_open_is_named_at_once() -> None:
    assert open_matters(finalise(surveyed=frozenset()), ()) == {
        ("council", "council-missing"),
        ("agency-01", "agency-open"),
        ("agency-01", "survey-open"),
    }


def test_a_declaration_after_the_closing_holds_the_finalising_up() -> None:
    later = DECLARED["1.1"]._replace(position=77)
    cases = {"agency-01": case(declared={**DECLARED, "1.1": later})}
    assert open_matters(finalise(cases), CLOSED) == {("agency-01 1.1", "declaration-later")}


def test_a_second_council_counts_from_then_on() -> None:
    again: Event = CouncilSeated(chair=MEMBERS[1], members=MEMBERS)
    assert fold(DECIDER, [SEATED, again]).council == again


CALLED: Event = CouncilSeated(chair=MEMBERS[0], members=MEMBERS, deputy=MEMBERS[1])
MEETING: Event = SessionOpened(session="first", held_on=date(2024, 12, 20), in_writing=False)
PROPOSED: Event = AdjustmentProposed(
    agency="agency-01", item="1.1", proposal=9, session="first", data="no", reason_code="as-declared"
)
VOTED: Event = VoteCast(agency="agency-01", proposal=9, member=MEMBERS[3], choice="for", in_writing=False)
TALLY = Tally(members=10, in_favour=6, against=0, abstained=0)
ADJUSTED: Event = CouncilAdjusted(
    agency="agency-01",
    item="1.1",
    data="yes",
    points=Decimal(2),
    resolution="12/NQ",
    tally=TALLY,
    reason_code="as-declared",
    proposal=9,
)


def call(actor: str = MEMBERS[0], *, secretary: bool = False, place: str = "Phòng họp số 2") -> OpenSession:
    return OpenSession(the_period(), False, actor, secretary, 70, "first", date(2024, 12, 20), False, place)


def end(*present: str, actor: str = MEMBERS[0]) -> CloseSession:
    return CloseSession(the_period(), False, actor, False, "first", "12/NQ-HĐTĐ", present)


def code_of(command: Command, given: Iterable[Event] = ()) -> str:
    return refused(command, tuple(given)).code


def test_the_officer_the_chair_or_the_deputy_calls_a_session() -> None:
    for command in (call(), call(MEMBERS[1]), call("f" * 32, secretary=True)):
        assert when(command, (CALLED,)) == [
            MEETING,
            SessionWorded(session="first", of=70, place="Phòng họp số 2"),
        ]
    assert code_of(call(MEMBERS[2]), (CALLED,)) == "not-the-chair"
    assert code_of(call(), (CALLED, MEETING)) == "session-known"
    assert code_of(call(place=" "), (CALLED,)) == "reason-missing"


def test_a_session_ends_once_its_proposals_are_decided_and_names_who_was_there() -> None:
    waiting = (CALLED, MEETING, PROPOSED, VOTED)
    rejected = refused(end(MEMBERS[3]), waiting)
    assert rejected.code == "session-incomplete"
    assert [(each["item"], each["code"]) for each in rejected.errors] == [("agency-01 1.1", "proposal-open")]
    decided = (*waiting, ADJUSTED)
    assert when(end(MEMBERS[3]), decided) == [
        SessionClosed(session="first", resolution="12/NQ-HĐTĐ", present=(MEMBERS[3],))
    ]
    assert code_of(end(), decided) == "council-invalid"
    assert code_of(end("f" * 32, MEMBERS[3]), decided) == "council-invalid"
    assert code_of(end(MEMBERS[3], actor=MEMBERS[3]), decided) == "not-the-chair"
    assert code_of(end(), (CALLED,)) == "session-unknown"


def test_nobody_is_present_where_the_members_vote_in_writing() -> None:
    written: Event = SessionOpened(session="first", held_on=date(2024, 12, 20), in_writing=True)
    assert code_of(end(MEMBERS[3]), (CALLED, written)) == "council-invalid"
    assert when(end(), (CALLED, written))


def deciding() -> Period:
    known = the_period()
    opened = known.the_opened()
    own = opened.council.model_copy(update={"decides_result": True})
    return replace(known, opened=opened.model_copy(update={"council": own}))


def accept(actor: str = MEMBERS[0], tally: Tally = TALLY, surveyed: Iterable[str] = ("agency-01",)) -> AcceptResult:
    on = date(2024, 12, 20)
    cases = {"agency-01": case()}
    return AcceptResult(deciding(), False, actor, "first", "15/NQ", on, tally, cases, frozenset(surveyed))


ACCEPTED: Event = CouncilDecided(session="first", resolution="15/NQ", dated=date(2024, 12, 20), tally=TALLY)
READY: tuple[Event, ...] = (*CLOSED, CALLED, MEETING)


def test_the_council_accepts_the_result_by_more_than_half_of_all_members() -> None:
    assert when(accept(), READY) == [ACCEPTED]
    assert code_of(accept(MEMBERS[4]), READY) == "not-the-chair"
    assert code_of(accept(tally=TALLY.model_copy(update={"in_favour": 5})), READY) == "not-carried"


def test_what_is_open_cannot_be_accepted() -> None:
    rejected = refused(accept(surveyed=()), READY)
    assert rejected.code == "period-open"
    assert {each["code"] for each in rejected.errors} == {"survey-open"}


def test_where_the_council_decides_the_appraisal_is_final_only_after_its_newest_word() -> None:
    final = replace(finalise(), period=deciding())
    missing = {("council", "council-decision-missing")}
    assert open_matters(final, READY) == missing
    assert when(final, (*READY, ACCEPTED)) == [AppraisalFinalised(agencies=("agency-01",))]
    proposed = (*READY, ACCEPTED, PROPOSED)
    assert open_matters(final, (*proposed, ADJUSTED)) == missing
    assert when(final, (*proposed, ADJUSTED, ACCEPTED))


def test_the_deputy_is_another_member_than_the_chair() -> None:
    for deputy in (MEMBERS[0], "f" * 32):
        assert code_of(SeatCouncil(the_period(), False, MEMBERS[0], MEMBERS, deputy)) == "council-invalid"
    assert when(SeatCouncil(the_period(), False, MEMBERS[0], MEMBERS, MEMBERS[1])) == [CALLED]


def test_the_names_on_the_seats_stand_in_an_entry_of_their_own() -> None:
    seat = SeatCouncil(the_period(), False, MEMBERS[0], MEMBERS, MEMBERS[1], 7, {MEMBERS[0]: "Trần Thị Ánh"})
    assert when(seat) == [CALLED, SeatsNamed(of=7, names={MEMBERS[0]: "Trần Thị Ánh"})]
    for names in ({"f" * 32: "Người ngoài"}, {MEMBERS[0]: " "}):
        assert code_of(replace(seat, names=names)) == "council-invalid"
