"""A period of two agencies and a small rubric, and the people of it, for what is told in memory."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from shared.access import Role, actor_id
from shared.rubric import Rubric, load_rubric

PERIOD: Final = "2024-year"
NORTH, SOUTH = "north", "south"
AGENCIES: Final = (NORTH, SOUTH)
BEGIN: Final = datetime.fromisoformat("2024-11-01T08:00+07:00")
LAST: Final = datetime.fromisoformat("2024-11-30T00:00+07:00")
RUBRIC: Final[Rubric] = load_rubric(
    """
id: small
title: {vi: Bộ tiêu chí nhỏ, en: A small rubric}
official: false
source: {instrument: "1/QĐ", dated: "2024-01-01"}
note: {vi: Để thử nghiệm, en: For tests}
parts:
  appraisal: {label: {vi: Thẩm định}, max: "10", if_not_held: zero}
  survey: {label: {vi: Điều tra}, max: "10", if_not_held: drop}
not_applicable: shrink
total: {rule: sum, scale: "20"}
reasons: [{id: as-declared, label: {vi: Như kê khai}}, {id: data-corrected, label: {vi: Điều chỉnh}}]
respondents: [{id: citizens, label: {vi: Người dân}}]
forms:
  - id: citizen-form
    group: citizens
    title: {vi: Phiếu người dân}
    questions:
      - {id: q1, text: {vi: Mức hài lòng}, options: [{id: a, label: {vi: Có}}, {id: b, label: {vi: Không}}]}
fields:
  - code: "1"
    label: {vi: Chỉ đạo điều hành}
    criteria:
      - {code: "1.1", label: {vi: Kế hoạch}, max: "2", may_not_apply: false, rule: {kind: yes-no}}
      - code: "1.2"
        label: {vi: Loại hình}
        max: "2"
        rule:
          kind: levels
          levels: [{id: large, label: {vi: Lớn}, points: "2"}, {id: small, label: {vi: Nhỏ}, points: "1"}]
      - code: "1.3"
        label: {vi: Báo cáo}
        max: "2"
        rule:
          kind: branch
          "on": "1.2"
          cases:
            - {when: [large], rule: {kind: count, unit: "0.5"}}
            - {when: [small], rule: {kind: count, unit: "1"}}
  - code: "2"
    label: {vi: Cải cách thể chế}
    criteria:
      - {code: "2.1", label: {vi: Chấm tay}, max: "3", step: "0.25", rule: {kind: by-hand}}
      - {code: "2.2", label: {vi: Phối hợp}, max: "1", mode: appraised, rule: {kind: by-hand}}
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
          aggregation: {kind: option-shares, shares: {a: "100"}}
          questions: [{group: citizens, form: citizen-form, question: q1}]
          too_few: not-applicable
      - {code: "3.2", label: {vi: SIPAS}, max: "2", part: survey, mode: survey, rule: {kind: imported}}
"""
)
FIELD_OF: Final = {leaf.code: field.code for field in RUBRIC.fields for leaf in field.leaves}
MEMBERS: Final = ("chair", "member", "officer-of-the-council")


class Person(NamedTuple):
    """Who acts: a name, the roles of their token and the agency it speaks for."""

    name: str
    roles: frozenset[Role]
    agency: str | None = None

    @property
    def actor(self) -> str:
        """The id that entries bear."""
        return actor(self.name)


def actor(name: str) -> str:
    """The id that entries bear for a name."""
    return actor_id(b"a secret of this test", "", name)


def _person(name: str, *roles: Role, agency: str | None = None) -> Person:
    return Person(name, frozenset(roles), agency)


PEOPLE: Final[Mapping[str, Person]] = {
    each.name: each
    for each in (
        _person("officer", Role.OFFICER),
        _person("officer-and-approver", Role.OFFICER, Role.APPROVER),
        _person("approver", Role.APPROVER),
        _person("survey-officer", Role.SURVEY_OFFICER),
        _person("appraiser-1", Role.APPRAISER),
        _person("appraiser-2", Role.APPRAISER),
        _person("monitor", Role.MONITOR),
        _person("chair", Role.COUNCIL_CHAIR, Role.COUNCIL),
        _person("another-chair", Role.COUNCIL_CHAIR),
        _person("member", Role.COUNCIL),
        _person("auditor", Role.AUDITOR),
        *(_person(f"clerk-{agency}", Role.AGENCY, agency=agency) for agency in AGENCIES),
        *(_person(f"head-{agency}", Role.AGENCY_HEAD, agency=agency) for agency in AGENCIES),
    )
}
SERVICES_THEMSELVES: Final = ("submission", "appraisal", "survey", "scoring")

OPENING: Final[dict[str, Any]] = {
    "period": PERIOD,
    "kind": "year",
    "name": {"vi": "Kỳ năm 2024"},
    "span": {"from": "2024-01-01", "to": "2024-12-31"},
    "deadlines": {"self-assessment": {"due": LAST.isoformat()}},
    "explanation_days": "5",
    "appraised_points_visible_from": "2024-12-14T00:00+07:00",
    "retain_until": "2034-12-31",
    "council": {"members": str(len(MEMBERS))},
    "groups": [
        {
            "id": "central",
            "name": {"vi": "Cơ quan Trung ương"},
            "rubric": "small",
            "agencies": [{"id": agency, "name": {"vi": agency}} for agency in AGENCIES],
        }
    ],
    "rubrics": [RUBRIC.model_dump(mode="json")],
}
