"""What the services refuse: who asks what, and the status, the stable code and the field of the answer."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from shared.access import Role

OPEN, FILED, IDLE = "north", "east", "west"
"""One agency still assesses itself, with item 1.1 declared; one has submitted and is in appraisal; one does nothing."""
Who = tuple[Role | None, str | None, str]
CLERK: Final[Who] = (Role.AGENCY, OPEN, "")
FILED_CLERK: Final[Who] = (Role.AGENCY, FILED, "")
HEAD: Final[Who] = (Role.AGENCY_HEAD, OPEN, "")
OFFICER: Final[Who] = (Role.OFFICER, None, "")
APPRAISER: Final[Who] = (Role.APPRAISER, None, "")
IDLE_APPRAISER: Final[Who] = (Role.APPRAISER, None, "idle")
CHAIR: Final[Who] = (Role.COUNCIL_CHAIR, None, "chair")
OTHER_CHAIR: Final[Who] = (Role.COUNCIL_CHAIR, None, "member-1")
STRANGER: Final[Who] = (Role.COUNCIL, None, "of-another-council")
MONITOR: Final[Who] = (Role.MONITOR, None, "")
SURVEYOR: Final[Who] = (Role.SURVEY_OFFICER, None, "")
APPROVER: Final[Who] = (Role.APPROVER, None, "")
ANYONE: Final[Who] = (None, None, "")

PDF: Final = "application/pdf"
FILE: Final = {"size": 9, "sha256": "0" * 64, "media_type": PDF}
TALLY: Final = {"members": 3, "in_favour": 2, "against": 1, "abstained": 0, "in_writing": 0}
REASON: Final = {"reason_code": "data-corrected", "reason": "Theo hồ sơ."}
ADJUSTMENT: Final = {"data": "10", "resolution": "01/NQ", "tally": TALLY, **REASON}
STUDY: Final = {"points": {"3.1": "20", "3.2": "10"}, "document": "1/BC", "dated": "2024-12-01", "source": "Điều tra"}
APPROVAL: Final = {"digest": "0" * 64, "decision": "12/QĐ-UBND", "dated": "2025-01-20"}


class Bad(NamedTuple):
    """A request that is refused. `path` is after the period's own, or whole if it does not begin with `…`.

    `body` is JSON, or bytes as they are sent.
    """

    who: Who
    call: str
    body: Any
    status: int
    code: str
    field: str | None = None
    headers: Mapping[str, str] = MappingProxyType({})


_ITEM = f"submission PUT …/agencies/{OPEN}/items"
_APPRAISAL = f"appraisal PUT …/agencies/{FILED}/items"
_RECOGNITION = f"appraisal POST …/agencies/{FILED}/recognitions"
_SESSIONS = "…/council/sessions"
_PROPOSALS = f"…/agencies/{FILED}/proposals"
_STUDIES = "survey PUT …/studies"
_NO_SUCH = "/periods/no-such"
_REOPENING = f"submission POST …/agencies/{OPEN}/reopening"
_LATER: Final = {"until": "2099-12-05T00:00:00+07:00", **REASON}

MALFORMED: Final = [
    Bad(CLERK, f"{_ITEM}/1.1", b'{"data": "20"', 400, "body-invalid"),
    Bad(CLERK, f"{_ITEM}/1.1", b"\xff\xfe", 400, "body-invalid"),
    Bad(CLERK, f"{_ITEM}/1.1", [], 422, "body-invalid", "body"),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": 20}, 422, "body-invalid", "data"),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "20", "points": "20"}, 422, "body-invalid", "points"),
    Bad(CLERK, f"{_ITEM}/1.1", {}, 422, "body-invalid", "data"),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "20", "not_applicable": True}, 422, "body-invalid", "data"),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "9" * 1024 * 1024}, 413, "body-too-large"),
    Bad(HEAD, f"submission POST …/agencies/{OPEN}/approval", {"digest": "abc"}, 422, "body-invalid", "digest"),
    Bad(CLERK, f"{_ITEM}/1.1", {"not_applicable": True, "estimated": True, "reason": "x"}, 422, "body-invalid", "data"),
    Bad(OFFICER, _REOPENING, {**_LATER, "until": "mai"}, 422, "body-invalid", "until"),
    Bad(OFFICER, "submission GET …/reminders?days=-1", None, 400, "parameter-invalid", "days"),
    Bad(CLERK, f"submission GET …/agencies/{OPEN}/report?format=odt", None, 400, "parameter-invalid", "format"),
    Bad(OFFICER, "submission POST /periods", {"period": "Kỳ 1"}, 422, "body-invalid", "period"),
    Bad(APPRAISER, _RECOGNITION, {"items": ["1.1"], "field": "1", "reason": "x"}, 422, "items-invalid", "items"),
    Bad(APPRAISER, _RECOGNITION, {"items": ["1.1", "1.1"], "reason": "x"}, 422, "items-invalid", "items"),
    Bad(SURVEYOR, f"{_STUDIES}/{OPEN}", {**STUDY, "dated": "hôm qua"}, 422, "body-invalid", "dated"),
    Bad(SURVEYOR, "survey POST …/campaigns", {"campaign": "poll"}, 422, "body-invalid", "group"),
    Bad(APPROVER, "scoring POST …/approval", {**APPROVAL, "dated": "20-1-2025"}, 422, "body-invalid", "dated"),
    Bad(OFFICER, "scoring GET …/table?after=-1", None, 400, "parameter-invalid", "after"),
]
COUNCIL: Final = [
    Bad(OFFICER, f"appraisal POST {_SESSIONS}", {"session": "x", "held_on": "mai", "place": "x"}, 422, "body-invalid",
        "held_on"),
    Bad(OFFICER, f"appraisal POST {_SESSIONS}", {"session": "x", "held_on": "2024-12-20"}, 422, "reason-missing",
        "place"),
    Bad(OTHER_CHAIR, f"appraisal POST {_SESSIONS}", {"session": "x", "held_on": "2024-12-20", "place": "x"}, 403,
        "not-the-chair"),
    Bad(CHAIR, f"appraisal POST {_SESSIONS}/none/closing", {"resolution": "1/NQ"}, 404, "session-unknown", "session"),
    Bad(CHAIR, f"appraisal POST {_SESSIONS}/none/decision",
        {"resolution": "1/NQ", "dated": "2024-12-20", "tally": TALLY}, 404, "session-unknown", "session"),
    Bad(OFFICER, f"appraisal GET {_SESSIONS}/none/minutes", None, 404, "session-unknown", "session"),
    Bad(OFFICER, f"appraisal GET {_SESSIONS}/none/minutes?format=odt", None, 400, "parameter-invalid", "format"),
    Bad(STRANGER, f"appraisal GET {_SESSIONS}", None, 403, "not-seated"),
    Bad(CHAIR, f"appraisal POST {_PROPOSALS}", {"session": "none", "item": "1.1", "data": "1", **REASON}, 404,
        "session-unknown", "session"),
    Bad(STRANGER, f"appraisal POST {_PROPOSALS}", {"session": "none", "item": "1.1", "data": "1", **REASON}, 403,
        "not-seated"),
    Bad(CHAIR, f"appraisal PUT {_PROPOSALS}/99/vote", {"choice": "for"}, 404, "proposal-unknown", "proposal"),
    Bad(CHAIR, f"appraisal PUT {_PROPOSALS}/99/vote", {"choice": "maybe"}, 422, "body-invalid", "choice"),
    Bad(STRANGER, f"appraisal PUT {_PROPOSALS}/99/vote", {"choice": "for"}, 403, "not-seated"),
    Bad(OFFICER, f"appraisal PUT {_PROPOSALS}/99/vote", {"choice": "for"}, 403, "role-missing"),
    Bad(OTHER_CHAIR, f"appraisal POST {_PROPOSALS}/99/decision", {"resolution": "1/NQ"}, 403, "not-the-chair"),
    Bad(MONITOR, f"appraisal POST …/agencies/{FILED}/remarks", {"about": "1.1", "remark": "x"}, 403,
        "field-not-assigned", "about"),
    Bad(APPRAISER, f"appraisal POST …/agencies/{FILED}/conflict", {"reason": " "}, 422, "reason-missing", "reason"),
    Bad(IDLE_APPRAISER, f"appraisal POST …/agencies/{FILED}/conflict", {"reason": "x"}, 403, "field-not-assigned",
        "agency"),
    Bad(APPRAISER, f"{_APPRAISAL}/1.1/appraisal", {"data": "1", "replaces": 9, **REASON}, 412, "stale-version",
        "replaces"),
]  # fmt: skip
UNKNOWN: Final = [
    Bad(CLERK, f"{_ITEM}/9.9", {"data": "1"}, 404, "item-unknown", "9.9"),
    Bad(CLERK, f"{_ITEM}/2.1", {"data": "1"}, 422, "item-not-self-assessed", "2.1"),
    Bad(CLERK, f"{_ITEM}/3.1", {"data": "1"}, 422, "item-not-self-assessed", "3.1"),
    Bad(CLERK, f"{_ITEM}/1.1/explanation", {"text": "x", "request": 99}, 404, "request-unknown", "request"),
    Bad(APPRAISER, f"{_APPRAISAL}/9.9/appraisal", {"data": "1", **REASON}, 404, "item-unknown", "9.9"),
    Bad(APPRAISER, f"{_APPRAISAL}/3.1/appraisal", {"data": "1", **REASON}, 422, "item-surveyed", "3.1"),
    Bad(APPRAISER, _RECOGNITION, {"field": "9", "reason": "x"}, 404, "field-unknown", "field"),
    Bad(CHAIR, f"{_APPRAISAL}/9.9/adjustment", ADJUSTMENT, 404, "item-unknown", "9.9"),
    Bad(OFFICER, "submission POST …/agencies/nobody/reopening", _LATER, 404, "agency-unknown", "agency"),
    Bad(CLERK, f"submission GET …/agencies/{OPEN}/drafts?from=no-such", None, 404, "period-unknown", "period"),
    Bad(
        CLERK,
        f"submission POST …/agencies/{OPEN}/evidence/{'0' * 64}/withdrawal",
        {},
        404,
        "evidence-unknown",
        "sha256",
    ),
    Bad(SURVEYOR, f"{_STUDIES}/{OPEN}", {**STUDY, "points": {"9.9": "1"}}, 404, "item-unknown", "points.9.9"),
    Bad(SURVEYOR, f"{_STUDIES}/nobody", STUDY, 404, "agency-unknown", "agency"),
    Bad(SURVEYOR, "survey POST …/campaigns/none/completion", None, 404, "campaign-unknown", "campaign"),
    Bad(ANYONE, "survey POST /ballots", {"token": "A" * 22, "answers": {}}, 404, "token-unknown", "token"),
    Bad(OFFICER, "appraisal POST …/agencies/nobody/closing", None, 404, "agency-unknown", "agency"),
    Bad(OFFICER, f"submission POST {_NO_SUCH}/closing", None, 404, "period-unknown", "period"),
    Bad(OFFICER, f"appraisal POST {_NO_SUCH}/finalisation", None, 404, "period-unknown", "period"),
    Bad(OFFICER, f"appraisal POST {_NO_SUCH}/agencies/none/closing", None, 404, "period-unknown", "period"),
    Bad(CLERK, f"appraisal GET {_NO_SUCH}/agencies/{OPEN}/explanation-requests", None, 404, "period-unknown", "period"),
    Bad(SURVEYOR, f"survey POST {_NO_SUCH}/campaigns/poll/completion", None, 404, "period-unknown", "period"),
    Bad(OFFICER, f"scoring POST {_NO_SUCH}/consolidation", None, 404, "period-unknown", "period"),
    Bad(OFFICER, "submission POST /nowhere", None, 404, "not-found"),
    Bad(OFFICER, "submission DELETE /periods", None, 405, "method-not-allowed"),
]
WRONG_POINTS: Final = [
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "30,25"}, 422, "points-above-maximum", "1.1"),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "10,1"}, 422, "points-off-step", "1.1"),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "-1"}, 422, "points-negative", "1.1"),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "nhiều"}, 422, "data-invalid", "1.1"),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": ""}, 422, "data-invalid", "1.1"),
    Bad(CLERK, f"{_ITEM}/1.2", {"data": "36.525"}, 422, "data-invalid", "1.2"),
    Bad(CLERK, f"{_ITEM}/1.2", {"data": "100,01"}, 422, "data-invalid", "1.2"),
    Bad(APPRAISER, f"{_APPRAISAL}/2.1/appraisal", {"data": "10,25", **REASON}, 422, "points-above-maximum", "2.1"),
    Bad(APPRAISER, f"{_APPRAISAL}/2.1/appraisal", {"data": "9,9", **REASON}, 422, "points-off-step", "2.1"),
    Bad(CHAIR, f"{_APPRAISAL}/1.1/adjustment", {**ADJUSTMENT, "data": "31"}, 422, "points-above-maximum", "1.1"),
    Bad(SURVEYOR, f"{_STUDIES}/{OPEN}", {**STUDY, "points": {"3.1": "25,01", "3.2": "1"}}, 422,
        "points-above-maximum", "points.3.1"),
    Bad(SURVEYOR, f"{_STUDIES}/{OPEN}", {**STUDY, "points": {"3.1": "20,001", "3.2": "1"}}, 422,
        "points-off-step", "points.3.1"),
    Bad(SURVEYOR, f"{_STUDIES}/{OPEN}", {**STUDY, "points": {"3.1": "20"}}, 422, "study-incomplete", "points"),
]  # fmt: skip
WITHOUT_REASON: Final = [
    Bad(CLERK, f"{_ITEM}/1.1", {"not_applicable": True}, 422, "reason-missing", "reason"),
    Bad(CLERK, f"{_ITEM}/1.1/explanation", {"text": " "}, 422, "reason-missing", "text"),
    Bad(OFFICER, _REOPENING, {**_LATER, "reason": " "}, 422, "reason-missing", "reason"),
    Bad(OFFICER, _REOPENING, {**_LATER, "reason_code": "mood"}, 422, "reason-code-unknown", "reason_code"),
    Bad(OFFICER, _REOPENING, {**_LATER, "until": "2001-01-01T00:00:00Z"}, 422, "until-passed", "until"),
    Bad(APPRAISER, _RECOGNITION, {"field": "1"}, 422, "reason-missing", "reason"),
    Bad(APPRAISER, f"{_APPRAISAL}/1.1/appraisal", {"data": "1", "reason_code": "mood", "reason": "x"}, 422,
        "reason-code-unknown", "reason_code"),
    Bad(CHAIR, f"{_APPRAISAL}/1.1/adjustment", {**ADJUSTMENT, "reason": ""}, 422, "reason-missing", "reason"),
    Bad(CHAIR, f"{_APPRAISAL}/1.1/adjustment", {**ADJUSTMENT, "tally": {**TALLY, "in_favour": 1}}, 422,
        "not-carried", "tally.in_favour"),
    Bad(CHAIR, f"{_APPRAISAL}/1.1/adjustment", {**ADJUSTMENT, "tally": {**TALLY, "members": 10}}, 422,
        "tally-invalid", "tally.members"),
]  # fmt: skip
NOT_ALLOWED: Final = [
    Bad(CLERK, f"submission PUT …/agencies/{FILED}/items/1.1", {"data": "1"}, 403, "other-agency", "agency"),
    Bad(CLERK, f"submission GET …/agencies/{FILED}", None, 403, "other-agency", "agency"),
    Bad(CLERK, f"submission POST …/agencies/{FILED}/uploads", FILE, 403, "other-agency", "agency"),
    Bad(HEAD, f"submission POST …/agencies/{FILED}/approval", {"digest": "0" * 64}, 403, "other-agency", "agency"),
    Bad(CLERK, f"submission POST …/agencies/{OPEN}/approval", {"digest": "0" * 64}, 403, "role-missing"),
    Bad(CLERK, _REOPENING, _LATER, 403, "role-missing"),
    Bad(CLERK, f"submission GET …/agencies/{FILED}/report", None, 403, "other-agency", "agency"),
    Bad(CLERK, f"submission GET …/agencies/{FILED}/drafts?from=no-such", None, 403, "other-agency", "agency"),
    Bad(APPRAISER, "submission GET …/reminders", None, 403, "role-missing"),
    Bad(HEAD, f"{_ITEM}/1.1", {"data": "1"}, 403, "role-missing"),
    Bad(OFFICER, f"{_ITEM}/1.1", {"data": "1"}, 403, "role-missing"),
    Bad(IDLE_APPRAISER, f"{_APPRAISAL}/1.1/appraisal", {"data": "1", **REASON}, 403, "field-not-assigned", "item"),
    Bad(OTHER_CHAIR, f"{_APPRAISAL}/1.1/adjustment", ADJUSTMENT, 403, "not-the-chair"),
    Bad(APPRAISER, f"appraisal POST …/agencies/{FILED}/closing", None, 403, "role-missing"),
    Bad(OFFICER, f"{_STUDIES}/{OPEN}", STUDY, 403, "role-missing"),
    Bad(OFFICER, "scoring POST …/approval", APPROVAL, 403, "role-missing"),
    Bad(ANYONE, f"{_ITEM}/1.1", {"data": "1"}, 401, "token-missing"),
    Bad(ANYONE, "scoring GET …/table", None, 401, "token-missing"),
]
WRONG_STATE: Final = [
    Bad(FILED_CLERK, f"submission PUT …/agencies/{FILED}/items/1.1", {"data": "1"}, 409, "already-submitted"),
    Bad(FILED_CLERK, f"submission POST …/agencies/{FILED}/submission", {}, 409, "already-submitted"),
    Bad(CLERK, f"submission POST …/agencies/{OPEN}/submission", {}, 409, "self-assessment-incomplete"),
    Bad(HEAD, f"submission POST …/agencies/{OPEN}/approval", {"digest": "0" * 64}, 409, "digest-differs", "digest"),
    Bad(OFFICER, _REOPENING, _LATER, 409, "step-still-open", "agency"),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "20", "taken_from": {"log": "submission/no-such", "position": 1}}, 404,
        "period-unknown", "period"),
    Bad(OFFICER, "submission POST …/closing", None, 409, "step-still-open"),
    Bad(APPRAISER, f"appraisal POST …/agencies/{OPEN}/recognitions", {"field": "1", "reason": "x"}, 409,
        "appraisal-not-open", "agency"),
    Bad(APPRAISER, f"{_APPRAISAL}/1.1/appraisal", {"data": "1", "judged": 0, **REASON}, 409,
        "declaration-changed", "judged"),
    Bad(OFFICER, f"appraisal POST …/agencies/{FILED}/closing", None, 409, "leaf-open", "agency"),
    Bad(OFFICER, "appraisal POST …/finalisation", None, 409, "period-open", "period"),
    Bad(OFFICER, "scoring POST …/consolidation", None, 409, "obstacles-remain"),
    Bad(OFFICER, "scoring POST …/publication", None, 409, "obstacles-remain"),
    Bad(APPROVER, "scoring POST …/approval", APPROVAL, 409, "not-consolidated"),
    Bad(OFFICER, "scoring GET …/consolidation", None, 409, "not-consolidated", "period"),
    Bad(ANYONE, "scoring GET /published/no-such", None, 404, "not-published", "period"),
]  # fmt: skip
WRONG_HEADERS: Final = [
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "1"}, 412, "stale-version", "If-Match", {"If-Match": '"v0"'}),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "1"}, 412, "stale-version", "If-Match", {"If-Match": '"v99"'}),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "1"}, 400, "if-match-invalid", "If-Match", {"If-Match": "*"}),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "1"}, 400, "idempotency-key-invalid", "Idempotency-Key",
        {"Idempotency-Key": "k" * 129}),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "1"}, 401, "token-invalid", None, {"Authorization": "Bearer a.b.c"}),
    Bad(CLERK, f"{_ITEM}/1.1", {"data": "1"}, 401, "token-missing", None, {"Authorization": "Basic bjpw"}),
]  # fmt: skip
EVIDENCE: Final = [
    Bad(CLERK, f"submission POST …/agencies/{OPEN}/uploads", {**FILE, "media_type": "text/html"}, 415,
        "evidence-kind-refused", "media_type"),
    Bad(CLERK, f"submission POST …/agencies/{OPEN}/uploads", {**FILE, "size": 0}, 413, "evidence-too-large", "size"),
    Bad(CLERK, f"submission POST …/agencies/{OPEN}/uploads", {**FILE, "size": 52_428_801}, 413,
        "evidence-too-large", "size"),
    Bad(CLERK, f"submission POST …/agencies/{OPEN}/uploads", {**FILE, "sha256": "F" * 64}, 422,
        "evidence-differs", "sha256"),
    Bad(CLERK, f"submission POST …/agencies/{OPEN}/evidence",
        {**FILE, "upload": "made-up", "name": "a.pdf", "items": ["1.1"]}, 404, "upload-unknown", "upload"),
    Bad(CLERK, f"submission POST …/agencies/{OPEN}/evidence",
        {**FILE, "upload": "made-up", "name": "a.pdf", "items": ["9.9"]}, 404, "item-unknown", "9.9"),
    Bad(CLERK, f"submission GET …/agencies/{OPEN}/evidence/{'0' * 64}", None, 404, "evidence-unknown", "sha256"),
]  # fmt: skip

ALL: Final = {
    "malformed": MALFORMED,
    "council": COUNCIL,
    "unknown": UNKNOWN,
    "points": WRONG_POINTS,
    "reason": WITHOUT_REASON,
    "right": NOT_ALLOWED,
    "state": WRONG_STATE,
    "header": WRONG_HEADERS,
    "evidence": EVIDENCE,
}
