import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from shared import web
from shared.access import Caller, Role, own_agency, public, require
from shared.decider import Rejected
from shared.events import Points
from shared.ledger import Accepted
from tests.shared.local_app import app_of, client_of, settings_in, token


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    code: str
    points: Points


class Declaration(BaseModel):
    items: list[Item]


router = APIRouter()


@router.post("/declarations/{agency}")
async def declare(
    agency: str, body: Declaration, caller: Annotated[Caller, Depends(require(Role.AGENCY, Role.AGENCY_HEAD))]
) -> dict[str, str]:
    own_agency(caller, agency)
    return {"actor": caller.actor, "points": str(body.items[0].points)}


@router.post("/terms", dependencies=[Depends(require(*Role))])
async def show_terms(terms: Annotated[web.Terms, Depends(web.terms)]) -> dict[str, str | int | None]:
    return {"key": terms["key"], "digest": terms["digest"].hex(), "version": terms["expected_version"]}


@router.post("/refusals/{code}", dependencies=[Depends(public)])
async def refuse(code: str) -> None:
    raise Rejected(code, "the rules say no", "points", [{"item": "1.1", "code": "off-step", "detail": "not a step"}])


@router.get("/failure", dependencies=[Depends(public)])
async def fail() -> None:
    raise RuntimeError("a secret detail")


@router.post("/unread", dependencies=[Depends(public)])
async def unread() -> None: ...


@router.post("/commands/{count}/{repeated}", dependencies=[Depends(public)], response_model=web.AcceptedBody)
async def command(count: int, repeated: bool) -> Response:
    return web.accepted(Accepted("submission/2024-year", 7, count, 3, "entry-id" if count else None, repeated))


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    problems = {"points-off-step": web.Problem(409, "Points are off the step", "Điểm không đúng bước")}
    async with client_of(app_of(settings_in(tmp_path), router, problems=problems)) as client:
        yield client


def bearer(
    folder: Path, *roles: Role, agency: str | None = None, ttl: timedelta = timedelta(hours=1)
) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(folder, *roles, agency=agency, ttl=ttl)}"}


def raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    body: dict[str, object] = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"/problems/{code}"
    assert str(body["instance"]).startswith("urn:uuid:")
    return body


GOOD = {"items": [{"code": "1.1", "points": "0.50"}]}


async def test_an_agency_declares_for_itself(client: httpx.AsyncClient, tmp_path: Path) -> None:
    answer = await client.post("/declarations/a-001", json=GOOD, headers=bearer(tmp_path, Role.AGENCY, agency="a-001"))
    assert (answer.status_code, answer.json()["points"]) == (200, "0.50")
    assert answer.headers["cache-control"] == "no-store"


async def test_an_agency_is_refused_for_another(client: httpx.AsyncClient, tmp_path: Path) -> None:
    answer = await client.post("/declarations/a-002", json=GOOD, headers=bearer(tmp_path, Role.AGENCY, agency="a-001"))
    is_problem(answer, 403, "other-agency")


async def test_a_request_without_a_token_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/declarations/a-001", json=GOOD)
    is_problem(answer, 401, "token-missing")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_expired_token_is_refused(client: httpx.AsyncClient, tmp_path: Path) -> None:
    headers = bearer(tmp_path, Role.AGENCY, agency="a-001", ttl=timedelta(minutes=-1))
    answer = await client.post("/declarations/a-001", json=GOOD, headers=headers)
    is_problem(answer, 401, "token-expired")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("role", Role)
async def test_only_the_named_roles_pass(client: httpx.AsyncClient, tmp_path: Path, role: Role) -> None:
    answer = await client.post("/declarations/a-001", json=GOOD, headers=bearer(tmp_path, role, agency="a-001"))
    if role in (Role.AGENCY, Role.AGENCY_HEAD):
        assert answer.status_code == 200
    else:
        is_problem(answer, 403, "role-missing")


async def test_a_token_without_roles_may_nothing(client: httpx.AsyncClient, tmp_path: Path) -> None:
    is_problem(await client.post("/terms", headers=bearer(tmp_path)), 403, "role-missing")


@pytest.mark.parametrize(
    ("item", "field", "fault"),
    [
        ({"code": "1.1", "points": 0.5}, "items.0.points", "value_error"),
        ({"code": "1.1"}, "items.0.points", "missing"),
        ({"code": "1.1", "points": "1", "bonus": "secret-value"}, "items.0.bonus", "extra_forbidden"),
        ({"code": 7, "points": "1"}, "items.0.code", "string_type"),
    ],
)
async def test_a_malformed_body_names_the_field_and_does_not_come_back(
    client: httpx.AsyncClient, tmp_path: Path, item: dict[str, object], field: str, fault: str
) -> None:
    headers = bearer(tmp_path, Role.AGENCY, agency="a-001")
    answer = await client.post("/declarations/a-001", json={"items": [item]}, headers=headers)
    body = is_problem(answer, 422, "body-invalid")
    assert body["field"] == field
    errors = body["errors"]
    assert isinstance(errors, list)
    assert [(error["field"], error["code"]) for error in errors] == [(field, fault)]
    assert "secret-value" not in answer.text


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_no_json_is_refused(client: httpx.AsyncClient, tmp_path: Path, body: bytes) -> None:
    headers = bearer(tmp_path, Role.AGENCY, agency="a-001") | {"Content-Type": "application/json"}
    is_problem(await client.post("/declarations/a-001", content=body, headers=headers), 400, "body-invalid")


async def test_a_malformed_parameter_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/commands/many/false")
    assert is_problem(answer, 400, "parameter-invalid")["field"] == "count"


@pytest.mark.parametrize("path", ["/declarations/a-001", "/unread"])
async def test_a_body_above_one_mebibyte_is_refused(client: httpx.AsyncClient, tmp_path: Path, path: str) -> None:
    headers = bearer(tmp_path, Role.AGENCY, agency="a-001") | {"Content-Type": "application/json"}
    answer = await client.post(path, content=b" " * (web.MAX_BODY + 1), headers=headers)
    is_problem(answer, 413, "body-too-large")


async def test_a_chunked_body_cannot_pass_the_limit(client: httpx.AsyncClient, tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 65_536

    headers = bearer(tmp_path, Role.AGENCY, agency="a-001") | {"Content-Type": "application/json"}
    answer = await client.post("/declarations/a-001", content=chunks(), headers=headers)
    assert "content-length" not in answer.request.headers
    is_problem(answer, 413, "body-too-large")


async def test_a_body_of_one_mebibyte_passes(client: httpx.AsyncClient, tmp_path: Path) -> None:
    headers = bearer(tmp_path, Role.AGENCY, agency="a-001") | {"Content-Type": "application/json"}
    body = json.dumps(GOOD).encode()
    whole = body + b" " * (web.MAX_BODY - len(body))
    assert (await client.post("/declarations/a-001", content=whole, headers=headers)).status_code == 200


async def test_a_refusal_of_the_rules_keeps_code_field_and_errors(client: httpx.AsyncClient) -> None:
    body = is_problem(await client.post("/refusals/points-off-step"), 409, "points-off-step")
    assert (body["title"], body["detail"], body["field"]) == ("Points are off the step", "the rules say no", "points")
    assert body["errors"] == [{"item": "1.1", "code": "off-step", "detail": "not a step"}]


async def test_the_title_is_vietnamese_for_who_reads_vietnamese(client: httpx.AsyncClient) -> None:
    answer = await client.post("/refusals/points-off-step", headers={"Accept-Language": "vi-VN,vi;q=0.9"})
    assert answer.json()["title"] == "Điểm không đúng bước"
    assert answer.headers["content-language"] == "vi"


async def test_an_unlisted_code_is_still_a_refusal(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    is_problem(await client.post("/refusals/never-listed"), 422, "never-listed")
    assert "never-listed is in no table" in caplog.text


async def test_a_problem_type_leads_to_its_explanation(client: httpx.AsyncClient) -> None:
    problem = (await client.post("/refusals/points-off-step")).json()
    explained = await client.get(problem["type"])
    assert explained.json() == {
        "code": "points-off-step",
        "status": 409,
        "title_en": "Points are off the step",
        "title_vi": "Điểm không đúng bước",
    }
    is_problem(await client.get("/problems/never-listed"), 404, "not-found")


async def test_an_unknown_route_and_a_wrong_method_are_problems(client: httpx.AsyncClient) -> None:
    is_problem(await client.get("/nothing-here"), 404, "not-found")
    answer = await client.delete("/unread")
    is_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


async def test_an_error_of_the_service_tells_no_detail(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.get("/failure")
    is_problem(answer, 500, "internal")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "a request failed" in caplog.text


@pytest.mark.parametrize(
    ("header", "version"),
    [(None, None), ('"v12"', 12), ('"v0"', 0), (' "v3" ', 3), ('"v999999999999999999"', 10**18 - 1)],
)
async def test_if_match_names_the_expected_version(
    client: httpx.AsyncClient, tmp_path: Path, header: str | None, version: int | None
) -> None:
    headers = bearer(tmp_path, Role.OFFICER) | ({} if header is None else {"If-Match": header})
    assert (await client.post("/terms", headers=headers)).json()["version"] == version


@pytest.mark.parametrize("header", ["v12", '"12"', 'W/"v12"', "*", '"v12", "v13"', '"v-1"', '"v012"', '"v１"', ""])
async def test_a_malformed_if_match_is_refused(client: httpx.AsyncClient, tmp_path: Path, header: str) -> None:
    headers = [*raw(bearer(tmp_path, Role.OFFICER)), (b"If-Match", header.encode())]
    answer = await client.post("/terms", headers=headers)
    assert is_problem(answer, 400, "if-match-invalid")["field"] == "If-Match"


async def test_the_idempotency_key_is_taken_as_it_is_or_made_fresh(client: httpx.AsyncClient, tmp_path: Path) -> None:
    headers = bearer(tmp_path, Role.OFFICER)
    given = await client.post("/terms", headers=headers | {"Idempotency-Key": "import 7, row ~1"})
    assert given.json()["key"] == "import 7, row ~1"
    fresh = [(await client.post("/terms", headers=headers)).json()["key"] for _ in range(2)]
    assert fresh[0] != fresh[1]


@pytest.mark.parametrize("key", [b"", b"x" * 129, "khóa".encode(), b"a\tb"])
async def test_a_malformed_idempotency_key_is_refused(client: httpx.AsyncClient, tmp_path: Path, key: bytes) -> None:
    headers = [*raw(bearer(tmp_path, Role.OFFICER)), (b"Idempotency-Key", key)]
    answer = await client.post("/terms", headers=headers)
    is_problem(answer, 400, "idempotency-key-invalid")


async def test_two_idempotency_keys_are_refused(client: httpx.AsyncClient, tmp_path: Path) -> None:
    headers = [*bearer(tmp_path, Role.OFFICER).items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    is_problem(await client.post("/terms", headers=headers), 400, "idempotency-key-invalid")


async def test_the_digest_is_of_the_content_not_of_its_spelling(client: httpx.AsyncClient, tmp_path: Path) -> None:
    async def digest(body: bytes, target: str = "/terms") -> str:
        answer = await client.post(target, content=body, headers=bearer(tmp_path, Role.OFFICER))
        return str(answer.json()["digest"])

    first = await digest(b'{"a": "1", "b": [1, 2]}')
    assert len(first) == 64
    assert await digest(b'{"b":[1,2],"a":"\\u0031"}') == first
    others = [b'{"a": "1", "b": [2, 1]}', b'{"a": 1, "b": [1, 2]}', b"", b"not json", b"[" * 100_000]
    digests = [first, await digest(b'{"a": "1", "b": [1, 2]}', "/terms?part=2"), *[await digest(b) for b in others]]
    assert len(set(digests)) == len(digests)


async def test_an_accepted_command_answers_with_place_and_version(client: httpx.AsyncClient) -> None:
    answer = await client.post("/commands/2/false")
    assert answer.status_code == 201
    assert answer.headers["etag"] == '"v3"'
    assert answer.json() == {
        "log": "submission/2024-year",
        "position": 7,
        "entry": "entry-id",
        "version": 3,
        "repeated": False,
    }
    assert (await client.post("/commands/2/true")).status_code == 200
    assert (await client.post("/commands/0/false")).status_code == 200


async def test_health_is_open_and_names_the_part_that_is_not_ready(client: httpx.AsyncClient, tmp_path: Path) -> None:
    assert (await client.get("/health/live")).json() == {"live": True}
    assert (await client.get("/health/ready")).json() == {"ready": True, "parts": ["ledger"]}
    assert (await client.get("/health/progress")).json() == {"logs": {}}

    async def waits() -> dict[str, str | None]:
        return {"ledger": None, "bus": "no broker answers"}

    async with client_of(app_of(settings_in(tmp_path), ready=waits)) as other:
        body = is_problem(await other.get("/health/ready"), 503, "not-ready")
    assert body["errors"] == [{"item": "bus", "code": "part-not-ready", "detail": "no broker answers"}]


async def test_metrics_are_shown_by_route_and_never_by_path(client: httpx.AsyncClient) -> None:
    await client.post("/refusals/points-off-step")
    text = (await client.get("/metrics")).text
    assert 'parindex_requests_total{method="POST",route="/refusals/{code}",status="409"}' in text
    assert 'parindex_refused_total{code="points-off-step"}' in text
    assert "/refusals/points-off-step" not in text


async def test_the_openapi_document_shows_problems_and_the_bearer_scheme(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    declare = document["paths"]["/declarations/{agency}"]["post"]
    assert declare["security"] == [{"HTTPBearer": []}]
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation["responses"]["default"]["content"]
            assert content["application/problem+json"]["schema"]["$ref"] == "#/components/schemas/Problem"
            assert "422" not in operation["responses"]
    assert set(document["components"]["schemas"]["Problem"]["required"]) >= {"type", "title", "status", "code"}
    headers = {parameter["name"] for parameter in document["paths"]["/terms"]["post"]["parameters"]}
    assert headers == {"Idempotency-Key", "If-Match"}


async def test_a_service_with_an_unguarded_route_does_not_start(tmp_path: Path) -> None:
    forgotten = APIRouter()
    forgotten.get("/forgotten")(unread)
    with pytest.raises(ValueError, match="GET /forgotten"):
        app_of(settings_in(tmp_path), forgotten)


async def test_a_service_cannot_change_what_a_shared_code_means(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stale-version"):
        app_of(settings_in(tmp_path), problems={"stale-version": web.Problem(409, "Stale", "Cũ")})


async def test_a_service_whose_issuer_has_no_key_does_not_start(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    (tmp_path / "jwks.json").write_text('{"keys": []}')
    with pytest.raises(SystemExit, match="PARINDEX_JWKS"):
        app_of(settings)


def test_every_problem_has_a_title_in_both_languages() -> None:
    for code, known in web.PROBLEMS.items():
        assert 400 <= known.status <= 599, code
        assert known.title_en, code
        assert known.title_vi, code
