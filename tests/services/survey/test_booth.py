"""The polling booth: a form that counts once, a page for whatever else is the case, and a token told to nobody."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text

from services.survey import page
from shared import telemetry
from shared.access import Role
from tests.services.survey.conftest import Survey
from tests.services.survey.samples import CLOSES, DURING, OTHER_FORM
from tests.services.survey.steps import BASE, opened, tokens


async def sent(survey: Survey, token: str, lang: str = "vi", **answers: str) -> httpx.Response:
    """Fill in the form and send it, as a browser does."""
    return await survey.client.post(f"/b/{token}", params={"lang": lang}, data=answers)


def assert_page(answer: httpx.Response, status: int, told: str) -> None:
    """The answer is a page that says this, and nothing in it runs, is kept or told on."""
    assert answer.status_code == status, answer.text
    assert told in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for name, value in page.HEADERS.items():
        assert answer.headers[name] == value
    assert "<script" not in answer.text
    assert "traceresponse" not in answer.headers


def title(code: str) -> str:
    return page.MESSAGES[code]["vi"][0]


async def test_an_invitation_opens_its_form_about_its_agency(survey: Survey) -> None:
    await opened(survey)
    (token,) = await tokens(survey, 1, OTHER_FORM.id, "a-02")
    answer = await survey.client.get(f"/b/{token}")
    assert_page(answer, 200, "Phiếu công chức")
    assert "a-02" in answer.text
    assert token not in answer.text
    assert '<html lang="en">' in (await survey.client.get(f"/b/{token}", params={"lang": "en"})).text
    assert '<html lang="vi">' in (await survey.client.get(f"/b/{token}", params={"lang": "fr"})).text


async def test_a_filled_form_is_counted_once_and_thanked_for(survey: Survey) -> None:
    await opened(survey)
    (token,) = await tokens(survey, 1)
    assert_page(await sent(survey, token, q1="a", q2=""), 201, title("thanks"))
    async with survey.service.engine.connect() as connection:
        (box,) = (await connection.execute(text("SELECT * FROM box"))).all()
    assert box.current == '[1,{"q1":{"a":1},"q2":{"blank":1}}]'
    assert_page(await sent(survey, token, q1="b"), 409, title("token-spent"))
    assert_page(await survey.client.get(f"/b/{token}"), 409, title("token-spent"))
    assert await survey.ballots() == 1


async def test_a_printed_token_opens_the_form_as_it_is_typed(survey: Survey) -> None:
    await opened(survey)
    (token,) = await tokens(survey, 1)
    typed = "-".join(token[at : at + 5] for at in range(0, 26, 5)).lower()
    assert_page(await survey.client.get(f"/b/{typed}"), 200, "Phiếu người dân")


async def test_looking_at_a_form_spends_nothing_and_writes_nothing(survey: Survey) -> None:
    await opened(survey)
    (token,) = await tokens(survey, 1)
    for _ in range(3):
        await survey.client.get(f"/b/{token}")
    async with survey.service.engine.connect() as connection:
        assert (await connection.execute(text("SELECT spent FROM token"))).scalars().all() == [False]
    assert await survey.ballots() == 0


@pytest.mark.parametrize("token", ["0" * 26, "guess", "%3Cscript%3E", "Phiếu"])
async def test_a_token_that_was_never_issued_gets_a_page_that_says_so(survey: Survey, token: str) -> None:
    await opened(survey)
    assert_page(await survey.client.get(f"/b/{token}"), 404, title("token-unknown"))
    assert_page(await sent(survey, token, q1="a"), 404, title("token-unknown"))


async def test_outside_the_campaigns_span_a_page_says_so_and_the_token_stays_unspent(survey: Survey) -> None:
    await opened(survey, opens=(DURING + timedelta(days=1)).isoformat())
    (token,) = await tokens(survey, 1)
    assert_page(await survey.client.get(f"/b/{token}"), 409, title("campaign-not-open"))
    await survey.play(CLOSES)
    assert_page(await sent(survey, token, q1="a"), 409, title("campaign-closed"))
    assert_page(await survey.client.get(f"/b/{token}", params={"lang": "en"}), 409, "The survey has closed")
    assert await survey.ballots() == 0


async def test_a_closed_box_takes_no_form(survey: Survey) -> None:
    await opened(survey)
    (token,) = await tokens(survey, 1)
    await survey.play(CLOSES)
    await survey.boxes.empty()
    assert_page(await survey.client.get(f"/b/{token}"), 409, title("campaign-closed"))


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        ("", 422, "hãy chọn ít nhất một phương án"),
        ("q1=z", 422, "không thuộc phiếu này"),
        ("q9=a", 422, "không thuộc phiếu này"),
        ("q1=a&q1=b", 422, title("body-invalid")),
        ("q1", 422, title("body-invalid")),
        ("q1=%FF", 422, title("body-invalid")),
        ("q1=é", 422, title("body-invalid")),
        (urlencode([(f"q{number}", "a") for number in range(401)]), 422, title("body-invalid")),
    ],
)
async def test_a_form_that_cannot_be_counted_leaves_its_token_unspent(
    survey: Survey, content: str, status: int, told: str
) -> None:
    await opened(survey)
    (token,) = await tokens(survey, 1)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_page(await survey.client.post(f"/b/{token}", content=content.encode(), headers=kind), status, told)
    assert_page(await sent(survey, token, q1="a"), 201, title("thanks"))


async def test_only_a_form_is_taken(survey: Survey) -> None:
    await opened(survey)
    (token,) = await tokens(survey, 1)
    assert_page(await survey.client.post(f"/b/{token}", json={"q1": "a"}), 422, title("body-invalid"))
    assert await survey.ballots() == 0


async def test_a_database_that_fails_gets_a_page_and_tells_no_statement(
    survey: Survey, caplog: pytest.LogCaptureFixture
) -> None:
    await opened(survey)
    (token,) = await tokens(survey, 1)
    async with survey.admin.begin() as connection:
        await connection.execute(text("ALTER TABLE token RENAME TO gone"))
    for answer in (await survey.client.get(f"/b/{token}"), await sent(survey, token, q1="a")):
        assert_page(answer, 503, title("ledger-unavailable"))
    assert any("looked up" in record.getMessage() for record in caplog.records)
    assert token not in told_by(caplog)


@pytest.fixture
def spans(tmp_path_factory: pytest.TempPathFactory, survey: Survey) -> Iterator[InMemorySpanExporter]:
    """Every span that ends while the test runs."""
    kept = InMemorySpanExporter()
    processor = SimpleSpanProcessor(kept)
    telemetry.setup(survey.service.settings).add_span_processor(processor)
    yield kept
    processor.shutdown()


def told_by(caplog: pytest.LogCaptureFixture) -> str:
    """All that this process logged but for the tests' own HTTP client, as its log lines would have it and in full."""
    lines = telemetry.JsonLines("survey")
    records: list[Any] = [record for record in caplog.records if record.name.partition(".")[0] not in ("httpx",)]
    return "\n".join(f"{lines.format(record)} {record.__dict__!r}" for record in records)


async def test_neither_log_nor_span_nor_metric_knows_a_token(
    survey: Survey, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await opened(survey)
    officer = survey.bearer(Role.SURVEY_OFFICER)
    good, late = await tokens(survey, 2)
    made_up = "Z" * 26
    for token in (good, late, made_up):
        await survey.client.get(f"/b/{token}", headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})
        await sent(survey, token, q1="nonsense")
    await sent(survey, good, q1="a")
    await sent(survey, good, q1="a")
    await survey.client.put(f"/b/{late}", content=b"x")
    await survey.client.get(f"/b/{late}/more")
    await survey.play(CLOSES)
    await sent(survey, late, q1="a")
    assert (await survey.client.get(f"{BASE}/campaigns/autumn", headers=officer)).status_code == 200
    found = spans.get_finished_spans()
    assert found, "the officer's requests leave spans"
    assert not [span for span in found if "/b/{token}" in span.name]
    told = [span.to_json() for span in found] + [told_by(caplog), telemetry.exposition().decode()]
    metrics = told[-1]
    assert 'route="/b/{token}"' in metrics
    for token in (good, late, made_up):
        assert not [each for each in told if token in each or token.lower() in each]
