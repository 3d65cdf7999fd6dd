"""The steps of a campaign over HTTP, as the tests of the survey's doors take them."""

import asyncio
from typing import Any

import httpx

from shared.access import Role
from tests.services.survey.conftest import Survey
from tests.services.survey.samples import CLOSES, FORM, OPENS, PERIOD

BASE = f"/periods/{PERIOD}"
CAMPAIGN = {
    "campaign": "autumn",
    "group": "central",
    "opens": OPENS.isoformat(),
    "closes": CLOSES.isoformat(),
}


async def opened(survey: Survey, **changed: Any) -> None:
    answer = await survey.client.post(
        f"{BASE}/campaigns", json=CAMPAIGN | changed, headers=survey.bearer(Role.SURVEY_OFFICER)
    )
    assert answer.status_code == 201, answer.text


async def invited(survey: Survey, count: int, form: str = FORM.id, agency: str = "a-01", **headers: str) -> Any:
    answer = await survey.client.post(
        f"{BASE}/campaigns/autumn/invitations",
        json={"agency": agency, "form": form, "count": count},
        headers=survey.bearer(Role.SURVEY_OFFICER) | headers,
    )
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def tokens(survey: Survey, count: int, form: str = FORM.id, agency: str = "a-01") -> list[str]:
    found: list[str] = (await invited(survey, count, form, agency))["tokens"]
    return found


async def cast(survey: Survey, token: str, **answers: str | None) -> httpx.Response:
    return await survey.client.post("/ballots", json={"token": token, "answers": answers})


async def cast_all(survey: Survey, found: list[str], **answers: str | None) -> None:
    for answer in await asyncio.gather(*(cast(survey, token, **answers) for token in found)):
        assert answer.status_code == 201, answer.text
