"""A period told event by event: its three logs as scoring follows them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from services.scoring.scorecard import SCORED, States, before
from shared.events import Entry, Event, canonical, data_hash, encode, instant, parts_digest
from shared.events.appraisal import (
    AgencyAppraised,
    AgencyOpened,
    AppraisalFinalised,
    AppraisalStarted,
    AppraiserAssigned,
    CouncilAdjusted,
    CouncilSeated,
    ItemAppraised,
    Tally,
)
from shared.events.scoring import Head
from shared.events.submission import (
    AgenciesAdded,
    Agency,
    EvidenceUploaded,
    NotApplicableClaimed,
    PeriodOpened,
    PeriodStarted,
    PointsDeclared,
    RubricFieldSet,
    RubricSet,
    SelfAssessmentApproved,
    SelfAssessmentClosed,
    SelfAssessmentSubmitted,
)
from shared.events.survey import (
    CampaignOpened,
    FormSet,
    ResponsesRecorded,
    StudyImported,
    SurveyCompleted,
    SurveyNotHeld,
    SurveyStarted,
)
from shared.rubric import Rubric, load_rubric, split
from shared.tlog.merkle import leaf_hash, root

PERIOD: Final = "2024-year"
SUBMISSION, APPRAISAL, SURVEY = (f"{service}/{PERIOD}" for service in SCORED)
BEGIN: Final = datetime(2024, 11, 1, tzinfo=UTC)
OFFICER, APPROVER, APPRAISER, CHAIR = ("0f" * 16, "0a" * 16, "0b" * 16, "0c" * 16)

_HEAD = """
id: {id}
title: {{vi: Bộ tiêu chí, en: A rubric}}
official: false
source: {{instrument: "1/QĐ", dated: "2024-01-01"}}
note: {{vi: Để thử nghiệm, en: For tests}}
parts:
{parts}
not_applicable: shrink
total: {{rule: sum, scale: "{scale}"}}
reasons: [{{id: as-declared, label: {{vi: Như kê khai}}}}, {{id: evidence-missing, label: {{vi: Thiếu kiểm chứng}}}}]
"""
PILOT = load_rubric(
    _HEAD.format(
        id="pilot",
        scale="20",
        parts='  appraisal: {label: {vi: Thẩm định}, max: "10"}\n  survey: {label: {vi: Điều tra}, max: "10"}',
    )
    + """
respondents: [{id: citizens, label: {vi: Người dân}}]
forms:
  - id: citizen-form
    group: citizens
    title: {vi: Phiếu người dân}
    questions:
      - id: q1
        text: {vi: Mức hài lòng}
        options: [{id: a, label: {vi: Có}}, {id: b, label: {vi: Một phần}}, {id: c, label: {vi: Không}}]
fields:
  - code: "1"
    label: {vi: Chỉ đạo điều hành}
    criteria:
      - code: "1.1"
        label: {vi: Kế hoạch}
        items:
          - {code: "1.1.1", label: {vi: Ban hành kế hoạch}, max: "2", rule: {kind: yes-no}}
          - {code: "1.1.2", label: {vi: Thực hiện kế hoạch}, max: "3", rule: {kind: proportional}}
  - code: "2"
    label: {vi: Thủ tục hành chính}
    criteria:
      - {code: "2.1", label: {vi: Một cửa}, max: "4", rule: {kind: by-hand}, step: "0.25"}
      - {code: "2.2", label: {vi: Đánh giá của lãnh đạo}, max: "1", mode: appraised, rule: {kind: by-hand}}
  - code: "3"
    label: {vi: Tác động}
    criteria:
      - code: "3.1"
        label: {vi: Hài lòng}
        max: "8"
        part: survey
        mode: survey
        rule:
          kind: survey
          aggregation: {kind: option-shares, shares: {a: "100", b: "50"}}
          questions: [{group: citizens, form: citizen-form, question: q1}]
          too_few: not-applicable
      - {code: "3.2", label: {vi: SIPAS}, max: "2", part: survey, mode: survey, rule: {kind: imported}}
"""
)


def direct_rubric(leaves: int, direct: str, survey: str) -> Rubric:
    """So many by-hand leaves in steps of 0,25 that share the direct points, and one item of an existing study."""
    each = Decimal(direct) / leaves
    parts = f'  appraisal: {{label: {{vi: Thẩm định}}, max: "{direct}"}}\n'
    parts += f'  survey: {{label: {{vi: Điều tra}}, max: "{survey}"}}'
    text = _HEAD.format(id="direct", scale=Decimal(direct) + Decimal(survey), parts=parts)
    text += 'fields:\n  - code: "1"\n    label: {vi: Nội dung}\n    criteria:\n'
    for number in range(1, leaves + 1):
        text += f'      - {{code: "1.{number}", label: {{vi: Tiêu chí {number}}}, max: "{each}", step: "0.25", '
        text += "rule: {kind: by-hand}}\n"
    text += f'      - {{code: "2", label: {{vi: Điều tra}}, max: "{survey}", part: survey, mode: survey, '
    text += "rule: {kind: imported}}\n"
    return load_rubric(text)


class Story:
    """The logs of one period as they grow, one event an hour."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Entry]] = {SUBMISSION: [], APPRAISAL: [], SURVEY: []}
        self._clock = BEGIN

    def tell(self, log: str, event: Event, *, stream: str = "period", seen: Mapping[str, int] | None = None) -> Entry:
        """The next entry of a log."""
        entries, salt, data = self.logs[log], bytes(32), encode(event)
        self._clock += timedelta(hours=1)
        header = {
            "specversion": "1.0",
            "datacontenttype": "application/json",
            "source": f"parindex.test/{log}",
            "type": event.type,
            "id": f"{log}-{len(entries)}",
            "subject": stream,
            "time": instant(self._clock),
            "position": str(len(entries)),
            "version": str(len(entries) + 1),
            "actor": OFFICER,
            "causationid": "0" * 32,
            "datahash": data_hash(salt, data),
        }
        if seen is not None:
            header["seen"] = " ".join(f"{name}@{size}" for name, size in sorted(seen.items()))
        entry = Entry(log, len(entries), canonical(header), salt, data)
        entries.append(entry)
        return entry

    @property
    def now(self) -> datetime:
        return self._clock

    def open(
        self,
        groups: Mapping[str, Rubric],
        agencies: Mapping[str, str],
        *,
        unranked: Iterable[str] = (),
        publication: Mapping[str, str] | None = None,
        **changed: Any,
    ) -> "Story":
        """The period from its opening to its start: group → rubric, agency → group."""
        body = {
            "period": PERIOD,
            "kind": "year",
            "name_vi": "Kỳ năm 2024",
            "name_en": "Year 2024",
            "span_from": "2024-01-01",
            "span_to": "2024-12-31",
            "deadlines": {"self-assessment": {"due": "2024-11-30T00:00+07:00"}},
            "groups": [
                {"group": group, "name_vi": group, "name_en": group, "ranked": group not in unranked}
                for group in groups
            ],
            "explanation_days": 5,
            "appraised_points_visible_from": "2024-12-14T00:00+07:00",
            "retain_until": "2034-12-31T00:00+07:00",
            "publication": "everything",
            "council": {"members": "10"},
        }
        self.tell(SUBMISSION, PeriodOpened.model_validate(body | changed))
        for group, rubric in groups.items():
            self._rubric(group, rubric)
        named = [
            Agency(
                agency=agency,
                group=group,
                name_vi=f"Cơ quan {agency}",
                name_en=f"Agency {agency}",
                publication=(publication or {}).get(agency),
            )
            for agency, group in agencies.items()
        ]
        self.tell(SUBMISSION, AgenciesAdded(agencies=tuple(named)))
        self.tell(SUBMISSION, PeriodStarted())
        self.tell(APPRAISAL, AppraisalStarted(period=PERIOD, of=0))
        self.tell(SURVEY, SurveyStarted(period=PERIOD, of=0))
        return self

    def _rubric(self, group: str, rubric: Rubric) -> None:
        head, fields = split(rubric)
        first, parts = len(self.logs[SUBMISSION]), [RubricFieldSet(group=group, field=field) for field in fields]
        for part in parts:
            self.tell(SUBMISSION, part)
        manifest = RubricSet(group=group, head=head, count=len(parts), first=first, digest=parts_digest(parts))
        self.tell(SUBMISSION, manifest)

    def declare(self, agency: str, item: str, points: str) -> Entry:
        event = PointsDeclared(agency=agency, item=item, data=points, points=Decimal(points))
        return self.tell(SUBMISSION, event, stream=f"self-assessment/{agency}")

    def claim(self, agency: str, item: str) -> Entry:
        event = NotApplicableClaimed(agency=agency, item=item)
        return self.tell(SUBMISSION, event, stream=f"self-assessment/{agency}")

    def prove(self, agency: str, *items: str) -> Entry:
        """One document for these items."""
        event = EvidenceUploaded(agency=agency, items=items, sha256="e" * 64, size=1, media_type="application/pdf")
        return self.tell(SUBMISSION, event, stream=f"self-assessment/{agency}")

    def approve(self, agency: str) -> Entry:
        event = SelfAssessmentApproved(agency=agency, digest="0" * 64)
        return self.tell(SUBMISSION, event, stream=f"self-assessment/{agency}")

    def submit(self, agency: str) -> Entry:
        event = SelfAssessmentSubmitted(agency=agency, digest="0" * 64, items=(), total=Decimal(0))
        return self.tell(SUBMISSION, event, stream=f"self-assessment/{agency}")

    def close_without(self, *agencies: str) -> Entry:
        return self.tell(SUBMISSION, SelfAssessmentClosed(submitted=(), not_submitted=agencies))

    def open_appraisal(self, agency: str) -> Entry:
        event = AgencyOpened(agency=agency, submitted=True, of=0)
        return self.tell(APPRAISAL, event, stream=f"appraisal/{agency}")

    def appraise(self, agency: str, item: str, points: str | None) -> Entry:
        """Appraised points, or not applicable."""
        event = ItemAppraised(
            agency=agency,
            item=item,
            data=points,
            points=None if points is None else Decimal(points),
            not_applicable=points is None,
            recognised=False,
            reason_code="as-declared",
        )
        return self.tell(APPRAISAL, event, stream=f"appraisal/{agency}")

    def adjust(self, agency: str, item: str, points: str | None) -> Entry:
        event = CouncilAdjusted(
            agency=agency,
            item=item,
            data=points,
            points=None if points is None else Decimal(points),
            not_applicable=points is None,
            resolution="01/NQ-HĐTĐ",
            tally=Tally(members=10, in_favour=7, against=2, abstained=1),
            reason_code="evidence-missing",
        )
        return self.tell(APPRAISAL, event, stream=f"appraisal/{agency}")

    def assign(self, actor: str, group: str, *fields: str) -> Entry:
        return self.tell(APPRAISAL, AppraiserAssigned(appraiser=actor, group=group, fields=fields))

    def seat(self) -> Entry:
        return self.tell(APPRAISAL, CouncilSeated(chair=CHAIR, members=(CHAIR, "0d" * 16)))

    def close(self, agency: str) -> Entry:
        return self.tell(APPRAISAL, AgencyAppraised(agency=agency), stream=f"appraisal/{agency}")

    def finalise(self, agencies: Sequence[str] = ()) -> Entry:
        seen = {log: len(self.logs[log]) for log in (SUBMISSION, SURVEY)}
        return self.tell(APPRAISAL, AppraisalFinalised(agencies=tuple(agencies)), seen=seen)

    def campaign(self, group: str, rubric: Rubric, agencies: Sequence[str]) -> Entry:
        parts = [FormSet(campaign="c", group=group, form=form) for form in rubric.forms]
        first = len(self.logs[SURVEY])
        for part in parts:
            self.tell(SURVEY, part, stream="campaign/c")
        manifest = CampaignOpened(
            campaign="c",
            group=group,
            agencies=tuple(agencies),
            opens=BEGIN,
            closes=BEGIN + timedelta(days=60),
            count=len(parts),
            first=first,
            digest=parts_digest(parts),
        )
        return self.tell(SURVEY, manifest, stream="campaign/c")

    def ballots(self, agency: str, **options: int) -> Entry:
        event = ResponsesRecorded(
            campaign="c",
            agency=agency,
            form="citizen-form",
            ballots=sum(options.values()),
            counts={"q1": options},
        )
        return self.tell(SURVEY, event, stream="campaign/c")

    def complete(self) -> Entry:
        event = SurveyCompleted(campaign="c", invitations=0, ballots=0, count=0, first=0, digest=parts_digest([]))
        return self.tell(SURVEY, event, stream="campaign/c")

    def study(self, agency: str, **points: str) -> Entry:
        """Points of an existing study, `item_3_2="1.5"`."""
        event = StudyImported(
            agency=agency,
            points={item.removeprefix("item_").replace("_", "."): Decimal(value) for item, value in points.items()},
            document="15/BC-VNC",
            dated=BEGIN.date(),
            source="SIPAS",
        )
        return self.tell(SURVEY, event, stream=f"study/{agency}")

    def without_survey(self) -> Entry:
        return self.tell(SURVEY, SurveyNotHeld(of=0))

    @property
    def heads(self) -> dict[str, Head]:
        """Where all three logs stand."""
        return {log: head_of(entries) for log, entries in self.logs.items()}

    @property
    def states(self) -> States:
        return states_of(self.logs)


def head_of(entries: Sequence[Entry]) -> Head:
    return Head(size=len(entries), root=root([leaf_hash(entry.leaf) for entry in entries]).hex())


def states_of(logs: Mapping[str, Sequence[Entry]]) -> States:
    """Each log folded in one go."""
    services = {log.partition("/")[0]: entries for log, entries in logs.items()}
    return States.of({service: before(service).fold(service, entries) for service, entries in services.items()})


def whole_story(**more: Any) -> Story:
    """Two agencies from the opening to a finalised appraisal: nothing is open any more."""
    story = Story().open({"central": PILOT}, {"a-01": "central", "a-02": "central"}, **more)
    story.seat()
    for agency, done in {"a-01": "2.5", "a-02": "3"}.items():
        story.declare(agency, "1.1.1", "2")
        story.declare(agency, "1.1.2", done)
        story.declare(agency, "2.1", "3.75")
        story.submit(agency)
        story.open_appraisal(agency)
    story.campaign("central", PILOT, ["a-01", "a-02"])
    story.ballots("a-01", a=6, b=2, c=0)
    story.ballots("a-02", a=5, b=0, c=5)
    story.complete()
    for agency, points in {"a-01": "3.5", "a-02": "3.75"}.items():
        story.study(agency, item_3_2="1.5")
        story.appraise(agency, "1.1.1", "2")
        story.appraise(agency, "1.1.2", "2.5")
        story.appraise(agency, "2.1", points)
        story.appraise(agency, "2.2", "1")
        story.close(agency)
    story.finalise(["a-01", "a-02"])
    return story
