"""The receiver of traces: OTLP in, Zipkin's spans out, into the real Zipkin."""

import asyncio
import gzip
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from asgi_lifespan import LifespanManager
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from deploy.local.otlp_zipkin import MAX_BODY, PROTOBUF, application, spans
from deploy.local.stack import Stack


def _attribute(key: str, value: AnyValue) -> KeyValue:
    return KeyValue(key=key, value=value)


def _request(trace: bytes = b"\x01" * 16, start: int = 1_700_000_000_000_001_234) -> ExportTraceServiceRequest:
    span = Span(
        trace_id=trace,
        span_id=b"\x02" * 8,
        parent_span_id=b"\x03" * 8,
        name="apply",
        kind=Span.SPAN_KIND_CONSUMER,
        start_time_unix_nano=start,
        end_time_unix_nano=start + 5_000_000,
        attributes=[
            _attribute("log", AnyValue(string_value="submission/2024-year")),
            _attribute("entries", AnyValue(int_value=3)),
            _attribute("late", AnyValue(bool_value=False)),
            _attribute("sizes", AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)]))),
        ],
        events=[
            Span.Event(
                time_unix_nano=start + 1_000_000,
                name="parked",
                attributes=[_attribute("reason", AnyValue(string_value="hole"))],
            )
        ],
        links=[Span.Link(trace_id=b"\x04" * 16, span_id=b"\x05" * 8)],
        status=Status(code=Status.STATUS_CODE_ERROR, message="a hole"),
    )
    resource = Resource(attributes=[_attribute("service.name", AnyValue(string_value="scoring"))])
    scope = ScopeSpans(scope=InstrumentationScope(name="parindex"), spans=[span])
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])])


@asynccontextmanager
async def _receiver(zipkin: str) -> AsyncIterator[httpx.AsyncClient]:
    app = application(zipkin)
    transport = httpx.ASGITransport(app)
    async with LifespanManager(app), httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        yield client


async def _post(client: httpx.AsyncClient, body: bytes, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/v1/traces", content=body, headers={"content-type": PROTOBUF, **given})


def test_a_span_keeps_its_kind_times_attributes_events_links_and_error() -> None:
    assert spans(_request()) == [
        {
            "traceId": "01" * 16,
            "id": "02" * 8,
            "parentId": "03" * 8,
            "name": "apply",
            "kind": "CONSUMER",
            "timestamp": 1_700_000_000_000_001,
            "duration": 5_000,
            "localEndpoint": {"serviceName": "scoring"},
            "tags": {
                "log": "submission/2024-year",
                "entries": "3",
                "late": "false",
                "sizes": "[1]",
                "otel.link.0": f"{'04' * 16}:{'05' * 8}",
                "otel.scope.name": "parindex",
                "error": "a hole",
            },
            "annotations": [{"timestamp": 1_700_000_000_001_001, "value": 'parked {"reason": "hole"}'}],
        }
    ]


async def test_a_trace_reaches_zipkin_and_is_found_by_its_link(stack: Stack) -> None:
    trace = secrets.token_bytes(16)
    body = gzip.compress(_request(trace, time.time_ns()).SerializeToString())
    async with _receiver(stack.zipkin) as receiver, httpx.AsyncClient(base_url=stack.zipkin) as zipkin:
        assert (await _post(receiver, body, content_encoding="gzip")).status_code == 200
        async with asyncio.timeout(20):
            # Zipkin tells nobody when it has stored a trace
            while not (answer := await zipkin.get(f"/api/v2/trace/{trace.hex()}")).is_success:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert answer.json()[0]["tags"]["otel.link.0"] == f"{'04' * 16}:{'05' * 8}"
        query = {"annotationQuery": f"otel.link.0={'04' * 16}:{'05' * 8}", "limit": "100"}
        by_link = (await zipkin.get("/api/v2/traces", params=query)).json()
        assert trace.hex() in {spans_of_one[0]["traceId"] for spans_of_one in by_link}


async def test_what_is_no_trace_is_refused() -> None:
    async with _receiver("http://127.0.0.1:9") as receiver:
        assert (await _post(receiver, b"{}", content_type="application/json")).status_code == 415
        assert (await _post(receiver, b"\xff\xff")).status_code == 400
        assert (await _post(receiver, b"plain", content_encoding="gzip")).status_code == 400
        assert (await _post(receiver, b"", content_encoding="br")).status_code == 415
        assert (await _post(receiver, bytes(MAX_BODY + 1))).status_code == 413
        bomb = gzip.compress(bytes(MAX_BODY + 1))
        assert (await _post(receiver, bomb, content_encoding="gzip")).status_code == 413


async def test_the_exporter_is_told_to_try_again_while_zipkin_is_away() -> None:
    async with _receiver("http://127.0.0.1:9") as receiver:
        assert (await _post(receiver, _request().SerializeToString())).status_code == 503
