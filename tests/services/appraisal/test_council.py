"""Given what happened, when a command comes, then these events or that refusal: the period's appraisal as a whole."""

import pytest

from services.appraisal.appraisal import Case
from services.appraisal.council import (
    DECIDER,
    AssignAppraiser,
    AssignMonitor,
    Command,
    Finalise,
    SeatCouncil,
    Start,
)
from services.submission import period as opening_rules
from shared.decider import Rejected, fold
from shared.events import Event
from shared.events.appraisal import (
    AgencyAppraised,
    AppraisalFinalised,
    AppraisalStarted,
    AppraiserAssigned,
    CouncilSeated,
    MonitorAssigned,
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
