"""What a refusal looks like over HTTP (RFC 9457): the codes of all services, their problem, and who answers it."""

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from opentelemetry import trace
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from shared import telemetry
from shared.decider import Rejected

PROBLEM_JSON: Final = "application/problem+json"

_logger = logging.getLogger(__name__)


class Problem(NamedTuple):
    """What a stable problem code means: HTTP status, title in English and in Vietnamese."""

    status: int
    title_en: str
    title_vi: str


PROBLEMS: Final[Mapping[str, Problem]] = {
    "body-invalid": Problem(422, "The body is not as documented", "Nội dung gửi lên không đúng quy cách"),
    "body-too-large": Problem(413, "The body is larger than 1 MiB", "Nội dung gửi lên lớn hơn 1 MiB"),
    "clock-behind-log": Problem(503, "The clock is behind the log", "Đồng hồ chậm hơn nhật ký"),
    "header-too-large": Problem(400, "The request's headers do not fit an entry", "Tiêu đề yêu cầu quá dài"),
    "idempotency-key-invalid": Problem(400, "The Idempotency-Key is malformed", "Khóa chống lặp sai định dạng"),
    "idempotency-key-reused": Problem(
        422, "The key was used with other content", "Khóa chống lặp đã dùng cho nội dung khác"
    ),
    "if-match-invalid": Problem(400, "The If-Match is malformed", "If-Match sai định dạng"),
    "internal": Problem(500, "An error of the service", "Lỗi của dịch vụ"),
    "issuer-unavailable": Problem(
        503, "The issuer's keys cannot be had", "Không lấy được khóa của nơi cấp mã truy cập"
    ),
    "ledger-unavailable": Problem(503, "The ledger cannot be reached", "Không truy cập được sổ cái"),
    "log-key-changed": Problem(409, "The log is open with another key", "Nhật ký đã mở với khóa khác"),
    "log-sealed": Problem(409, "The log is sealed", "Nhật ký đã được niêm phong"),
    "log-unknown": Problem(404, "There is no such log", "Không có nhật ký này"),
    "method-not-allowed": Problem(405, "The method is not allowed here", "Phương thức không được phép ở địa chỉ này"),
    "not-found": Problem(404, "There is nothing here", "Không tìm thấy"),
    "not-ready": Problem(503, "The service is not ready", "Dịch vụ chưa sẵn sàng"),
    "other-agency": Problem(403, "Another agency's matter", "Việc của cơ quan khác"),
    "parameter-invalid": Problem(400, "A parameter is not as documented", "Tham số không đúng quy cách"),
    "register-not-open": Problem(503, "The register is not open yet", "Sổ đăng ký chưa được mở"),
    "request-refused": Problem(400, "The request is refused", "Yêu cầu bị từ chối"),
    "role-missing": Problem(403, "The role is missing", "Không có vai trò cần thiết"),
    "stale-version": Problem(412, "The version is stale", "Phiên bản đã cũ"),
    "token-expired": Problem(401, "The token has expired", "Mã truy cập đã hết hạn"),
    "token-invalid": Problem(401, "The token is not valid", "Mã truy cập không hợp lệ"),
    "token-missing": Problem(401, "The token is missing", "Thiếu mã truy cập"),
}
_UNLISTED: Final = Problem(422, "Refused by the rules", "Bị từ chối theo quy tắc")
_BY_STATUS: Final = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}


class ProblemBody(BaseModel):
    """A problem (RFC 9457): `code` is stable, `type` leads to its documentation, `field` names the part at fault."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    field: str | None = None
    errors: list[dict[str, str]] = []


def problem(
    request: Request,
    code: str,
    detail: str,
    *,
    field: str | None = None,
    errors: Sequence[Mapping[str, str]] = (),
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that refuses: the code's status and title, in Vietnamese if the client asks for it first."""
    listed: Mapping[str, Problem] = request.app.state.problems
    if code not in listed:
        _logger.error("problem code %s is in no table", code)
    known = listed.get(code, _UNLISTED)
    vietnamese = request.headers.get("accept-language", "").lower().startswith("vi")
    context = trace.get_current_span().get_span_context()
    body = ProblemBody(
        type=f"/problems/{code}",
        title=known.title_vi if vietnamese else known.title_en,
        status=status or known.status,
        detail=detail,
        instance=uuid.UUID(int=context.trace_id).urn if context.is_valid else uuid.uuid4().urn,
        code=code,
        field=field,
        errors=[dict(error) for error in errors],
    )
    more = {"Content-Language": "vi" if vietnamese else "en", "Vary": "Accept-Language"} | dict(headers or {})
    if body.status == 401:
        more["WWW-Authenticate"] = "Bearer" if code == "token-missing" else 'Bearer error="invalid_token"'
    telemetry.refused(code)
    return JSONResponse(body.model_dump(exclude_defaults=True), body.status, more, media_type=PROBLEM_JSON)


async def _rejected(request: Request, error: Exception) -> Response:
    assert isinstance(error, Rejected)
    return problem(request, error.code, error.message, field=error.field, errors=error.errors)


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # what was sent is not sent back: only where it is wrong and why
    errors = [
        {"field": ".".join(str(part) for part in fault["loc"][1:]), "code": fault["type"], "detail": fault["msg"]}
        for fault in error.errors()
    ]
    places = {fault["loc"][0] for fault in error.errors()}
    code = "body-invalid" if "body" in places else "parameter-invalid"
    if any(fault["type"] == "json_invalid" for fault in error.errors()):
        return problem(request, code, "the body is not JSON", status=400)
    first = errors[0]
    detail = f"{first['field'] or 'body'}: {first['detail']}"
    return problem(request, code, detail, field=first["field"] or "body", errors=errors)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _BY_STATUS.get(error.status_code, "body-invalid" if error.status_code == 400 else "request-refused")
    return problem(request, code, error.detail, status=error.status_code, headers=error.headers)


def answer_refusals(app: FastAPI) -> None:
    """Have the application answer with a problem what the rules, the documented shapes or the routing refuse."""
    app.add_exception_handler(Rejected, _rejected)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
