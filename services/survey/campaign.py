"""The survey of a period: campaigns with their invitations, responses and completion, imported studies, none held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.survey import study
from services.survey.study import HoldNoSurvey, ImportStudy, check_held
from shared.decider import Decider, Rejected
from shared.events import Event, parts_digest
from shared.events.survey import (
    CampaignOpened,
    FormCompleted,
    FormSet,
    InvitationsIssued,
    RemindersSent,
    ResponsesRecorded,
    SurveyCompleted,
    SurveyNotHeld,
    SurveyStarted,
    TooFewRecorded,
)
from shared.period import Period
from shared.returns import Campaign, Returns, balloted
from shared.rubric import Form, FormTally, Rubric
from shared.rubric.survey import FEWEST

PERIOD_STREAM: Final = "period"
STUDIES_STREAM: Final = "studies"
MAX_INVITATIONS: Final = 10_000
"""Invitations in one command: their tokens are one answer."""


@dataclass(frozen=True)
class StartSurvey:
    """The period has started: `of` is the position of that entry, `period` what the submission log says up to it."""

    name: str
    of: int
    period: Period


@dataclass(frozen=True)
class OpenCampaign:
    """Ask about all agencies of a group, with the forms of its rubric, from `opens` until just before `closes`.

    `position` is that of the first entry; `published` says whether the period's index is; `quota`, by form, how many
    ballots are wanted about each agency.
    """

    campaign: str
    group: str
    opens: datetime
    closes: datetime
    period: Period
    time: datetime
    position: int
    published: bool
    quota: Mapping[str, int] | None = None


@dataclass(frozen=True)
class IssueInvitations:
    """Invite so many respondents to fill in one form about one agency; `quota` ballots are wanted from now on."""

    campaign: str
    agency: str
    form: str
    count: int
    period: Period
    time: datetime
    published: bool
    quota: int | None = None


@dataclass(frozen=True)
class SendReminders:
    """So many of those who were invited with one form about one agency are reminded."""

    campaign: str
    agency: str
    form: str
    count: int
    time: datetime


@dataclass(frozen=True)
class RecordResponses:
    """Ballots that a turning box gave up."""

    campaign: str
    agency: str
    form: str
    tally: FormTally


@dataclass(frozen=True)
class CloseBox:
    """All ballots that a box held when its campaign had closed."""

    campaign: str
    agency: str
    form: str
    tally: FormTally
    time: datetime


@dataclass(frozen=True)
class CompleteCampaign:
    """End a campaign that has closed. `position` is that of the first entry."""

    campaign: str
    time: datetime
    position: int
    published: bool


Command = (
    StartSurvey
    | OpenCampaign
    | IssueInvitations
    | SendReminders
    | RecordResponses
    | CloseBox
    | CompleteCampaign
    | ImportStudy
    | HoldNoSurvey
)
Score = OpenCampaign | IssueInvitations | CompleteCampaign | ImportStudy | HoldNoSurvey
"""Commands that a score may rest on."""


def campaign_stream(campaign: str) -> str:
    """The stream of a campaign's entries."""
    return f"campaign/{campaign}"


def decide(state: Returns, command: Command) -> Sequence[Event]:
    """The events that the command means; Rejected as the service's table of codes says."""
    if isinstance(command, Score) and command.published:
        raise Rejected("period-published", "the period's index is published; nothing that it rests on may change")
    match command:
        case StartSurvey():
            return _start(state, command)
        case OpenCampaign():
            return _open(state, command)
        case IssueInvitations():
            return _invite(state, command)
        case SendReminders():
            return _remind(state, command)
        case RecordResponses():
            return _record(state, command)
        case CloseBox():
            return _close_box(state, command)
        case CompleteCampaign():
            return _complete(state, command)
        case ImportStudy():
            return study.imported(state, command)
        case HoldNoSurvey():
            return study.not_held(state, command)


DECIDER: Decider[Returns, Command, Event] = Decider(Returns(), decide, Returns.evolve)
"""On the state of the whole log: its commands name all streams in `reads`."""


def _start(state: Returns, command: StartSurvey) -> list[Event]:
    if state.started:
        return []
    started = SurveyStarted(period=command.name, of=command.of)
    if any(rubric.has_survey for rubric in command.period.rubrics.values()):
        return [started]
    return [started, SurveyNotHeld(of=command.of)]


def _open(state: Returns, command: OpenCampaign) -> list[Event]:
    if command.campaign in state.campaigns:
        raise Rejected("campaign-exists", f"there is a campaign {command.campaign} already", "campaign")
    rubric = command.period.rubrics.get(command.group)
    if rubric is None:
        raise Rejected("group-unknown", f"{command.group} is no group of this period", "group")
    if not balloted(rubric):
        raise Rejected("group-has-no-survey", f"no ballot scores an item of the group {command.group}", "group")
    check_held(state)
    for name, campaign in state.campaigns.items():
        if campaign.opened.group == command.group:
            raise Rejected("campaign-exists", f"the group {command.group} is asked about in campaign {name}", "group")
    if command.closes <= max(command.opens, command.time):
        raise Rejected("span-invalid", "a campaign closes after it opens, and not in the past", "closes")
    forms = [FormSet(campaign=command.campaign, group=command.group, form=form) for form in _forms(rubric)]
    quota = command.quota or {}
    if unknown := sorted(quota.keys() - {form.form.id for form in forms}):
        raise Rejected("form-unknown", f"{unknown[0]} is no form of this campaign", f"quota.{unknown[0]}")
    opened = CampaignOpened(
        campaign=command.campaign,
        group=command.group,
        agencies=tuple(a for a in command.period.active if command.period.agencies[a].group == command.group),
        opens=command.opens,
        closes=command.closes,
        count=len(forms),
        first=command.position,
        digest=parts_digest(forms),
        quota=dict(sorted(quota.items())) or None,
    )
    return [*forms, opened]


def _forms(rubric: Rubric) -> list[Form]:
    """The forms that an item reads; others would ask for nothing."""
    read = {question.form for leaf in balloted(rubric) for question in getattr(leaf.rule, "questions", ())}
    return [form for form in rubric.forms if form.id in read]


def _invite(state: Returns, command: IssueInvitations) -> list[Event]:
    campaign = _the_campaign(state, command.campaign)
    _check_place(campaign, command.agency, command.form)
    command.period.the_active(command.agency)
    if campaign.completed or command.time >= campaign.opened.closes:
        raise Rejected("campaign-closed", f"the campaign {command.campaign} has closed", "campaign")
    if not 1 <= command.count <= MAX_INVITATIONS:
        raise Rejected("count-invalid", f"issue 1 to {MAX_INVITATIONS} invitations at a time", "count")
    points = state.studies.get(command.agency, {})
    if any(leaf.code in points for leaf in balloted(command.period.rubric_of(command.agency))):
        raise Rejected("study-imported", f"an imported study stands for {command.agency}'s ballots", "agency")
    return [
        InvitationsIssued(
            campaign=command.campaign,
            agency=command.agency,
            form=command.form,
            count=command.count,
            quota=command.quota,
        )
    ]


def _remind(state: Returns, command: SendReminders) -> list[Event]:
    campaign = _the_campaign(state, command.campaign)
    _check_place(campaign, command.agency, command.form)
    if campaign.completed or command.time >= campaign.opened.closes:
        raise Rejected("campaign-closed", f"the campaign {command.campaign} has closed", "campaign")
    invited = state.invited.get(command.agency, {}).get(command.form, 0)
    if not 1 <= command.count <= invited:
        message = f"{invited} are invited; a reminder goes to 1 of them at least and to all at most"
        raise Rejected("reminders-invalid", message, "count")
    return [RemindersSent(campaign=command.campaign, agency=command.agency, form=command.form, count=command.count)]


def _record(state: Returns, command: RecordResponses) -> list[Event]:
    _check_place(_the_campaign(state, command.campaign), command.agency, command.form)
    if command.tally.ballots < FEWEST:
        raise Rejected("too-few", f"an entry speaks for at least {FEWEST} ballots")
    return [_recorded(command)]


def _close_box(state: Returns, command: CloseBox) -> list[Event]:
    campaign = _the_campaign(state, command.campaign)
    _check_place(campaign, command.agency, command.form)
    _check_closed(campaign, command.time)
    if command.tally.ballots >= FEWEST:
        return [_recorded(command)]
    return [
        TooFewRecorded(
            campaign=command.campaign, agency=command.agency, form=command.form, ballots=command.tally.ballots
        )
    ]


def _recorded(command: RecordResponses | CloseBox) -> ResponsesRecorded:
    counts = {question: dict(sorted(options.items())) for question, options in sorted(command.tally.counts.items())}
    return ResponsesRecorded(
        campaign=command.campaign,
        agency=command.agency,
        form=command.form,
        ballots=command.tally.ballots,
        counts=counts,
    )


def _complete(state: Returns, command: CompleteCampaign) -> list[Event]:
    campaign = _the_campaign(state, command.campaign)
    if campaign.completed:
        raise Rejected("campaign-completed", f"the campaign {command.campaign} is completed", "campaign")
    _check_closed(campaign, command.time)
    parts = [
        _form_completed(state, command.campaign, agency, form)
        for agency in campaign.opened.agencies
        for form in campaign.forms
    ]
    completed = SurveyCompleted(
        campaign=command.campaign,
        invitations=sum(part.invitations for part in parts),
        ballots=sum(part.ballots for part in parts),
        count=len(parts),
        first=command.position,
        digest=parts_digest(parts),
    )
    return [*parts, completed]


def _form_completed(state: Returns, campaign: str, agency: str, form: str) -> FormCompleted:
    tally = state.recorded.get(agency, {}).get(form, FormTally(0, {}))
    return FormCompleted(
        campaign=campaign,
        agency=agency,
        form=form,
        invitations=state.invited.get(agency, {}).get(form, 0),
        ballots=tally.ballots,
        counts={question: dict(options) for question, options in tally.counts.items()},
    )


def check_open(campaign: Campaign, time: datetime) -> None:
    """Refuse a ballot outside the campaign's span: `campaign-not-open`, `campaign-closed`."""
    if time < campaign.opened.opens:
        raise Rejected("campaign-not-open", "ballots may be cast once the campaign opens", "token")
    if campaign.completed or time >= campaign.opened.closes:
        raise Rejected("campaign-closed", "the campaign has closed", "token")


def _the_campaign(state: Returns, name: str) -> Campaign:
    campaign = state.campaigns.get(name)
    if campaign is None:
        raise Rejected("campaign-unknown", f"there is no campaign {name}", "campaign")
    return campaign


def _check_place(campaign: Campaign, agency: str, form: str) -> None:
    if agency not in campaign.opened.agencies:
        raise Rejected("agency-unknown", f"{agency} is not in this campaign", "agency")
    if form not in campaign.forms:
        raise Rejected("form-unknown", f"{form} is no form of this campaign", "form")


def _check_closed(campaign: Campaign, time: datetime) -> None:
    if time < campaign.opened.closes:
        raise Rejected("campaign-still-open", "ballots may be cast until the campaign closes", "campaign")
