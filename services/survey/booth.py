"""The polling booth: the ballot form as a web page behind an invitation's link or QR code; no script, no sign-in.

Neither the pages nor any log line, span or metric name the token: requests here leave no span, and their metrics bear
the route's template.
"""

from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from services.survey import page
from services.survey.desk import Desk
from services.survey.page import Language
from shared import telemetry
from shared.access import public
from shared.decider import Rejected
from shared.web import PROBLEMS, Problem

ROUTE: Final = "/b/{token}"
MAX_FIELDS: Final = 400
FORM: Final = "application/x-www-form-urlencoded"

Lang = Annotated[str, Query(description="`vi` (also without it) or `en`.", max_length=8)]


def router(desk: Desk, problems: Mapping[str, Problem]) -> APIRouter:
    """The two routes of the form; `problems` say which status a refusal has."""
    routes = APIRouter(tags=["ballots"], dependencies=[Depends(public)], default_response_class=HTMLResponse)
    known = {**PROBLEMS, **problems}

    def refusal(refused: Rejected, language: Language) -> HTMLResponse:
        telemetry.refused(refused.code)
        return _answer(page.message(refused.code, language), known[refused.code].status)

    @routes.get(ROUTE)
    async def show_form(token: str, lang: Lang = "vi") -> HTMLResponse:
        """The form of an invitation, to be filled in by hand: a page, also where there is nothing to fill in."""
        language = _language(lang)
        try:
            return _answer(page.ballot(await desk.sheet(token), language))
        except Rejected as refused:
            return refusal(refused, language)

    @routes.post(ROUTE, status_code=201, openapi_extra=_BODY)
    async def fill_form(token: str, request: Request, lang: Lang = "vi") -> HTMLResponse:
        """Cast the ballot that the form holds, once; each question's field bears the option ticked, or nothing."""
        language = _language(lang)
        try:
            sheet = await desk.sheet(token)
            answers = await _read(request)
            if not answers:
                return _answer(page.ballot(sheet, language, "empty"), 422)
            try:
                await desk.boxes.cast(token, answers)
            except Rejected as refused:
                if refused.code not in ("question-unknown", "option-unknown"):
                    raise
                telemetry.refused(refused.code)
                return _answer(page.ballot(sheet, language, "unfit"), 422)
        except Rejected as refused:
            return refusal(refused, language)
        return _answer(page.message("thanks", language), 201)

    return routes


_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}},
    }
}


def _language(asked: str) -> Language:
    return "en" if asked == "en" else "vi"


def _answer(html: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(html, status, dict(page.HEADERS))


async def _read(request: Request) -> dict[str, str | None]:
    """The option for each question of a form that was sent; Rejected `body-invalid`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Rejected("body-invalid", f"send the form as {FORM}")
    try:
        text = (await request.body()).decode("ascii")
        fields = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise Rejected("body-invalid", "the form cannot be read") from None
    answers = {name: value or None for name, value in fields}
    if len(answers) < len(fields):
        raise Rejected("body-invalid", "a question is answered twice")
    return answers
