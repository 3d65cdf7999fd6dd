import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from shared import telemetry
from shared.access import Role, public, require
from shared.decider import Rejected
from tests.shared.local_app import app_of, client_of, settings_in, token

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

router = APIRouter(prefix="/agencies")


@router.post("/{agency}/items", dependencies=[Depends(require(Role.OFFICER))])
async def items(agency: str) -> dict[str, str | None]:
    with telemetry.span(telemetry.SPAN_APPEND, {telemetry.LOG: "submission/2024-year"}):
        return {"traceparent": telemetry.current_traceparent()}


@router.post("/{agency}/refusal", dependencies=[Depends(public)])
async def refusal(agency: str) -> None:
    raise Rejected("token-spent", "spent")


@router.post("/{agency}/failure", dependencies=[Depends(public)])
async def failure(agency: str) -> None:
    raise RuntimeError("a secret detail")


@router.post("/{agency}/logged", dependencies=[Depends(public)])
async def logged(agency: str) -> None:
    logging.getLogger("services.submission").info("an item was declared")


@router.post("/ballots/{ballot_token}", dependencies=[Depends(public)])
async def ballot(ballot_token: str, traceparent: Annotated[str | None, Depends(telemetry.current_traceparent)]) -> None:
    with telemetry.span(telemetry.SPAN_APPEND):
        assert traceparent is not None


@pytest.fixture
def spans(tmp_path: Path, exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> InMemorySpanExporter:
    kept = InMemorySpanExporter()
    provider = telemetry.setup(settings_in(tmp_path_factory.mktemp("settings")))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return kept


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = app_of(settings_in(tmp_path), router, untraced=["/agencies/ballots/{ballot_token}"])
    async with client_of(app) as client:
        yield client


def server(spans: InMemorySpanExporter) -> ReadableSpan:
    (found,) = [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER]
    return found


def context_of(span: ReadableSpan) -> SpanContext:
    context = span.context
    assert isinstance(context, SpanContext)
    return context


async def test_a_request_begins_its_own_trace_and_links_to_the_clients(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {token(tmp_path, Role.OFFICER)}", "traceparent": CLIENT}
    answer = await client.post("/agencies/a-001/items?note=secret-query", json={"secret": "body"}, headers=headers)
    span = server(spans)
    (link,) = span.links
    assert f"{link.context.trace_id:032x}-{link.context.span_id:016x}" == CLIENT[3:52]
    assert span.parent is None
    assert f"{context_of(span).trace_id:032x}" != CLIENT[3:35]
    begin = f"00-{context_of(span).trace_id:032x}-{context_of(span).span_id:016x}-"
    assert answer.headers["traceresponse"].startswith(begin)
    assert answer.json()["traceparent"].split("-")[1] == f"{context_of(span).trace_id:032x}"


async def test_a_span_holds_the_route_and_nothing_that_the_client_sent(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    bearer = token(tmp_path, Role.OFFICER)
    await client.post(
        "/agencies/a-001/items?note=secret-query",
        json={"secret": "body"},
        headers={"Authorization": f"Bearer {bearer}"},
    )
    span = server(spans)
    assert span.name == "POST /agencies/{agency}/items"
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "http.route": "/agencies/{agency}/items",
        "http.response.status_code": 200,
    }
    told = "".join(made.to_json() for made in spans.get_finished_spans())
    assert len(spans.get_finished_spans()) == 2
    for hidden in (bearer, "secret", "a-001", "authorization", "Authorization"):
        assert hidden not in told


async def test_a_child_span_belongs_to_the_request(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    await client.post("/agencies/a-001/items", headers={"Authorization": f"Bearer {token(tmp_path, Role.OFFICER)}"})
    child, parent = spans.get_finished_spans()
    assert (child.name, parent.kind) == (telemetry.SPAN_APPEND, SpanKind.SERVER)
    assert child.parent is not None
    assert child.parent.span_id == context_of(parent).span_id


@pytest.mark.parametrize("header", ["garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", UNSAMPLED])
async def test_a_useless_traceparent_gives_no_link(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, header: str
) -> None:
    await client.post("/agencies/a-001/logged", headers={"traceparent": header})
    assert server(spans).links == ()


async def test_a_refusal_is_named_by_its_code_and_is_no_error_of_the_service(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    await client.post("/agencies/a-001/refusal")
    span = server(spans)
    assert span.attributes is not None
    assert span.attributes["parindex.problem"] == "token-spent"
    assert span.status.status_code is StatusCode.UNSET


async def test_a_failure_marks_the_span_without_its_text(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    await client.post("/agencies/a-001/failure")
    span = server(spans)
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "500"
    assert "secret" not in span.to_json()


async def test_an_unknown_path_is_not_written_down(client: httpx.AsyncClient, spans: InMemorySpanExporter) -> None:
    await client.get("/agencies/secret-path/x")
    assert server(spans).name == "GET unmatched"
    assert "secret-path" not in telemetry.exposition().decode()


async def test_an_untraced_route_leaves_no_span_of_any_kind(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    answer = await client.post("/agencies/ballots/the-token", headers={"traceparent": CLIENT})
    assert answer.status_code == 200
    assert "traceresponse" not in answer.headers
    await client.get("/health/live")
    assert spans.get_finished_spans() == ()
    metrics = telemetry.exposition().decode()
    assert 'route="/agencies/ballots/{ballot_token}",status="200"' in metrics
    assert "the-token" not in metrics


def test_work_that_another_process_caused_goes_on_with_its_trace(spans: InMemorySpanExporter) -> None:
    with telemetry.span_from(
        telemetry.SPAN_APPLY, CLIENT, SpanKind.CONSUMER, {telemetry.LOG: "submission/2024-year"}
    ) as span:
        assert span.is_recording()
        assert telemetry.current_traceparent() is not None
    (made,) = spans.get_finished_spans()
    assert made.parent is not None
    assert (f"{made.parent.trace_id:032x}", f"{made.parent.span_id:016x}") == (CLIENT[3:35], CLIENT[36:52])
    assert made.parent.is_remote
    assert (made.kind, made.attributes) == (SpanKind.CONSUMER, {"parindex.log": "submission/2024-year"})


def test_a_batch_links_to_each_sampled_trace_once(spans: InMemorySpanExporter) -> None:
    other = CLIENT.replace("b7ad", "c7ad")
    with telemetry.span_from(
        telemetry.SPAN_RELAY,
        None,
        SpanKind.PRODUCER,
        links=[CLIENT, UNSAMPLED, None, other, CLIENT, CLIENT[:-2] + "02"],
    ):
        pass
    (made,) = spans.get_finished_spans()
    assert made.parent is None
    assert [f"{link.context.span_id:016x}" for link in made.links] == [CLIENT[36:52], other[36:52]]


@pytest.mark.parametrize("traceparent", [None, UNSAMPLED, "garbage", ""])
def test_untraced_work_makes_no_span(spans: InMemorySpanExporter, traceparent: str | None) -> None:
    with telemetry.span_from(telemetry.SPAN_APPLY, traceparent, links=[traceparent]) as span:
        assert not span.is_recording()
    assert spans.get_finished_spans() == ()


def test_a_failure_inside_a_span_is_told_by_its_type_alone(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="secret"), telemetry.span_from(telemetry.SPAN_APPLY, CLIENT):
        raise ValueError("a secret detail")
    with pytest.raises(KeyError), telemetry.span(telemetry.SPAN_INDEX):
        raise KeyError("a secret detail")
    first, second = spans.get_finished_spans()
    assert [span.attributes for span in (first, second)] == [{"error.type": "ValueError"}, {"error.type": "KeyError"}]
    assert "secret" not in first.to_json() + second.to_json()


def test_outside_of_a_trace_there_is_no_traceparent() -> None:
    assert telemetry.current_traceparent() is None
    assert not trace.get_current_span(telemetry.context_of(None)).get_span_context().is_valid


async def test_a_log_line_bears_the_trace_of_its_request(
    client: httpx.AsyncClient, spans: InMemorySpanExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("services.submission")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(telemetry.JsonLines("submission"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        await client.post("/agencies/a-001/logged")
    finally:
        logger.removeHandler(handler)
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert line["trace"] == f"{context_of(server(spans)).trace_id:032x}"
    assert line["span"] == f"{context_of(server(spans)).span_id:016x}"
    assert {name: line[name] for name in ("service", "level", "logger", "message")} == {
        "service": "submission",
        "level": "info",
        "logger": "services.submission",
        "message": "an item was declared",
    }


def record(name: str, seconds: float = 0, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord(name, logging.ERROR, "file.py", 1, "it failed", None, info)
    made.created = 1_732_000_000 + seconds
    return made


def test_a_logged_exception_shows_where_it_passed_but_not_its_text() -> None:
    try:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as cause:
            raise ValueError("Nguyễn Văn A voted no") from cause
    except ValueError as error:
        text = telemetry.JsonLines("survey").format(record("services.survey", error=error))
    line = json.loads(text)
    assert "\n" not in text
    assert "Nguyễn" not in text
    assert [told["type"] for told in line["exception"]] == ["builtins.ValueError", "builtins.ConnectionRefusedError"]
    assert "test_telemetry.py" in line["exception"][0]["at"][0]
    assert line["exception"][1]["text"] == "Connection refused"
    assert line["time"] == "2024-11-19T07:06:40.000+00:00"


def test_an_outage_of_the_broker_does_not_flood_the_log() -> None:
    moderation = telemetry.Moderation(lines=10, seconds=30)
    storm = [record("aiokafka.conn" if i % 2 else "aiokafka.client", i * 0.01) for i in range(1110)]
    assert sum(moderation.filter(line) for line in storm) == 10
    assert all(moderation.filter(record("services.scoring", i * 0.01)) for i in range(1110))
    after = record("aiokafka.conn", 31)
    assert moderation.filter(after)
    assert json.loads(telemetry.JsonLines("scoring").format(after))["left_out"] == 1100


def test_the_process_logs_json_and_no_access_log(tmp_path: Path) -> None:
    program = (
        "import logging; from pathlib import Path; from shared import telemetry\n"
        "from tests.shared.local_app import settings_in\n"
        f"telemetry.logging_setup(settings_in(Path({str(tmp_path)!r})))\n"
        "logging.getLogger('uvicorn.error').info('started')\n"
        "logging.getLogger('uvicorn.access').info('GET /ballots/the-token')\n"
        "logging.getLogger('aiokafka').info('chatter')\n"
        "logging.getLogger('aiokafka').warning('lost')\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert done.stdout == b""
    assert [json.loads(line)["message"] for line in done.stderr.splitlines()] == ["started", "lost"]
