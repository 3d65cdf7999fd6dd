"""A campaign as people look at it: who was asked, how many answered, and counts that speak for at least five."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Literal

from pydantic import BaseModel

from shared.decider import Rejected
from shared.events import Id, Instant, Points
from shared.period import Period
from shared.returns import Reminders, Returns
from shared.rubric import Form, Rounding
from shared.rubric.model import RespondentGroup
from shared.rubric.survey import FEWEST

Heads = dict[str, dict[str, int]]
"""The logs that an answer was read from, each with its size."""


FEW: Final = "fewer-than-five"
SHARE: Final = Rounding(digits=2)


class FormReturns(BaseModel):
    """One form's returns about one agency. `ballots` and `counts` are those in the log; both are absent where a closed
    box held fewer than five in all (`too_few`); `returned` then says so in words. `quota`: the ballots wanted, with the
    share of it in per cent; `reminders`: how many went out, `reminded`: how often."""

    form: Id
    invitations: int
    ballots: int | None
    returned: int | Literal["fewer-than-five"]
    too_few: bool
    quota: int | None
    quota_share: Points | None
    reminders: int
    reminded: int
    counts: dict[str, dict[str, int]] | None


class AgencyReturns(BaseModel):
    """The returns about one agency."""

    agency: Id
    name_vi: str
    name_en: str
    study: dict[str, Points] | None
    forms: list[FormReturns]


class CampaignView(BaseModel):
    """A campaign with its forms and returns; times are exclusive ends in UTC."""

    campaign: Id
    group: Id
    opens: Instant
    closes: Instant
    completed: bool
    respondents: list[RespondentGroup]
    forms: list[Form]
    agencies: list[AgencyReturns]
    heads: Heads


class AgencySurvey(BaseModel):
    """Whether the survey is complete for an agency; `missing` names the items that nothing covers yet."""

    agency: Id
    name_vi: str
    name_en: str
    complete: bool
    campaign: Id | None
    study: dict[str, Points] | None
    missing: list[str]


class SurveyView(BaseModel):
    """A period's survey as a whole."""

    period: Id
    held: bool
    complete: bool
    campaigns: list[str]
    agencies: list[AgencySurvey]
    heads: Heads


def campaign_view(name: str, period: Period, returns: Returns, heads: Heads) -> CampaignView:
    """The campaign of that name; Rejected `campaign-unknown`."""
    campaign = returns.campaigns.get(name)
    if campaign is None:
        raise Rejected("campaign-unknown", f"there is no campaign {name}", "campaign")
    opened, groups = campaign.opened, {form.group for form in campaign.forms.values()}
    return CampaignView(
        campaign=name,
        group=opened.group,
        opens=opened.opens,
        closes=opened.closes,
        completed=campaign.completed,
        respondents=[group for group in period.rubrics[opened.group].respondents if group.id in groups],
        forms=list(campaign.forms.values()),
        agencies=[_agency(period, returns, agency, tuple(campaign.forms)) for agency in opened.agencies],
        heads=heads,
    )


def survey_view(period: Period, returns: Returns, heads: Heads) -> SurveyView:
    """The survey of the period; Rejected `period-unknown`."""
    return SurveyView(
        period=period.the_opened().period,
        held=not returns.not_held,
        complete=returns.complete(period),
        campaigns=sorted(returns.campaigns),
        agencies=[_covered(period, returns, agency) for agency in period.agencies],
        heads=heads,
    )


def _covered(period: Period, returns: Returns, agency: str) -> AgencySurvey:
    named, rubric, campaign = period.agencies[agency], period.rubric_of(agency), returns.campaign_of(agency)
    return AgencySurvey(
        agency=agency,
        name_vi=named.name_vi,
        name_en=named.name_en,
        complete=returns.complete_for(agency, rubric),
        campaign=campaign.opened.campaign if campaign else None,
        study=_study(returns, agency),
        missing=[leaf.code for leaf in returns.missing(agency, rubric)],
    )


def _agency(period: Period, returns: Returns, agency: str, forms: Sequence[str]) -> AgencyReturns:
    named = period.agencies[agency]
    return AgencyReturns(
        agency=agency,
        name_vi=named.name_vi,
        name_en=named.name_en,
        study=_study(returns, agency),
        forms=[_form(returns, agency, form) for form in forms],
    )


def _form(returns: Returns, agency: str, form: str) -> FormReturns:
    """What is shown of a form about an agency: never a number of ballots between 1 and 4, nor what leads to it."""
    tally = returns.recorded.get(agency, {}).get(form)
    too_few = tally is not None and tally.ballots < FEWEST
    ballots = None if too_few else 0 if tally is None else tally.ballots
    counts = {} if tally is None else {question: dict(options) for question, options in tally.counts.items()}
    quota, (times, sent) = returns.quota(agency, form), returns.reminded.get(agency, {}).get(form, Reminders())
    return FormReturns(
        form=form,
        invitations=returns.invited.get(agency, {}).get(form, 0),
        ballots=ballots,
        returned=FEW if ballots is None else ballots,
        too_few=too_few,
        quota=quota,
        quota_share=None if quota is None or ballots is None else SHARE.of(Fraction(100 * ballots, quota)),
        reminders=sent,
        reminded=times,
        counts=None if too_few else counts,
    )


def _study(returns: Returns, agency: str) -> dict[str, Points] | None:
    study = returns.studies.get(agency)
    return None if study is None else dict(study)
