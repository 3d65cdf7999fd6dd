"""What is shown of a campaign: no number of ballots between one and four, nor what it could be worked out from."""

import json
from typing import Any, Final

import pytest

from services.survey.views import campaign_view
from shared.decider import Rejected
from shared.events import Event
from shared.events.survey import InvitationsIssued, ResponsesRecorded, TooFewRecorded
from tests.services.survey.samples import FORM, OTHER_FORM, period
from tests.services.survey.test_campaign import INVITE, OPEN, given

WHOLE = period()
PLACE: Final[dict[str, Any]] = {"campaign": "autumn", "agency": "a-01", "form": FORM.id}


def shown(*events: Event) -> dict[str, object]:
    """What is shown of the first form about the first agency, forty ballots being wanted."""
    state = given(OPEN, INVITE)
    for event in (InvitationsIssued(count=1, quota=40, **PLACE), *events):
        state = state.evolve(event)
    view = json.loads(campaign_view("autumn", WHOLE, state, {}).model_dump_json())
    form: dict[str, object] = view["agencies"][0]["forms"][0]
    return form


@pytest.mark.parametrize("ballots", range(5))
def test_fewer_than_five_ballots_are_told_in_words_whatever_their_number(ballots: int) -> None:
    few = shown(TooFewRecorded(ballots=ballots, **PLACE))
    assert few == shown(TooFewRecorded(ballots=0, **PLACE))
    assert (few["returned"], few["ballots"], few["counts"], few["quota_share"]) == ("fewer-than-five", None, None, None)


@pytest.mark.parametrize(("ballots", "share"), [(5, "12.5"), (13, "32.5"), (40, "100"), (41, "102.5")])
def test_five_ballots_or_more_are_shown_with_their_share_of_the_quota(ballots: int, share: str) -> None:
    recorded = ResponsesRecorded(ballots=ballots, counts={"q1": {"a": ballots}}, **PLACE)
    form = shown(recorded)
    assert (form["returned"], form["quota"], form["quota_share"]) == (ballots, 40, share)
    assert form["counts"] == {"q1": {"a": ballots}}


def test_a_form_whose_ballots_the_log_does_not_have_yet_has_returned_none() -> None:
    assert (shown()["returned"], shown()["counts"], shown()["quota_share"]) == (0, {}, "0")


def test_the_respondents_of_the_campaigns_forms_are_named() -> None:
    view = campaign_view("autumn", WHOLE, given(OPEN), {})
    assert [group.id for group in view.respondents] == [FORM.group, OTHER_FORM.group]
    with pytest.raises(Rejected, match="campaign-unknown"):
        campaign_view("winter", WHOLE, given(OPEN), {})
