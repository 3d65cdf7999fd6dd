"""What entries state that an audit holds against other entries: keys, manifests, votes, ballots, approvals."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from services.scoring.findings import Check, Report
from shared.events import Entry, Event
from shared.events.appraisal import CouncilAdjusted
from shared.events.register import LogOpened, RegisterOpened
from shared.events.scoring import (
    CardPublished,
    IndexPublished,
    IndexRevised,
    ResultApproved,
    ResultConsolidated,
    RevisionOpened,
)
from shared.events.submission import (
    AgenciesAdded,
    AgencyJoined,
    EvidenceUploaded,
    PeriodOpened,
    RubricFieldSet,
    RubricSet,
)
from shared.events.survey import (
    CampaignOpened,
    FormCompleted,
    FormSet,
    InvitationsIssued,
    ResponsesRecorded,
    SurveyCompleted,
    TooFewRecorded,
)
from shared.rubric.survey import FEWEST

MANIFESTS: Final[Mapping[type[Event], tuple[type[Event], tuple[str, ...]]]] = {
    RubricSet: (RubricFieldSet, ("group",)),
    CampaignOpened: (FormSet, ("campaign", "group")),
    SurveyCompleted: (FormCompleted, ("campaign",)),
    IndexPublished: (CardPublished, ()),
    IndexRevised: (CardPublished, ()),
}
"""Each manifest with its parts' type, and what they say alike."""
_PARTS: Final = frozenset(part.type for part, _ in MANIFESTS.values())
_MOVABLE: Final = (".demo", ".test")  # names of deployments whose clock may have an offset

Place = tuple[str, str, str]


class Opening(NamedTuple):
    """A register's statement that a log exists: the verification key as it is written there, and the entry."""

    key: str
    entry: Entry


class Publication(NamedTuple):
    """A published index with its cards, and the consolidation and approval that stood before it."""

    entry: Entry
    event: IndexPublished
    cards: tuple[tuple[Entry, CardPublished], ...]
    consolidated: tuple[Entry, ResultConsolidated] | None
    approved: tuple[Entry, ResultApproved] | None


@dataclass
class _Period:
    """What the entries of one period have stated so far; a `Place` is campaign, agency and form."""

    opened: PeriodOpened | None = None
    policies: dict[str, str] = field(default_factory=dict)
    invited: Counter[Place] = field(default_factory=Counter)
    ballots: Counter[Place] = field(default_factory=Counter)
    options: dict[Place, Counter[tuple[str, str]]] = field(default_factory=dict)
    consolidated: tuple[Entry, ResultConsolidated] | None = None
    approved: tuple[Entry, ResultApproved] | None = None
    published: Entry | None = None
    revision: int | None = None


class Statements:
    """What the entries state, log after log: registers first, and a period's submission before its other logs."""

    def __init__(self, deployment: str, report: Report) -> None:
        self.openings: dict[str, list[Opening]] = {}
        self.evidence: dict[str, list[tuple[Entry, int]]] = {}
        self.publications: list[Publication] = []
        self._deployment = deployment
        self._report = report
        self._periods: dict[str, _Period] = {}
        self._parts: list[tuple[Entry, Any]] = []
        self._takes: Mapping[str, Callable[[_Period, Entry, Any], None]] = {
            **dict.fromkeys(_PARTS, self._part),
            PeriodOpened.type: self._period_opened,
            RubricSet.type: self._manifest,
            AgenciesAdded.type: self._agencies_added,
            AgencyJoined.type: self._agency_joined,
            EvidenceUploaded.type: self._evidence_uploaded,
            CouncilAdjusted.type: self._council_adjusted,
            CampaignOpened.type: self._manifest,
            InvitationsIssued.type: self._invitations_issued,
            ResponsesRecorded.type: self._responses_recorded,
            TooFewRecorded.type: self._too_few_recorded,
            SurveyCompleted.type: self._manifest,
            ResultConsolidated.type: self._result_consolidated,
            ResultApproved.type: self._result_approved,
            IndexPublished.type: self._index_published,
            IndexRevised.type: self._index_published,
            RevisionOpened.type: self._revision_opened,
        }
        self._registers: Mapping[str, Callable[[Entry, Any], None]] = {
            RegisterOpened.type[1:]: self._register_opened,
            LogOpened.type[1:]: self._log_opened,
        }

    def take(self, log: str, entries: Sequence[Entry]) -> None:
        """Hold more entries of a log against what was stated before them."""
        service, _, name = log.partition("/")
        period = self._periods.setdefault(name, _Period())
        for entry in entries:
            take = self._takes.get(entry.type)
            if take is not None:
                event = self._event(entry)
                if event is not None:
                    take(period, entry, event)
            elif name == "register":
                event = self._event(entry)
                if event is not None:
                    self._registers[entry.type.removeprefix(service)](entry, event)

    def close(self, log: str) -> None:
        """The log's entries are all taken; parts at its very end may wait for a manifest that is not archived yet."""
        last = self._report.sizes[log] - 1
        if self._parts and self._parts[-1][0].position != last:
            self._orphaned()
        self._parts = []

    def withheld(self, entry: Entry) -> None:
        """Hold an entry whose public data are withheld against the period's publication policy."""
        period = self._periods.get(entry.log.partition("/")[2], _Period())
        general = "everything" if period.opened is None else period.opened.publication
        agency = entry.stream.partition("/")[2]
        if agency in period.policies:
            shown = period.policies[agency] == "everything"
        else:  # the stream does not tell the agency; the period's own entries are never withheld
            shown = entry.stream == "period" or {general, *period.policies.values()} == {"everything"}
        if shown:
            self._report.find_entry("withheld-public", entry, f"{entry.type} is public, and no policy withholds it")

    def _event(self, entry: Entry) -> Event | None:
        try:
            return entry.event
        except ValueError as error:
            first = str(error).splitlines()[0]
            self._report.find_entry("data-malformed", entry, f"they are no {entry.type}: {first}")
            return None

    # Registers

    def _register_opened(self, entry: Entry, event: RegisterOpened) -> None:
        if event.deployment != self._deployment:
            message = f"of the deployment {event.deployment}, not {self._deployment}"
            self._report.find_entry("register-differs", entry, message)
        if event.clock_offset and not event.deployment.endswith(_MOVABLE):
            self._report.find_entry("register-differs", entry, f"the clock has an offset of {event.clock_offset} µs")

    def _log_opened(self, entry: Entry, event: LogOpened) -> None:
        self.openings.setdefault(event.log, []).append(Opening(event.key, entry))

    # Manifests

    def _part(self, _: _Period, entry: Entry, event: Event) -> None:
        if self._parts and not _adjoins(self._parts[-1][0], entry):
            self._orphaned()
        self._parts.append((entry, event))

    def _manifest(self, period: _Period, entry: Entry, event: Any) -> None:
        kind, alike = MANIFESTS[type(event)]
        if self._parts and not _adjoins(self._parts[-1][0], entry):
            self._orphaned()
        parts, self._parts = self._parts, []
        said = event.parts_digest if isinstance(event, IndexPublished) else event.digest
        digest = hashlib.sha256(b"".join(part.data or b"" for part, _ in parts)).hexdigest()
        for name, stated, found in (
            ("count", event.count, len(parts)),
            ("first position", event.first, entry.position - len(parts)),
            ("digest", said, digest),
        ):
            if stated != found:
                self._report.find_entry("manifest-differs", entry, f"its {name} is {stated}, its parts' {found}")
        for part, content in parts:
            if not isinstance(content, kind) or any(getattr(content, name) != getattr(event, name) for name in alike):
                self._report.find_entry("manifest-differs", part, f"no part of the manifest at {entry.position}")
        self._report.counts[Check.MANIFESTS] += 1
        if isinstance(event, SurveyCompleted):
            self._survey_completed(period, entry, event, [(part, content) for part, content in parts])

    def _orphaned(self) -> None:
        for part, _ in self._parts:
            self._report.find_entry("manifest-missing", part, f"a {part.type} that no manifest follows")
        self._parts = []

    # Submission

    def _period_opened(self, period: _Period, _: Entry, event: PeriodOpened) -> None:
        period.opened = event

    def _agencies_added(self, period: _Period, _: Entry, event: AgenciesAdded) -> None:
        general = "everything" if period.opened is None else period.opened.publication
        period.policies |= {each.agency: each.publication or general for each in event.agencies}

    def _agency_joined(self, period: _Period, _: Entry, event: AgencyJoined) -> None:
        general = "everything" if period.opened is None else period.opened.publication
        period.policies[event.agency] = event.publication or general

    def _evidence_uploaded(self, _: _Period, entry: Entry, event: EvidenceUploaded) -> None:
        self.evidence.setdefault(event.sha256, []).append((entry, event.size))

    # Appraisal

    def _council_adjusted(self, period: _Period, entry: Entry, event: CouncilAdjusted) -> None:
        tally = event.tally
        voted = tally.in_favour + tally.against + tally.abstained
        if period.opened is None:
            self._report.find_entry("tally-invalid", entry, "no opening of the period says how its council decides")
            return
        council = period.opened.council
        if tally.members != council.members or voted > tally.members or tally.in_writing > voted:
            message = (
                f"{voted} votes, {tally.in_writing} in writing, of {tally.members}; it has {council.members} members"
            )
            self._report.find_entry("tally-invalid", entry, message)
        if not council.carries(tally.in_favour):
            message = f"{tally.in_favour} of {council.members} members do not carry the adjustment of {event.item}"
            self._report.find_entry("vote-not-carried", entry, message)
        self._report.counts[Check.VOTES] += 1

    # Survey

    def _invitations_issued(self, period: _Period, _: Entry, event: InvitationsIssued) -> None:
        period.invited[_place(event)] += event.count

    def _responses_recorded(self, period: _Period, entry: Entry, event: ResponsesRecorded) -> None:
        if event.ballots < FEWEST:
            self._report.find_entry("ballots-too-few", entry, f"it speaks for {event.ballots} ballots")
        options = period.options.setdefault(_place(event), Counter())
        for question, counts in event.counts.items():
            if min(counts.values(), default=0) < 0 or sum(counts.values()) > event.ballots:
                message = f"question {question} counts other than {event.ballots} ballots"
                self._report.find_entry("ballots-differ", entry, message)
            options.update({(question, option): ballots for option, ballots in counts.items()})
        self._ballots(period, entry, event)

    def _too_few_recorded(self, period: _Period, entry: Entry, event: TooFewRecorded) -> None:
        self._ballots(period, entry, event)

    def _ballots(self, period: _Period, entry: Entry, event: ResponsesRecorded | TooFewRecorded) -> None:
        place = _place(event)
        period.ballots[place] += event.ballots
        if period.ballots[place] > period.invited[place]:
            message = f"{period.ballots[place]} ballots, {period.invited[place]} invitations for {'/'.join(place)}"
            self._report.find_entry("ballots-exceed-invitations", entry, message)
        self._report.counts[Check.BALLOTS] += 1

    def _survey_completed(
        self, period: _Period, entry: Entry, event: SurveyCompleted, parts: Sequence[tuple[Entry, FormCompleted]]
    ) -> None:
        """Completion repeats the counts that were recorded, for every form that has any, and their sums."""
        forms = [(part, form) for part, form in parts if isinstance(form, FormCompleted)]
        for part, form in forms:
            place = _place(form)
            stated = Counter({(q, option): n for q, counts in form.counts.items() for option, n in counts.items()})
            recorded = period.options.get(place, Counter())
            found = (period.invited[place], period.ballots[place])
            if (form.invitations, form.ballots) != found or +stated != +recorded:
                message = (
                    f"{form.invitations} invitations and {form.ballots} ballots, recorded {found[0]} and {found[1]}"
                )
                self._report.find_entry("ballots-differ", part, message)
        sums = (sum(form.invitations for _, form in forms), sum(form.ballots for _, form in forms))
        if (event.invitations, event.ballots) != sums:
            message = f"{event.invitations} invitations and {event.ballots} ballots, its parts' {sums[0]} and {sums[1]}"
            self._report.find_entry("manifest-differs", entry, message)
        named = {_place(form) for _, form in forms}
        lacking = {place for place in period.ballots if place[0] == event.campaign} - named
        for place in sorted(lacking):
            self._report.find_entry("ballots-differ", entry, f"the ballots for {'/'.join(place)} are left out")

    # Scoring

    def _result_consolidated(self, period: _Period, entry: Entry, event: ResultConsolidated) -> None:
        period.consolidated, period.approved = (entry, event), None

    def _result_approved(self, period: _Period, entry: Entry, event: ResultApproved) -> None:
        period.approved = (entry, event)

    def _index_published(self, period: _Period, entry: Entry, event: IndexPublished) -> None:
        cards = tuple((part, card) for part, card in self._parts if isinstance(card, CardPublished))
        self._manifest(period, entry, event)
        publication = Publication(entry, event, cards, period.consolidated, period.approved)
        self.publications.append(publication)
        for name, message in (*_approval_faults(publication), *_revision_faults(period, event)):
            self._report.find_entry(name, entry, message)
        period.published, period.revision = entry, None
        self._report.counts[Check.APPROVALS] += 1

    def _revision_opened(self, period: _Period, entry: Entry, event: RevisionOpened) -> None:
        stands = None if period.published is None or period.revision is not None else period.published.position
        if event.of != stands:
            self._report.find_entry("revision-differs", entry, f"it revises {event.of}, the index at {stands} stands")
        period.revision, period.consolidated, period.approved = event.of, None, None


def _revision_faults(period: _Period, event: IndexPublished) -> Iterator[tuple[str, str]]:
    """What is wrong with the place of a published index among the period's others, if anything."""
    revises = event.revises if isinstance(event, IndexRevised) else None
    if revises != period.revision:
        yield "revision-differs", f"it revises {revises}, a revision of {period.revision} is open"
    elif period.published is not None and revises is None:
        yield "revision-differs", f"the index at {period.published.position} stands, and no revision of it was opened"


def _approval_faults(publication: Publication) -> Iterator[tuple[str, str]]:
    """What is wrong with how a result came to be published, if anything."""
    index = publication.event
    if publication.consolidated is None or publication.approved is None:
        yield "approval-missing", "no result was consolidated and then approved"
        return
    consolidating, consolidated = publication.consolidated
    approving, approved = publication.approved
    if consolidated.by != consolidating.actor:
        yield "approval-differs", f"{consolidated.by} is said to have consolidated it, {consolidating.actor} did"
    if approving.actor in {consolidating.actor, consolidated.by}:
        yield "approval-same-person", f"{approving.actor} consolidated and approved it"
    if not consolidated.digest == approved.digest == index.digest:
        yield (
            "approval-differs",
            f"published {index.digest}, consolidated {consolidated.digest}, approved {approved.digest}",
        )
    if (index.decision, index.dated) != (approved.decision, approved.dated):
        yield "approval-differs", f"published under {index.decision}, approved by {approved.decision}"
    own = publication.entry.log
    if consolidated.formula != index.formula or dict(consolidated.heads) != {
        log: head for log, head in index.heads.items() if log != own
    }:
        yield "approval-differs", "published from other heads, or by another formula, than consolidated"


def _adjoins(before: Entry, entry: Entry) -> bool:
    return before.position + 1 == entry.position


def _place(event: InvitationsIssued | ResponsesRecorded | TooFewRecorded | FormCompleted) -> Place:
    return event.campaign, event.agency, event.form
