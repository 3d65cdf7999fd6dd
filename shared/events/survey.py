"""What the survey service records: campaigns, invitations and ballots as counts only, completion, imported studies."""

from datetime import date
from typing import Annotated, ClassVar

from pydantic import Field

from shared.events import Code, Event, Id, Instant, Points, Sha256
from shared.rubric import Form

Counts = dict[str, dict[str, int]]
Quota = Annotated[int, Field(ge=1, le=100_000)]


class SurveyStarted(Event):
    """The period's survey log begins, in reaction to the period's opening; `of` is that entry's position."""

    type: ClassVar[str] = "survey.survey-started.v1"
    period: Id
    of: int


class FormSet(Event):
    """One form of a campaign; it counts only under the manifest `campaign-opened` that follows."""

    type: ClassVar[str] = "survey.form-set.v1"
    campaign: Id
    group: Id
    form: Form


class CampaignOpened(Event):
    """Manifest of a campaign over all agencies of a group: its span; count, first position and SHA-256 of its forms.

    `quota`, by form: the ballots wanted about each agency.
    """

    type: ClassVar[str] = "survey.campaign-opened.v1"
    campaign: Id
    group: Id
    agencies: Annotated[tuple[Id, ...], Field(min_length=1, max_length=5000)]
    opens: Instant
    closes: Instant
    count: int
    first: int
    digest: Sha256
    quota: Annotated[dict[Id, Quota] | None, Field(max_length=20)] = None


class InvitationsIssued(Event):
    """So many tokens were issued; the tokens themselves are nowhere but with those invited.

    `quota`: the ballots wanted about this agency from this form from now on, instead of the campaign's quota.
    """

    type: ClassVar[str] = "survey.invitations-issued.v1"
    campaign: Id
    agency: Id
    form: Id
    count: Annotated[int, Field(ge=1, le=100_000)]
    quota: Quota | None = None


class RemindersSent(Event):
    """So many of those invited were reminded; who they are is nowhere."""

    type: ClassVar[str] = "survey.reminders-sent.v1"
    campaign: Id
    agency: Id
    form: Id
    count: Annotated[int, Field(ge=1, le=100_000)]


class ResponsesRecorded(Event):
    """At least five ballots as counts: question → option → ballots; an unanswered question counts as `blank`."""

    type: ClassVar[str] = "survey.responses-recorded.v1"
    campaign: Id
    agency: Id
    form: Id
    ballots: Annotated[int, Field(ge=1)]
    counts: Counts


class TooFewRecorded(Event):
    """A form had fewer than five ballots in all when the campaign closed: the number only."""

    type: ClassVar[str] = "survey.too-few-recorded.v1"
    campaign: Id
    agency: Id
    form: Id
    ballots: Annotated[int, Field(ge=0, le=4)]


class FormCompleted(Event):
    """The ballots and invitations of one agency and form at completion; a part of `survey-completed`."""

    type: ClassVar[str] = "survey.form-completed.v1"
    campaign: Id
    agency: Id
    form: Id
    invitations: int
    ballots: int
    counts: Counts


class SurveyCompleted(Event):
    """Manifest of a campaign's completion: count, first position and SHA-256 of its `form-completed` parts."""

    type: ClassVar[str] = "survey.survey-completed.v1"
    campaign: Id
    invitations: int
    ballots: int
    count: int
    first: int
    digest: Sha256


class StudyImported(Event):
    """Points of an existing study stand instead of ballots for one agency's survey leaves, with document and source."""

    type: ClassVar[str] = "survey.study-imported.v1"
    agency: Id
    points: Annotated[dict[Code, Points], Field(min_length=1, max_length=500)]
    document: Annotated[str, Field(min_length=1, max_length=64)]
    dated: date
    source: Annotated[str, Field(min_length=1, max_length=500)]


class SurveyNotHeld(Event):
    """No survey is held in the period: its rubrics have no survey leaf, or an officer says so by a decision of that
    number and date, and the rubrics say what stands in. Counts as completion; `of` is the position of the start.
    """

    type: ClassVar[str] = "survey.survey-not-held.v1"
    of: int
    decision: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    dated: date | None = None


EVENTS: tuple[type[Event], ...] = (
    SurveyStarted,
    FormSet,
    CampaignOpened,
    InvitationsIssued,
    RemindersSent,
    ResponsesRecorded,
    TooFewRecorded,
    FormCompleted,
    SurveyCompleted,
    StudyImported,
    SurveyNotHeld,
)
