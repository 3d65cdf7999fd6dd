"""The returns of a survey: what counts, and when the survey is complete for whom."""

from datetime import UTC, date, datetime
from decimal import Decimal

from shared.events import Event
from shared.events.survey import (
    CampaignOpened,
    FormSet,
    InvitationsIssued,
    ResponsesRecorded,
    StudyImported,
    SurveyCompleted,
    SurveyNotHeld,
    SurveyStarted,
    TooFewRecorded,
)
from shared.returns import Returns, added
from shared.rubric import Form, FormTally
from tests.services.survey.samples import BALLOTED, BARE, FORM, MIXED, OTHER_FORM, PERIOD, STUDIED, period

STARTED = SurveyStarted(period=PERIOD, of=3)
INSTANT = datetime(2024, 10, 1, tzinfo=UTC)
DIGEST = "0" * 64


def returns(*events: Event) -> Returns:
    state = Returns()
    for event in (STARTED, *events):
        state = state.evolve(event)
    return state


def campaign(group: str, *agencies: str, forms: tuple[Form, ...] = (FORM, OTHER_FORM)) -> list[Event]:
    parts = [FormSet(campaign=group, group=group, form=form) for form in forms]
    opened = CampaignOpened(
        campaign=group,
        group=group,
        agencies=agencies,
        opens=INSTANT,
        closes=INSTANT,
        count=len(parts),
        first=1,
        digest=DIGEST,
    )
    return [*parts, opened]


def completed(name: str) -> SurveyCompleted:
    return SurveyCompleted(campaign=name, invitations=0, ballots=0, count=0, first=0, digest=DIGEST)


def recorded(ballots: int, form: str = FORM.id, **counts: dict[str, int]) -> ResponsesRecorded:
    return ResponsesRecorded(campaign="central", agency="a-01", form=form, ballots=ballots, counts=counts)


def too_few(ballots: int, form: str = FORM.id) -> TooFewRecorded:
    return TooFewRecorded(campaign="central", agency="a-01", form=form, ballots=ballots)


def study(agency: str, **points: str) -> StudyImported:
    found = {item.replace("_", "."): Decimal(number) for item, number in points.items()}
    return StudyImported(agency=agency, points=found, document="1/BC", dated=date(2024, 10, 1), source="A body")


CENTRAL = campaign("central", "a-01", "a-02")


def test_forms_count_only_under_their_manifest() -> None:
    *parts, opened = CENTRAL
    assert returns(*parts).campaigns == {}
    assert list(returns(*parts, opened).campaigns["central"].forms) == [FORM.id, OTHER_FORM.id]


def test_invitations_and_responses_add_up() -> None:
    issued = InvitationsIssued(campaign="central", agency="a-01", form=FORM.id, count=40)
    state = returns(*CENTRAL, issued, issued, recorded(5, q1={"a": 5}), recorded(6, q1={"a": 1, "b": 5}))
    assert state.invited == {"a-01": {FORM.id: 80}}
    assert state.tallies("a-01") == {FORM.id: FormTally(11, {"q1": {"a": 6, "b": 5}})}
    assert state.tallies("a-02") == {}
    assert state.tallies("m-01") == {}


def test_adding_tallies_changes_neither() -> None:
    one, other = FormTally(1, {"q1": {"a": 1}}), FormTally(2, {"q1": {"a": 2}, "q2": {"b": 2}})
    assert added(one, other) == FormTally(3, {"q1": {"a": 3}, "q2": {"b": 2}})
    assert (one, other) == (FormTally(1, {"q1": {"a": 1}}), FormTally(2, {"q1": {"a": 2}, "q2": {"b": 2}}))


def test_the_number_of_too_few_ballots_is_told_where_its_group_has_fewer_than_five_in_all() -> None:
    assert returns(*CENTRAL, too_few(3)).tallies("a-01") == {FORM.id: FormTally(3, {})}


def test_numbers_without_counts_never_add_up_to_blank_answers() -> None:
    second = FORM.model_copy(update={"id": "second-form"})
    opened = campaign("central", "a-01", forms=(FORM, second))
    assert returns(*opened, too_few(3), too_few(4, second.id)).tallies("a-01") == {}
    many = recorded(9, q1={"a": 9})
    assert list(returns(*opened, many, too_few(4, second.id)).tallies("a-01")) == [FORM.id]


def test_an_items_points_are_those_of_ballots_or_of_a_study() -> None:
    leaf = BALLOTED.leaf("1.2")
    ballots = recorded(5, q1={"a": 5}, q2={"a": 5})
    assert returns(*CENTRAL, ballots).result("a-01", leaf).points == Decimal(8)
    imported = returns(study("a-02", **{"1_2": "7.31"})).result("a-02", leaf)
    assert (imported.points, imported.imported) == (Decimal("7.31"), True)
    assert not returns(*CENTRAL, too_few(4), completed("central")).result("a-01", leaf).applicable


def test_the_survey_is_complete_for_an_agency_once_its_campaign_is() -> None:
    assert not returns().complete_for("a-01", BALLOTED)
    assert not returns(*CENTRAL).complete_for("a-01", BALLOTED)
    assert returns(*CENTRAL, completed("central")).complete_for("a-01", BALLOTED)


def test_the_survey_is_complete_for_an_agency_that_a_study_covers_unless_its_campaign_is_open() -> None:
    covered = study("a-01", **{"1_2": "7"})
    assert returns(covered).complete_for("a-01", BALLOTED)
    assert not returns(covered).complete_for("a-02", BALLOTED)
    assert not returns(*CENTRAL, covered).complete_for("a-01", BALLOTED)


def test_items_that_only_a_study_scores_need_it_beside_the_ballots() -> None:
    opened = campaign("mixed", "m-01")
    state = returns(*opened, completed("mixed"))
    assert [leaf.code for leaf in state.missing("m-01", MIXED)] == ["1.3"]
    assert state.evolve(study("m-01", **{"1_3": "2"})).complete_for("m-01", MIXED)
    assert not returns().complete_for("s-01", STUDIED)


def test_an_agency_without_a_surveyed_item_needs_no_survey() -> None:
    assert returns().complete_for("b-01", BARE)


def test_a_survey_that_is_not_held_is_complete_at_once() -> None:
    bare = period(["bare"])
    assert returns(SurveyNotHeld(of=3)).complete(bare)
    assert not Returns().complete(bare)


def test_the_survey_is_complete_when_no_campaign_is_open_and_no_agency_uncovered() -> None:
    known = period(["central", "studied", "bare"])
    state = returns(*CENTRAL, study("s-01", **{"1_3": "2"}))
    assert state.open_campaigns() == ("central",)
    assert state.open_agencies(known) == ("a-01", "a-02")
    assert not state.complete(known)
    state = state.evolve(completed("central"))
    assert (state.open_campaigns(), state.open_agencies(known)) == ((), ())
    assert state.complete(known)
