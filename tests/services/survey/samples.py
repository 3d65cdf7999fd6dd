"""A period whose survey has every kind of item, and what its submission log says of it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from shared.events import Entry, Event, canonical, data_hash, encode, instant, parts_digest
from shared.events.submission import AgenciesAdded, Agency, PeriodOpened, PeriodStarted, RubricFieldSet, RubricSet
from shared.period import Period, fold
from shared.rubric import Rubric, load_rubric, split

PERIOD = "2024-year"
SUBMISSION, SURVEY, SCORING = f"submission/{PERIOD}", f"survey/{PERIOD}", f"scoring/{PERIOD}"
OPENS = datetime.fromisoformat("2024-09-01T00:00+07:00")
DURING = datetime.fromisoformat("2024-09-15T09:00+07:00")
CLOSES = datetime.fromisoformat("2024-10-01T00:00+07:00")

_HEAD = """
id: {id}
title: {{vi: Bộ tiêu chí khảo sát, en: A surveyed rubric}}
official: false
source: {{instrument: "1/QĐ", dated: "2024-01-01"}}
note: {{vi: Để thử nghiệm, en: For tests}}
parts:
  appraisal: {{label: {{vi: Thẩm định}}, max: "5", if_not_held: zero}}
  survey: {{label: {{vi: Điều tra}}, max: "10", if_not_held: drop}}
total: {{rule: sum, scale: "15"}}
reasons: [{{id: as-declared, label: {{vi: Như kê khai}}}}]
respondents: [{{id: citizens, label: {{vi: Người dân}}}}, {{id: officials, label: {{vi: Công chức}}}}]
forms:
  - id: citizen-form
    group: citizens
    title: {{vi: Phiếu người dân}}
    questions:
      - id: q1
        text: {{vi: Mức hài lòng}}
        options: [{{id: a, label: {{vi: Có}}}}, {{id: b, label: {{vi: Một phần}}}}, {{id: c, label: {{vi: Không}}}}]
      - id: q2
        text: {{vi: Trả kết quả đúng hẹn}}
        options: [{{id: a, label: {{vi: Có}}}}, {{id: b, label: {{vi: Không}}}}]
  - id: official-form
    group: officials
    title: {{vi: Phiếu công chức}}
    questions:
      - id: q1
        text: {{vi: Sự phối hợp}}
        options: [{{id: a, label: {{vi: Có}}}}, {{id: b, label: {{vi: Không}}}}]
fields:
  - code: "1"
    label: {{vi: Chỉ đạo điều hành}}
    criteria:
      - {{code: "1.1", label: {{vi: Kế hoạch}}, max: "5", rule: {{kind: yes-no}}}}
"""
_BALLOTED = """
      - code: "1.2"
        label: {vi: Hài lòng}
        max: "8"
        part: survey
        mode: survey
        rule:
          kind: survey
          aggregation: {kind: option-shares, shares: {a: "100", b: "50"}}
          weights: [{group: citizens, weight: "60"}, {group: officials, weight: "40"}]
          questions:
            - {group: citizens, form: citizen-form, question: q1}
            - {group: citizens, form: citizen-form, question: q2}
            - {group: officials, form: official-form, question: q1}
"""
_IMPORTED = """
      - {code: "1.3", label: {vi: SIPAS}, max: "2", part: survey, mode: survey, rule: {kind: imported}}
"""
BALLOTED = load_rubric(_HEAD.format(id="balloted") + _BALLOTED)
MIXED = load_rubric(_HEAD.format(id="mixed") + _BALLOTED + _IMPORTED)
STUDIED = load_rubric(_HEAD.format(id="studied") + _IMPORTED)
BARE = load_rubric(_HEAD.format(id="bare"))
FORM, OTHER_FORM = BALLOTED.forms
GROUPS = {"central": BALLOTED, "mixed": MIXED, "studied": STUDIED, "bare": BARE}
AGENCIES = {"a-01": "central", "a-02": "central", "m-01": "mixed", "s-01": "studied", "b-01": "bare"}


def period_events(groups: Sequence[str] = tuple(GROUPS)) -> list[Event]:
    """The submission log of a period with these groups, from its opening to its start."""
    body = {
        "period": PERIOD,
        "kind": "year",
        "name_vi": "Kỳ năm 2024",
        "name_en": "Year 2024",
        "span_from": "2024-01-01",
        "span_to": "2024-12-31",
        "deadlines": {"self-assessment": {"due": "2024-11-30T00:00+07:00"}},
        "groups": [{"group": group, "name_vi": group, "name_en": group} for group in groups],
        "explanation_days": 5,
        "appraised_points_visible_from": "2024-12-14T00:00+07:00",
        "retain_until": "2034-12-31T00:00+07:00",
        "publication": "everything",
        "council": {"members": "10"},
    }
    events: list[Event] = [PeriodOpened.model_validate(body)]
    for group in groups:
        events += _rubric_events(group, GROUPS[group], len(events))
    agencies = tuple(
        Agency(agency=agency, group=group, name_vi=agency, name_en=agency)
        for agency, group in AGENCIES.items()
        if group in groups
    )
    return [*events, AgenciesAdded(agencies=agencies), PeriodStarted()]


def _rubric_events(group: str, rubric: Rubric, first: int) -> list[Event]:
    head, fields = split(rubric)
    parts = [RubricFieldSet(group=group, field=field) for field in fields]
    return [*parts, RubricSet(group=group, head=head, count=len(parts), first=first, digest=parts_digest(parts))]


def entries(log: str, events: Sequence[Event], stream: str = "period") -> list[Entry]:
    """The events as entries of a log, as a follower has them."""
    found = []
    for position, event in enumerate(events):
        salt, data = bytes(32), encode(event)
        header = {
            "specversion": "1.0",
            "type": event.type,
            "id": f"{log}/{position}",
            "subject": stream,
            "time": instant(datetime(2024, 1, 1, tzinfo=UTC)),
            "position": str(position),
            "version": str(position + 1),
            "actor": "0" * 32,
            "datahash": data_hash(salt, data),
        }
        found.append(Entry(log, position, canonical(header), salt, data))
    return found


def period(groups: Sequence[str] = tuple(GROUPS)) -> Period:
    """The period that these groups take part in."""
    return fold(Period(), entries(SUBMISSION, period_events(groups)))
