"""Bad input is refused with its stable code and field, and nothing is appended."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import jwt
import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from shared.issuer import Role, mint, new_issuer
from shared.rubric import Agency, Label
from tests.flow.office import SMALL, Office, rubric
from tests.flow.refusals import ALL, ANYONE, CLERK, FILED, IDLE, OPEN, PDF, Bad, Who

CONTENT = b"%PDF-1.4 quyet dinh"
REUSED = "idempotency-key-reused"


@pytest_asyncio.fixture(scope="module")
async def office(stack: Stack) -> AsyncIterator[Office]:
    """A period with an agency that still assesses itself, one that has submitted, and one that has done nothing."""
    agencies = [Agency(id=name, name=Label(vi=name)) for name in (OPEN, FILED, IDLE)]
    async with await Office.plan(stack, "refusals", ("central", rubric(SMALL), agencies)) as office:
        await office.open()
        await office.declare(OPEN, "1.1", "20")
        await office.assess(FILED, {"1.1": "10", "1.2": "80"})
        await office.recognise(FILED)
        yield office


async def call(
    office: Office,
    who: Who,
    what: str,
    body: Any = None,
    headers: Mapping[str, str] = MappingProxyType({}),
    token: str | None = None,
) -> httpx.Response:
    """Send `service METHOD path` with the token of `who`; `…` stands for the period's path."""
    service, method, path = what.split(" ")
    role, agency, name = who
    bearer = token or (None if role is None else office.token(role, agency, name))
    sent = ({} if bearer is None else {"Authorization": f"Bearer {bearer}"}) | dict(headers)
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    more = {} if content is None else {"Content-Type": "application/json"}
    url = office.stack.services[service] + path.replace("…", office.here())
    return await office.http.request(method, url, content=content, headers=more | sent)


async def sizes(office: Office) -> dict[str, int]:
    """The size of each of the period's logs, and whether others are there that no test has asked for."""
    answers = await asyncio.gather(
        *(office.http.get(f"{url}/health/progress") for url in office.stack.services.values())
    )
    found: dict[str, int] = {each["log"]: each["size"] for answer in answers for each in answer.json()["logs"]}
    assert not [log for log in found if log.endswith("/no-such")]
    return {log: size for log, size in found.items() if log.endswith(f"/{office.period}")}


@asynccontextmanager
async def nothing_appended(office: Office) -> AsyncIterator[None]:
    """Within it no log of the period grows."""
    before = await sizes(office)
    assert len(before) == 4
    yield
    assert await sizes(office) == before


def assert_problem(answer: httpx.Response, status: int, code: str, field: str | None = None) -> None:
    """The answer is that problem (RFC 9457), and says nothing that a problem has no field for."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"], body.get("field")) == (status, status, code, field), body
    assert body["type"] == f"/problems/{code}"
    assert body["title"]
    assert body["detail"]
    assert body["instance"].startswith("urn:uuid:")
    assert body.keys() <= {"type", "title", "status", "detail", "instance", "code", "field", "errors"}


@pytest.mark.parametrize("kind", ALL)
async def test_bad_input_is_refused_with_its_code_and_field_and_nothing_is_appended(office: Office, kind: str) -> None:
    async with nothing_appended(office):
        for bad in ALL[kind]:
            answer = await call(office, bad.who, bad.call, bad.body, bad.headers)
            try:
                assert_problem(answer, bad.status, bad.code, bad.field)
            except AssertionError as error:
                error.add_note(str(bad)[:500])
                raise


async def test_every_refused_code_is_explained_by_its_service(office: Office) -> None:
    bads: list[Bad] = [bad for each in ALL.values() for bad in each]
    codes = sorted({(bad.call.partition(" ")[0], bad.code) for bad in bads})
    answers = await asyncio.gather(
        *(call(office, ANYONE, f"{service} GET /problems/{code}") for service, code in codes)
    )
    for (_, code), answer in zip(codes, answers, strict=True):
        explained = answer.json()
        assert (answer.status_code, explained["code"]) == (200, code)
        assert explained["title_en"] != explained["title_vi"]


async def test_an_incomplete_self_assessment_names_each_item_and_what_it_lacks(office: Office) -> None:
    answer = await call(office, (Role.AGENCY, IDLE, ""), f"submission POST …/agencies/{IDLE}/submission", {})
    assert [(error["item"], error["code"]) for error in answer.json()["errors"]] == [
        ("1.1", "declaration-missing"),
        ("1.1", "evidence-or-explanation-missing"),
        ("1.2", "declaration-missing"),
        ("1.2", "evidence-or-explanation-missing"),
    ]


async def test_a_repeated_key_gets_the_first_answer_and_with_other_content_a_refusal(office: Office) -> None:
    what, key = f"submission PUT …/agencies/{OPEN}/items/1.1", {"Idempotency-Key": f"repeat-{office.period}"}
    first = await call(office, CLERK, what, {"data": "20,5"}, key)
    assert (first.status_code, first.json()["repeated"]) == (201, False)
    async with nothing_appended(office):
        again = await call(office, CLERK, what, {"data": "20,5"}, key)
        assert (again.status_code, again.json()) == (200, {**first.json(), "repeated": True})
        assert_problem(await call(office, CLERK, what, {"data": "21"}, key), 422, REUSED, "Idempotency-Key")
        other = what.replace("1.1", "1.2")
        assert_problem(await call(office, CLERK, other, {"data": "20,5"}, key), 422, REUSED, "Idempotency-Key")


async def test_a_stale_if_match_is_refused_and_the_current_one_is_taken_once(office: Office) -> None:
    here = f"submission GET …/agencies/{OPEN}"
    tag = {"If-Match": (await call(office, CLERK, here)).headers["etag"]}
    what = f"submission PUT …/agencies/{OPEN}/items/1.2"
    assert (await call(office, CLERK, what, {"data": "91"}, tag)).status_code == 201
    async with nothing_appended(office):
        assert_problem(await call(office, CLERK, what, {"data": "92"}, tag), 412, "stale-version", "If-Match")


async def test_expired_foreign_and_forged_tokens_are_refused(office: Office, tmp_path: Path) -> None:
    claims: dict[str, Any] = {"sub": office.subject("x"), "roles": [Role.AGENCY], "agency": OPEN}
    good = jwt.decode(office.token(Role.AGENCY, OPEN), options={"verify_signature": False})
    terms = {"issuer": good["iss"], "audience": good["aud"]}
    own = office.stack.secrets / "issuer.jwk"
    foreign = tmp_path / "foreign.jwk"
    foreign.write_text(new_issuer()[0])
    tokens = {
        "token-expired": [mint(own, **terms, **claims, ttl=timedelta(minutes=-2))],
        "token-invalid": [
            mint(foreign, **terms, **claims),
            mint(own, **{**terms, "issuer": "urn:somebody-else"}, **claims),
            mint(own, **{**terms, "audience": "another-system"}, **claims),
            mint(own, **terms, **{**claims, "agency": "Not An Id"}),
            jwt.encode(good, key="", algorithm="none"),
            jwt.encode(good, key="0" * 64, algorithm="HS256"),
        ],
    }
    what = f"submission PUT …/agencies/{OPEN}/items/1.1"
    async with nothing_appended(office):
        for code, refused in tokens.items():
            for token in refused:
                answer = await call(office, CLERK, what, {"data": "1"}, token=token)
                assert_problem(answer, 401, code)
                assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def _told(data: bytes, media_type: str = PDF) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "media_type": media_type}


async def _place(office: Office, told: dict[str, Any], agency: str = OPEN) -> dict[str, Any]:
    answer = await call(office, (Role.AGENCY, agency, ""), f"submission POST …/agencies/{agency}/uploads", told)
    assert answer.status_code == 201
    place: dict[str, Any] = answer.json()
    return place


async def _put(office: Office, place: dict[str, Any], data: bytes, **changes: Any) -> int:
    sent = {"url": place["url"], "headers": place["headers"], **changes}
    return (await office.http.put(sent["url"], content=data, headers=sent["headers"])).status_code


async def _confirm(office: Office, told: dict[str, Any], place: dict[str, Any]) -> httpx.Response:
    body = {**told, "upload": place["upload"], "name": "Báo cáo.pdf", "items": ["1.1"]}
    return await call(office, CLERK, f"submission POST …/agencies/{OPEN}/evidence", body)


async def test_evidence_whose_bytes_are_not_those_declared_is_refused(office: Office) -> None:
    told = _told(CONTENT)
    async with nothing_appended(office):
        place = await _place(office, told)
        assert_problem(await _confirm(office, told, place), 409, "evidence-missing", "upload")
        assert await _put(office, place, CONTENT[::-1]) == 200
        assert_problem(await _confirm(office, told, place), 422, "evidence-differs", "sha256")
        page = b"<html>not a pdf</html>"
        place = await _place(office, _told(page))
        assert await _put(office, place, page) == 200
        assert_problem(await _confirm(office, _told(page), place), 415, "evidence-kind-refused", "media_type")
        assert_problem(await _confirm(office, told, place), 422, "evidence-differs", "size")


async def test_an_upload_place_takes_these_bytes_once_and_from_this_agency_only(office: Office) -> None:
    told = _told(CONTENT)
    place = await _place(office, told)
    other = await _place(office, told, FILED)
    async with nothing_appended(office):
        name = httpx.URL(place["url"]).path.rpartition("/")[2]
        for misuse in (
            {"url": place["url"].replace(name, "0" * len(name))},
            {"url": place["url"].replace("X-Amz-Expires=3600", "X-Amz-Expires=360000")},
            {"url": place["url"].replace("-inbox/", "-proof/")},
            {"url": place["url"].partition("?")[0]},
            {"headers": {"content-length": place["headers"]["content-length"]}},
        ):
            assert await _put(office, place, CONTENT, **misuse) == 403, misuse
        longer = {"content-length": str(len(CONTENT) + 1), "if-none-match": "*"}
        assert await _put(office, place, CONTENT + b"!", headers=longer) == 403
        assert await _put(office, other, CONTENT) == 200
        assert_problem(await _confirm(office, told, other), 404, "upload-unknown", "upload")
    assert await _put(office, place, CONTENT) == 200
    assert await _put(office, place, CONTENT[::-1]) == 412
    assert (await _confirm(office, told, place)).status_code == 201
