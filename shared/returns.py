"""The returns of a period's survey as its log states them; the fold that survey, appraisal and scoring share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from shared.events import Entry, Event
from shared.events.survey import (
    CampaignOpened,
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
from shared.period import Period
from shared.rubric import Form, FormTally, Leaf, Mode, Rubric, SurveyResult, survey_points
from shared.rubric.rules import Survey
from shared.rubric.survey import FEWEST


class Campaign(NamedTuple):
    """A campaign: its opening, its forms by id, and whether it is completed."""

    opened: CampaignOpened
    forms: Mapping[str, Form]
    completed: bool = False


class Reminders(NamedTuple):
    """How often those invited were reminded, and how many reminders went out in all."""

    times: int = 0
    sent: int = 0


def surveyed(rubric: Rubric) -> tuple[Leaf, ...]:
    """The items of a rubric that a survey scores."""
    return tuple(leaf for leaf in rubric.leaves.values() if leaf.mode is Mode.SURVEY)


def balloted(rubric: Rubric) -> tuple[Leaf, ...]:
    """The items that ballots score; the other surveyed ones have their points from a study only."""
    return tuple(leaf for leaf in surveyed(rubric) if isinstance(leaf.rule, Survey))


@dataclass(frozen=True)
class Returns:
    """What is known of a period's survey after a prefix of its log.

    `recorded`, by agency and form: the ballots in the log and their counts (none where they were too few). `invited`:
    the invitations; `reminded`: the reminders; `quotas`: the ballots wanted where not the campaign's own quota.
    `studies`, by agency: the points of an existing study that stand instead of ballots. `of`: where the period started.
    """

    started: bool = False
    of: int = 0
    not_held: bool = False
    campaigns: Mapping[str, Campaign] = field(default_factory=dict)
    pending: Mapping[str, tuple[Form, ...]] = field(default_factory=dict)
    invited: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    reminded: Mapping[str, Mapping[str, Reminders]] = field(default_factory=dict)
    quotas: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    recorded: Mapping[str, Mapping[str, FormTally]] = field(default_factory=dict)
    studies: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)

    def evolve(self, event: Event) -> "Returns":
        """The returns after one more event of the log; forms count only under their manifest."""
        match event:
            case SurveyStarted():
                return replace(self, started=True, of=event.of)
            case SurveyNotHeld():
                return replace(self, not_held=True)
            case StudyImported():
                return replace(self, studies={**self.studies, event.agency: event.points})
            case _:
                return self._of_campaign(event)

    def _of_campaign(self, event: Event) -> "Returns":
        returns = self
        match event:
            case FormSet():
                forms = (*self.pending.get(event.campaign, ()), event.form)
                returns = replace(self, pending={**self.pending, event.campaign: forms})
            case CampaignOpened():
                parts = self.pending.get(event.campaign, ())[-event.count :]
                returns = self._with(Campaign(event, {form.id: form for form in parts}))
            case InvitationsIssued():
                own = self.invited.get(event.agency, {})
                total = own.get(event.form, 0) + event.count
                returns = replace(self, invited={**self.invited, event.agency: {**own, event.form: total}})
                returns = returns._want(event.agency, event.form, event.quota)
            case RemindersSent():
                before = self.reminded.get(event.agency, {})
                times, sent = before.get(event.form, Reminders())
                both = {**before, event.form: Reminders(times + 1, sent + event.count)}
                returns = replace(self, reminded={**self.reminded, event.agency: both})
            case ResponsesRecorded():
                returns = self._add(event.agency, event.form, FormTally(event.ballots, event.counts))
            case TooFewRecorded():
                returns = self._add(event.agency, event.form, FormTally(event.ballots, {}))
            case SurveyCompleted():
                returns = self._with(self.campaigns[event.campaign]._replace(completed=True))
        return returns

    def _with(self, campaign: Campaign) -> "Returns":
        return replace(self, campaigns={**self.campaigns, campaign.opened.campaign: campaign})

    def _want(self, agency: str, form: str, quota: int | None) -> "Returns":
        if quota is None:
            return self
        return replace(self, quotas={**self.quotas, agency: {**self.quotas.get(agency, {}), form: quota}})

    def _add(self, agency: str, form: str, more: FormTally) -> "Returns":
        own = self.recorded.get(agency, {})
        both = added(own.get(form, FormTally(0, {})), more)
        return replace(self, recorded={**self.recorded, agency: {**own, form: both}})

    def campaign_of(self, agency: str) -> Campaign | None:
        """The campaign that asks about the agency; a group of agencies has one at most."""
        return next((each for each in self.campaigns.values() if agency in each.opened.agencies), None)

    def quota(self, agency: str, form: str) -> int | None:
        """The ballots wanted about the agency from the form, where a number was set."""
        campaign = self.campaign_of(agency)
        general = None if campaign is None else (campaign.opened.quota or {}).get(form)
        return self.quotas.get(agency, {}).get(form, general)

    def tallies(self, agency: str) -> Mapping[str, FormTally]:
        """What the rubric's rules read of an agency's ballots, by form.

        A form with fewer than five has no counts: its number is told only where the respondent group has fewer than
        five on all of its forms together, so that a number without counts is never read as blank answers.
        """
        campaign, recorded = self.campaign_of(agency), self.recorded.get(agency, {})
        if campaign is None:
            return {}
        groups = Counter[str]()
        for form, tally in recorded.items():
            groups[campaign.forms[form].group] += tally.ballots
        return {
            form: tally
            for form, tally in recorded.items()
            if tally.ballots >= FEWEST or groups[campaign.forms[form].group] < FEWEST
        }

    def result(self, agency: str, leaf: Leaf) -> SurveyResult:
        """The points of a surveyed item so far: of the study that covers it, else of the ballots recorded."""
        return survey_points(leaf, self.tallies(agency), self.studies.get(agency, {}).get(leaf.code))

    def missing(self, agency: str, rubric: Rubric) -> tuple[Leaf, ...]:
        """The agency's surveyed items that neither a study nor a completed campaign covers; its group's rubric."""
        if self.not_held:
            return ()
        campaign, study = self.campaign_of(agency), self.studies.get(agency, {})
        asked = campaign is not None and campaign.completed
        return tuple(
            leaf
            for leaf in surveyed(rubric)
            if leaf.code not in study and not (asked and isinstance(leaf.rule, Survey))
        )

    def complete_for(self, agency: str, rubric: Rubric) -> bool:
        """Whether the survey has said all it will about the agency, under its group's rubric."""
        campaign = self.campaign_of(agency)
        return not self.missing(agency, rubric) and (campaign is None or campaign.completed)

    def open_campaigns(self) -> tuple[str, ...]:
        """The campaigns that are not completed."""
        return tuple(name for name, campaign in self.campaigns.items() if not campaign.completed)

    def open_agencies(self, period: Period) -> tuple[str, ...]:
        """The agencies that the survey is not complete for, in the order of the period."""
        return tuple(agency for agency in period.active if not self.complete_for(agency, period.rubric_of(agency)))

    def complete(self, period: Period) -> bool:
        """Whether the survey is complete: every campaign is completed and every agency covered, or none was held."""
        return self.not_held or (self.started and not self.open_campaigns() and not self.open_agencies(period))


def added(one: FormTally, other: FormTally) -> FormTally:
    """Both tallies together."""
    counts = {question: dict(options) for question, options in one.counts.items()}
    for question, options in other.counts.items():
        own = counts.setdefault(question, {})
        for option, ballots in options.items():
            own[option] = own.get(option, 0) + ballots
    return FormTally(one.ballots + other.ballots, counts)


def fold(returns: Returns, entries: Sequence[Entry]) -> Returns:
    """The returns after more entries of the log; what a `Projection` of a survey log is made with."""
    for entry in entries:
        if entry.event is not None:
            returns = returns.evolve(entry.event)
    return returns
