"""The survey's rules: campaigns, invitations, responses, completion, studies, and the survey that is not held."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from services.survey.campaign import (
    DECIDER,
    MAX_INVITATIONS,
    CloseBox,
    Command,
    CompleteCampaign,
    IssueInvitations,
    OpenCampaign,
    RecordResponses,
    SendReminders,
    StartSurvey,
    check_open,
)
from services.survey.study import HoldNoSurvey, ImportStudy
from shared.decider import Rejected
from shared.decider import fold as fold_events
from shared.events import Event, parts_digest
from shared.events.survey import (
    CampaignOpened,
    FormCompleted,
    FormSet,
    InvitationsIssued,
    RemindersSent,
    ResponsesRecorded,
    StudyImported,
    SurveyCompleted,
    SurveyNotHeld,
    SurveyStarted,
    TooFewRecorded,
)
from shared.returns import Returns
from shared.rubric import FormTally
from tests.services.survey.samples import CLOSES, DURING, FORM, OPENS, OTHER_FORM, PERIOD, period

WHOLE = period()
OPEN = OpenCampaign("autumn", "central", OPENS, CLOSES, WHOLE, DURING, 1, published=False)
INVITE = IssueInvitations("autumn", "a-01", FORM.id, 100, WHOLE, DURING, published=False)
COMPLETE = CompleteCampaign("autumn", CLOSES, 9, published=False)
MIXED = replace(OPEN, campaign="mixed", group="mixed")
STUDY = ImportStudy(
    "a-01", {"1.2": Decimal("7.31")}, "12/BC", date(2024, 10, 2), "Viện Nghiên cứu", WHOLE, published=False
)
REMIND = SendReminders("autumn", "a-01", FORM.id, 60, DURING)
NOT_HELD = HoldNoSurvey("15/QĐ-SNV", date(2024, 7, 1), published=False)
BALLOTS = FormTally(6, {"q1": {"c": 1, "a": 5}, "q2": {"blank": 6}})


def given(*commands: Command) -> Returns:
    """The state after commands that were accepted."""
    events: list[Event] = [SurveyStarted(period=PERIOD, of=0)]
    for command in commands:
        events += DECIDER.decide(fold_events(DECIDER, events), command)
    return fold_events(DECIDER, events)


def when(state: Returns, command: Command) -> list[Event]:
    return list(DECIDER.decide(state, command))


def refused(state: Returns, command: Command) -> Rejected:
    with pytest.raises(Rejected) as refusal:
        DECIDER.decide(state, command)
    return refusal.value


def record(tally: FormTally, agency: str = "a-01", form: str = FORM.id, campaign: str = "autumn") -> RecordResponses:
    return RecordResponses(campaign, agency, form, tally)


def test_a_survey_starts_with_its_period() -> None:
    assert when(Returns(), StartSurvey(PERIOD, 7, WHOLE)) == [SurveyStarted(period=PERIOD, of=7)]


def test_a_period_without_a_surveyed_item_holds_no_survey() -> None:
    bare = StartSurvey(PERIOD, 7, period(["bare"]))
    assert when(Returns(), bare) == [SurveyStarted(period=PERIOD, of=7), SurveyNotHeld(of=7)]


def test_a_survey_starts_once() -> None:
    assert when(given(), StartSurvey(PERIOD, 7, WHOLE)) == []


def test_a_campaign_opens_with_the_forms_of_the_groups_rubric_under_a_manifest() -> None:
    *forms, opened = when(given(), OPEN)
    assert forms == [FormSet(campaign="autumn", group="central", form=form) for form in (FORM, OTHER_FORM)]
    assert opened == CampaignOpened(
        campaign="autumn",
        group="central",
        agencies=("a-01", "a-02"),
        opens=OPENS,
        closes=CLOSES,
        count=2,
        first=1,
        digest=parts_digest(forms),
    )


def test_a_campaign_is_opened_once_and_a_group_has_one_at_most() -> None:
    state = given(OPEN)
    assert refused(state, replace(OPEN, group="mixed")).field == "campaign"
    another = refused(state, replace(OPEN, campaign="winter"))
    assert (another.code, another.field) == ("campaign-exists", "group")
    assert when(state, replace(OPEN, campaign="winter", group="mixed"))


def test_a_campaign_needs_a_group_of_the_period() -> None:
    assert refused(given(), replace(OPEN, group="nobody")).code == "group-unknown"


@pytest.mark.parametrize("group", ["bare", "studied"])
def test_a_group_whose_rubric_no_ballot_scores_has_no_campaign(group: str) -> None:
    assert refused(given(), replace(OPEN, group=group)).code == "group-has-no-survey"


def test_a_campaign_closes_after_it_opens_and_not_in_the_past() -> None:
    assert refused(given(), replace(OPEN, opens=CLOSES)).code == "span-invalid"
    assert refused(given(), replace(OPEN, time=CLOSES)).code == "span-invalid"
    assert when(given(), replace(OPEN, time=CLOSES - timedelta(microseconds=1)))


def test_invitations_leave_their_number_in_the_log() -> None:
    issued = InvitationsIssued(campaign="autumn", agency="a-01", form=FORM.id, count=100)
    assert when(given(OPEN), INVITE) == [issued]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"campaign": "winter"}, "campaign-unknown"),
        ({"agency": "m-01"}, "agency-unknown"),
        ({"form": "no-form"}, "form-unknown"),
        ({"time": CLOSES}, "campaign-closed"),
        ({"count": 0}, "count-invalid"),
        ({"count": MAX_INVITATIONS + 1}, "count-invalid"),
    ],
)
def test_invitations_are_for_a_form_and_agency_of_a_campaign_that_has_not_closed(
    change: dict[str, object], code: str
) -> None:
    assert refused(given(OPEN), replace(INVITE, **change)).code == code  # type: ignore[arg-type]


def test_nobody_is_invited_to_vote_on_an_agency_whose_ballots_a_study_stands_for() -> None:
    state = given(OPEN, STUDY)
    assert refused(state, INVITE).code == "study-imported"
    assert when(state, replace(INVITE, agency="a-02"))


def test_a_campaign_may_say_how_many_ballots_it_wants_of_each_form_about_each_agency() -> None:
    state = given(replace(OPEN, quota={OTHER_FORM.id: 30}))
    opened = state.campaigns["autumn"].opened
    assert opened.quota == {OTHER_FORM.id: 30}
    assert [state.quota(agency, OTHER_FORM.id) for agency in ("a-01", "a-02")] == [30, 30]
    assert state.quota("a-01", FORM.id) is None
    unknown = refused(given(), replace(OPEN, quota={FORM.id: 5, "no-form": 5}))
    assert (unknown.code, unknown.field) == ("form-unknown", "quota.no-form")


def test_invitations_may_set_the_quota_of_their_agency_anew() -> None:
    state = given(replace(OPEN, quota={FORM.id: 30}), replace(INVITE, quota=50), INVITE)
    assert [state.quota(agency, FORM.id) for agency in ("a-01", "a-02")] == [50, 30]


def test_reminders_leave_their_number_in_the_log() -> None:
    state = given(OPEN, INVITE)
    assert when(state, REMIND) == [RemindersSent(campaign="autumn", agency="a-01", form=FORM.id, count=60)]
    assert given(OPEN, INVITE, REMIND, replace(REMIND, count=7)).reminded == {"a-01": {FORM.id: (2, 67)}}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"campaign": "winter"}, "campaign-unknown"),
        ({"agency": "m-01"}, "agency-unknown"),
        ({"form": "no-form"}, "form-unknown"),
        ({"time": CLOSES}, "campaign-closed"),
        ({"count": 0}, "reminders-invalid"),
        ({"count": 101}, "reminders-invalid"),
        ({"agency": "a-02", "count": 1}, "reminders-invalid"),
    ],
)
def test_only_those_invited_are_reminded_and_only_until_the_campaign_closes(
    change: dict[str, object], code: str
) -> None:
    assert refused(given(OPEN, INVITE), replace(REMIND, **change)).code == code  # type: ignore[arg-type]
    assert when(given(OPEN, INVITE), replace(REMIND, count=100))


def test_a_period_with_surveyed_items_holds_no_survey_by_a_decision() -> None:
    (event,) = when(given(), NOT_HELD)
    assert event == SurveyNotHeld(of=0, decision="15/QĐ-SNV", dated=date(2024, 7, 1))
    state = given(NOT_HELD)
    assert state.complete(WHOLE)
    assert state.open_agencies(WHOLE) == ()


def test_where_no_survey_is_held_nothing_of_one_begins() -> None:
    state = given(NOT_HELD)
    for command in (OPEN, STUDY, NOT_HELD):
        assert refused(state, command).code == "survey-not-held"


def test_a_survey_that_has_begun_is_held() -> None:
    assert refused(given(OPEN), NOT_HELD).code == "campaign-exists"
    assert refused(given(STUDY), NOT_HELD).code == "study-imported"
    assert refused(Returns(), NOT_HELD).code == "period-unknown"


def test_responses_are_recorded_as_counts_of_at_least_five_ballots() -> None:
    assert when(given(OPEN), record(BALLOTS)) == [
        ResponsesRecorded(
            campaign="autumn",
            agency="a-01",
            form=FORM.id,
            ballots=6,
            counts={"q1": {"a": 5, "c": 1}, "q2": {"blank": 6}},
        )
    ]
    assert refused(given(OPEN), record(FormTally(4, {}))).code == "too-few"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (record(BALLOTS, campaign="winter"), "campaign-unknown"),
        (record(BALLOTS, agency="m-01"), "agency-unknown"),
        (record(BALLOTS, form="no-form"), "form-unknown"),
    ],
)
def test_responses_belong_to_a_campaign(command: RecordResponses, code: str) -> None:
    assert refused(given(OPEN), command).code == code


def test_a_box_that_closes_with_five_ballots_or_more_gives_their_counts() -> None:
    (event,) = when(given(OPEN), CloseBox("autumn", "a-01", FORM.id, BALLOTS, CLOSES))
    assert isinstance(event, ResponsesRecorded)
    assert event.ballots == 6


@pytest.mark.parametrize("ballots", range(5))
def test_a_box_that_closes_with_fewer_than_five_gives_the_number_only(ballots: int) -> None:
    tally = FormTally(ballots, {"q1": {"a": ballots}})
    assert when(given(OPEN), CloseBox("autumn", "a-01", FORM.id, tally, CLOSES)) == [
        TooFewRecorded(campaign="autumn", agency="a-01", form=FORM.id, ballots=ballots)
    ]


def test_a_box_does_not_close_before_its_campaign() -> None:
    early = CloseBox("autumn", "a-01", FORM.id, BALLOTS, CLOSES - timedelta(microseconds=1))
    assert refused(given(OPEN), early).code == "campaign-still-open"


def test_a_campaign_is_completed_with_the_tally_of_every_agency_and_form() -> None:
    few = CloseBox("autumn", "a-01", OTHER_FORM.id, FormTally(3, {"q1": {"a": 3}}), CLOSES)
    state = given(OPEN, INVITE, replace(INVITE, count=11), record(BALLOTS), record(BALLOTS), few)
    *parts, completed = when(state, COMPLETE)
    assert parts == [
        FormCompleted(
            campaign="autumn",
            agency="a-01",
            form=FORM.id,
            invitations=111,
            ballots=12,
            counts={"q1": {"a": 10, "c": 2}, "q2": {"blank": 12}},
        ),
        FormCompleted(campaign="autumn", agency="a-01", form=OTHER_FORM.id, invitations=0, ballots=3, counts={}),
        FormCompleted(campaign="autumn", agency="a-02", form=FORM.id, invitations=0, ballots=0, counts={}),
        FormCompleted(campaign="autumn", agency="a-02", form=OTHER_FORM.id, invitations=0, ballots=0, counts={}),
    ]
    assert completed == SurveyCompleted(
        campaign="autumn", invitations=111, ballots=15, count=4, first=9, digest=parts_digest(parts)
    )


def test_a_campaign_is_not_completed_before_it_closes_and_once_only() -> None:
    assert refused(given(OPEN), replace(COMPLETE, time=DURING)).code == "campaign-still-open"
    assert refused(given(OPEN, COMPLETE), COMPLETE).code == "campaign-completed"
    assert refused(given(), COMPLETE).code == "campaign-unknown"


def test_nobody_is_invited_to_a_completed_campaign() -> None:
    assert refused(given(OPEN, COMPLETE), INVITE).code == "campaign-closed"


def test_a_study_gives_an_agencys_surveyed_items_their_points() -> None:
    assert when(given(), STUDY) == [
        StudyImported(
            agency="a-01",
            points={"1.2": Decimal("7.31")},
            document="12/BC",
            dated=date(2024, 10, 2),
            source="Viện Nghiên cứu",
        )
    ]


@pytest.mark.parametrize(
    ("points", "code"),
    [
        ({"1.2": "8.01"}, "points-above-maximum"),
        ({"1.2": "-1"}, "points-negative"),
        ({"1.2": "7.311"}, "points-off-step"),
        ({"1.2": "7", "1.1": "5"}, "item-not-surveyed"),
        ({"1.2": "7", "9.9": "5"}, "item-unknown"),
        ({}, "study-incomplete"),
    ],
)
def test_a_studys_points_are_those_of_surveyed_items_within_maximum_and_step(points: dict[str, str], code: str) -> None:
    study = replace(STUDY, points={item: Decimal(number) for item, number in points.items()})
    assert refused(given(), study).code == code


def test_every_fault_of_a_study_is_named() -> None:
    refusal = refused(given(), replace(STUDY, points={"1.2": Decimal("8.5"), "9.9": Decimal(1)}))
    assert [(error["item"], error["code"]) for error in refusal.errors] == [
        ("1.2", "points-above-maximum"),
        ("9.9", "item-unknown"),
    ]


def test_a_study_leaves_out_no_surveyed_item_of_the_agency() -> None:
    study = replace(STUDY, agency="m-01")
    refusal = refused(given(), study)
    assert refusal.code == "study-incomplete"
    assert [error["item"] for error in refusal.errors] == ["1.3"]
    assert when(given(), replace(study, points={"1.2": Decimal(7), "1.3": Decimal(2)}))


def test_beside_ballots_a_study_gives_the_items_that_only_a_study_scores() -> None:
    beside = replace(STUDY, agency="m-01", points={"1.3": Decimal(2)})
    invite = replace(INVITE, campaign="mixed", agency="m-01")
    assert when(given(MIXED, invite), beside)
    assert when(given(MIXED, beside), invite)
    assert when(given(MIXED, replace(COMPLETE, campaign="mixed")), beside)


def test_a_study_needs_an_agency_of_the_period_that_a_survey_scores() -> None:
    assert refused(given(), replace(STUDY, agency="nobody")).code == "agency-unknown"
    assert refused(given(), replace(STUDY, agency="b-01")).code == "group-has-no-survey"


def test_a_study_stands_for_no_ballots_that_may_still_come_or_are_counted() -> None:
    assert refused(given(OPEN, INVITE), STUDY).code == "invitations-issued"
    assert refused(given(OPEN, COMPLETE), STUDY).code == "campaign-completed"
    assert when(given(OPEN, INVITE), replace(STUDY, agency="a-02"))


def test_a_later_study_replaces_the_one_before() -> None:
    state = given(STUDY, replace(STUDY, points={"1.2": Decimal("6.5")}))
    assert state.studies["a-01"] == {"1.2": Decimal("6.5")}


@pytest.mark.parametrize("command", [OPEN, INVITE, COMPLETE, STUDY, NOT_HELD])
def test_nothing_of_a_published_period_changes(
    command: OpenCampaign | IssueInvitations | CompleteCampaign | ImportStudy | HoldNoSurvey,
) -> None:
    assert refused(given(OPEN), replace(command, published=True)).code == "period-published"


def test_ballots_are_cast_from_the_opening_until_just_before_the_closing() -> None:
    campaign = given(OPEN).campaigns["autumn"]
    check_open(campaign, OPENS)
    check_open(campaign, CLOSES - timedelta(microseconds=1))
    with pytest.raises(Rejected, match="campaign-not-open"):
        check_open(campaign, OPENS - timedelta(microseconds=1))
    with pytest.raises(Rejected, match="campaign-closed"):
        check_open(campaign, CLOSES)
