"""A small period with every kind of item that a self-assessment meets."""

from datetime import datetime

from shared.rubric import PeriodOpening, load_rubric

RUBRIC = """
id: small
title: {vi: Bộ tiêu chí nhỏ, en: A small rubric}
official: false
source: {instrument: "1/QĐ", dated: "2024-01-01"}
note: {vi: Để thử nghiệm, en: For tests}
parts:
  appraisal: {label: {vi: Thẩm định}, max: "10", if_not_held: zero}
  survey: {label: {vi: Điều tra}, max: "5", if_not_held: drop}
  bonus: {label: {vi: Thưởng}, cap: "1", placement: outside}
  penalty: {label: {vi: Phạt}, placement: outside}
total: {rule: sum, scale: "15"}
reasons: [{id: as-declared, label: {vi: Như kê khai}}]
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
          levels:
            - {id: large, label: {vi: Lớn}, points: "2"}
            - {id: small, label: {vi: Nhỏ}, points: "1"}
      - code: "1.3"
        label: {vi: Báo cáo}
        max: "3"
        rule:
          kind: branch
          "on": "1.2"
          cases:
            - {when: [large], rule: {kind: count, unit: "0.5"}}
            - {when: [small], rule: {kind: count, unit: "1.5"}}
  - code: "2"
    label: {vi: Cải cách thể chế}
    criteria:
      - {code: "2.1", label: {vi: Chấm tay}, max: "3", step: "0.25", rule: {kind: by-hand}}
      - {code: "2.2", label: {vi: Sáng kiến}, max: "1", part: bonus, rule: {kind: yes-no}}
      - {code: "2.3", label: {vi: Vi phạm}, part: penalty, mode: appraised, rule: {kind: by-hand}}
      - {code: "2.4", label: {vi: Hài lòng}, max: "5", part: survey, mode: survey, rule: {kind: imported}}
"""
SELF_ASSESSED = ("1.1", "1.2", "1.3", "2.1", "2.2")
DUE = datetime.fromisoformat("2024-11-30T00:00+07:00")
LAST = datetime.fromisoformat("2024-12-05T00:00+07:00")
EARLY = datetime.fromisoformat("2024-11-20T09:00+07:00")


def opening(first: str = "a-01", second: str = "a-02", **changes: object) -> PeriodOpening:
    """Two agencies under the small rubric, the self-assessment due on 30 November, tolerated to 5 December."""
    body: dict[str, object] = {
        "period": "2024-year",
        "kind": "year",
        "name": {"vi": "Kỳ năm 2024", "en": "Year 2024"},
        "span": {"from": "2024-01-01", "to": "2024-12-31"},
        "deadlines": {"self-assessment": {"due": DUE.isoformat(), "last": LAST.isoformat()}},
        "explanation_days": "5",
        "appraised_points_visible_from": "2024-12-14T00:00+07:00",
        "retain_until": "2034-12-31",
        "council": {"members": "10"},
        "groups": [
            {
                "id": "central",
                "name": {"vi": "Cơ quan Trung ương"},
                "rubric": "small",
                "agencies": [
                    {"id": first, "name": {"vi": "Bảo hiểm xã hội", "en": "Social Insurance"}},
                    {"id": second, "name": {"vi": "Cục Thuế"}, "publication": "totals-only"},
                ],
            }
        ],
        "rubrics": [load_rubric(RUBRIC).model_dump(mode="json")],
    }
    return PeriodOpening.model_validate({**body, **changes})
