"""A period as its submission log states it: rubrics, agencies, deadlines; the fold that all four services share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.decider import Rejected
from shared.events import Entry, Event
from shared.events.scoring import IndexPublished, IndexRevised, RevisionOpened
from shared.events.submission import (
    AgenciesAdded,
    Agency,
    AgencyJoined,
    AgencyRenamed,
    AgencyWithdrawn,
    PeriodOpened,
    PeriodStarted,
    RubricFieldSet,
    RubricSet,
    SelfAssessmentClosed,
)
from shared.rubric import Field, Rubric, join

STREAM = "period"
"""The stream of a submission log that says what its period is."""


@dataclass(frozen=True)
class Period:
    """What is known of a period after a prefix of its submission log; empty before `period-opened`.

    `agencies` are all that ever took part, under their newest names; `withdrawn` those that no longer do.
    """

    opened: PeriodOpened | None = None
    fields: Mapping[str, tuple[Field, ...]] = field(default_factory=dict)
    rubrics: Mapping[str, Rubric] = field(default_factory=dict)
    agencies: Mapping[str, Agency] = field(default_factory=dict)
    withdrawn: Mapping[str, AgencyWithdrawn] = field(default_factory=dict)
    started: bool = False
    closed: SelfAssessmentClosed | None = None

    def evolve(self, event: Event) -> "Period":
        """The period after one more event of its log; events of agencies change nothing."""
        match event:
            case PeriodOpened():
                return replace(self, opened=event)
            case RubricFieldSet():
                fields = (*self.fields.get(event.group, ()), event.field)
                return replace(self, fields={**self.fields, event.group: fields})
            case RubricSet():
                rubric = join(event.head, self.fields.get(event.group, ())[-event.count :])
                return replace(self, rubrics={**self.rubrics, event.group: rubric})
            case AgenciesAdded():
                return replace(self, agencies={**self.agencies, **{agency.agency: agency for agency in event.agencies}})
            case AgencyJoined():
                joined = Agency(**{name: getattr(event, name) for name in Agency.model_fields})
                return replace(self, agencies={**self.agencies, event.agency: joined})
            case AgencyRenamed():
                names = {"name_vi": event.name_vi, "name_en": event.name_en}
                renamed = self.agencies[event.agency].model_copy(update=names)
                return replace(self, agencies={**self.agencies, event.agency: renamed})
            case AgencyWithdrawn():
                return replace(self, withdrawn={**self.withdrawn, event.agency: event})
            case PeriodStarted():
                return replace(self, started=True)
            case SelfAssessmentClosed():
                return replace(self, closed=event)
            case _:
                return self

    def the_opened(self) -> PeriodOpened:
        """The period's opening; Rejected `period-unknown` before it."""
        if self.opened is None:
            raise Rejected("period-unknown", "there is no such period", "period")
        return self.opened

    def the_agency(self, agency: str) -> Agency:
        """The agency as named in this period; Rejected `agency-unknown`."""
        found = self.agencies.get(agency)
        if found is None:
            raise Rejected("agency-unknown", f"{agency} is no agency of this period", "agency")
        return found

    def the_active(self, agency: str) -> Agency:
        """As `the_agency`, and Rejected `agency-withdrawn` for one that takes no further part."""
        found = self.the_agency(agency)
        if agency in self.withdrawn:
            raise Rejected("agency-withdrawn", f"{agency} takes no further part in this period", "agency")
        return found

    @property
    def active(self) -> tuple[str, ...]:
        """The agencies that take part, in the order in which they were added."""
        return tuple(agency for agency in self.agencies if agency not in self.withdrawn)

    def rubric_of(self, agency: str) -> Rubric:
        """The rubric of the agency's group; Rejected `agency-unknown`."""
        return self.rubrics[self.the_agency(agency).group]

    def last_time(self, step: str) -> datetime | None:
        """When a step ends for good (exclusive): its last time, else its due time; None where it has no deadline."""
        deadline = self.the_opened().deadlines.get(step)
        return None if deadline is None else deadline.last or deadline.due


def fold(period: Period, entries: Sequence[Entry]) -> Period:
    """The period after more entries of its submission log; what a `Projection` of that log is made with."""
    for entry in entries:
        if entry.stream == STREAM and entry.event is not None:
            period = period.evolve(entry.event)
    return period


def fold_published(published: bool, entries: Sequence[Entry]) -> bool:
    """Whether the period's index stands published after more entries of its scoring log: then no score may move, until
    a revision is opened."""
    for entry in entries:
        if entry.type in (IndexPublished.type, IndexRevised.type):
            published = True
        elif entry.type == RevisionOpened.type:
            published = False
    return published
