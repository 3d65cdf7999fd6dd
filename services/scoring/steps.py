"""The six steps of the process, and what moves a period on: by whom, by which command and route."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Step(NamedTuple):
    """A step of the process: its name as a period's `deadlines` has it, and its working names."""

    name: str
    vi: str
    en: str


STEPS: Final = (
    Step("self-assessment", "Tự đánh giá, chấm điểm", "Self-assessment"),
    Step("review", "Tiếp nhận, rà soát hồ sơ", "Receipt and review of the files"),
    Step("survey", "Điều tra xã hội học", "Sociological survey"),
    Step("appraisal", "Hội đồng thẩm định", "Appraisal by the council"),
    Step("consolidation", "Tổng hợp, trình UBND", "Consolidation and approval"),
    Step("publication", "Công bố", "Publication"),
)
SELF_ASSESSMENT, REVIEW, SURVEY, APPRAISAL, CONSOLIDATION, PUBLICATION = (step.name for step in STEPS)


class Action(NamedTuple):
    """What someone can do: the step it belongs to, the role, the command line and the route (service, method, path)."""

    step: str
    role: str
    vi: str
    en: str
    command: str
    service: str
    method: str
    path: str


_AGENCY: Final = "/periods/{period}/agencies/{agency}"
ACTIONS: Final[Mapping[str, Action]] = {
    "declare": Action(
        SELF_ASSESSMENT,
        "agency",
        "Kê khai, gửi tài liệu kiểm chứng",
        "Declare data and evidence",
        "parindex assess import {agency} FILE --period {period}",
        "submission",
        "PUT",
        f"{_AGENCY}/items/{{item}}",
    ),
    "approve-self-assessment": Action(
        SELF_ASSESSMENT,
        "agency-head",
        "Phê duyệt báo cáo tự đánh giá",
        "Approve the self-assessment",
        "parindex assess approve {agency} DIGEST --period {period}",
        "submission",
        "POST",
        f"{_AGENCY}/approval",
    ),
    "submit": Action(
        SELF_ASSESSMENT,
        "agency",
        "Nộp báo cáo tự đánh giá",
        "Submit the self-assessment",
        "parindex assess submit {agency} DIGEST --period {period}",
        "submission",
        "POST",
        f"{_AGENCY}/submission",
    ),
    "close-self-assessment": Action(
        SELF_ASSESSMENT,
        "officer",
        "Đóng bước tự đánh giá",
        "Close the step of self-assessment",
        "parindex period close {period}",
        "submission",
        "POST",
        "/periods/{period}/closing",
    ),
    "assign-appraisers": Action(
        REVIEW,
        "officer",
        "Phân công người thẩm định",
        "Assign appraisers",
        "parindex appraise assign SUBJECT {group} FIELDS --period {period}",
        "appraisal",
        "POST",
        "/periods/{period}/appraisers",
    ),
    "open-survey": Action(
        SURVEY,
        "survey-officer",
        "Mở đợt điều tra xã hội học",
        "Open a survey campaign",
        "parindex survey open CAMPAIGN {group} --opens TIME --closes TIME --period {period}",
        "survey",
        "POST",
        "/periods/{period}/campaigns",
    ),
    "collect-ballots": Action(
        SURVEY,
        "survey-officer",
        "Phát và thu phiếu",
        "Invite respondents, collect ballots",
        "parindex survey invite {campaign} {agency} FORM COUNT --period {period}",
        "survey",
        "POST",
        "/periods/{period}/campaigns/{campaign}/invitations",
    ),
    "complete-survey": Action(
        SURVEY,
        "survey-officer",
        "Kết thúc đợt điều tra",
        "Complete the campaign",
        "parindex survey complete {campaign} --period {period}",
        "survey",
        "POST",
        "/periods/{period}/campaigns/{campaign}/completion",
    ),
    "import-study": Action(
        SURVEY,
        "survey-officer",
        "Nhập kết quả điều tra có sẵn",
        "Enter an existing study",
        "parindex survey import-study {agency} FILE --period {period}",
        "survey",
        "PUT",
        "/periods/{period}/studies/{agency}",
    ),
    "explain": Action(
        APPRAISAL,
        "agency",
        "Giải trình",
        "Answer the requests for explanation",
        "",
        "submission",
        "PUT",
        f"{_AGENCY}/items/{{item}}/explanation",
    ),
    "appraise": Action(
        APPRAISAL,
        "appraiser",
        "Thẩm định các tiêu chí còn lại",
        "Appraise the remaining items",
        "parindex appraise recognise {agency} --field FIELD --reason TEXT --period {period}",
        "appraisal",
        "POST",
        f"{_AGENCY}/recognitions",
    ),
    "close-appraisal": Action(
        APPRAISAL,
        "officer",
        "Kết thúc thẩm định cơ quan",
        "Close the agency's appraisal",
        "parindex appraise close {agency} --period {period}",
        "appraisal",
        "POST",
        f"{_AGENCY}/closing",
    ),
    "seat-council": Action(
        APPRAISAL,
        "officer",
        "Lập Hội đồng thẩm định",
        "Seat the Appraisal Council",
        "parindex appraise council CHAIR MEMBERS --period {period}",
        "appraisal",
        "POST",
        "/periods/{period}/council",
    ),
    "finalise": Action(
        APPRAISAL,
        "officer",
        "Chốt kết quả thẩm định",
        "Declare the appraisal final",
        "parindex period finalise {period}",
        "appraisal",
        "POST",
        "/periods/{period}/finalisation",
    ),
    "consolidate": Action(
        CONSOLIDATION,
        "officer",
        "Tổng hợp kết quả",
        "Consolidate the result",
        "parindex period consolidate {period}",
        "scoring",
        "POST",
        "/periods/{period}/consolidation",
    ),
    "approve-result": Action(
        CONSOLIDATION,
        "approver",
        "Phê duyệt kết quả",
        "Approve the consolidated result",
        "parindex period approve {period} DIGEST --decision NUMBER --dated DATE",
        "scoring",
        "POST",
        "/periods/{period}/approval",
    ),
    "publish": Action(
        PUBLICATION,
        "officer",
        "Công bố chỉ số",
        "Publish the index",
        "parindex period publish {period}",
        "scoring",
        "POST",
        "/periods/{period}/publication",
    ),
}
"""Everything that moves a period on, by name. An empty command: over HTTP only."""
