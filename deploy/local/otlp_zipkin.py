"""A receiver of traces: takes OTLP over HTTP (protobuf) and hands the spans to Zipkin in its JSON format, version 2."""

import argparse
import json
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import uvicorn
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # published without types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

PROTOBUF: Final = "application/x-protobuf"
MAX_BODY: Final = 8 * 1024 * 1024  # bytes, also after unpacking
# OpenTelemetry's kinds that Zipkin has; the others are spans without a kind
KINDS: Final = {
    Span.SPAN_KIND_SERVER: "SERVER",
    Span.SPAN_KIND_CLIENT: "CLIENT",
    Span.SPAN_KIND_PRODUCER: "PRODUCER",
    Span.SPAN_KIND_CONSUMER: "CONSUMER",
}


def spans(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    """The request's spans as Zipkin reads them; a resource's `service.name` names the service."""
    found = []
    for group in request.resource_spans:
        resource = _tags(group.resource.attributes)
        service = resource.pop("service.name", "unknown")
        for scope in group.scope_spans:
            found += [zipkin_span(span, service, scope.scope.name) for span in scope.spans]
    return found


def zipkin_span(span: Span, service: str, scope: str = "") -> dict[str, Any]:
    """One span: times in microseconds, events as annotations, links and everything else as tags."""
    start, end = span.start_time_unix_nano // 1000, span.end_time_unix_nano // 1000
    tags = _tags(span.attributes)
    for number, link in enumerate(span.links):
        tags[f"otel.link.{number}"] = f"{link.trace_id.hex()}:{link.span_id.hex()}"
    if scope:
        tags["otel.scope.name"] = scope
    if span.status.code == Status.STATUS_CODE_ERROR:
        tags["error"] = span.status.message or tags.get("error.type", "true")
    body: dict[str, Any] = {
        "traceId": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "name": span.name,
        "timestamp": start,
        "duration": max(end - start, 1),  # Zipkin takes 0 for unknown
        "localEndpoint": {"serviceName": service},
        "tags": tags,
    }
    if span.parent_span_id:
        body["parentId"] = span.parent_span_id.hex()
    if span.kind in KINDS:
        body["kind"] = KINDS[span.kind]
    if span.events:
        body["annotations"] = [
            {"timestamp": event.time_unix_nano // 1000, "value": _annotation(event)} for event in span.events
        ]
    return body


def _annotation(event: Span.Event) -> str:
    attributes = _tags(event.attributes)
    return f"{event.name} {json.dumps(attributes, ensure_ascii=False)}" if attributes else event.name


def _tags(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {item.key: _text(_value(item.value)) for item in attributes}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return {item.key: _value(item.value) for item in value.kvlist_value.values}
        case "bytes_value":
            return value.bytes_value.hex()
        case None:
            return None
        case name:
            return getattr(value, name)


class _Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message


def application(zipkin: str, transport: httpx.AsyncBaseTransport | None = None) -> Starlette:
    """`POST /v1/traces` and `GET /health`. It answers 503 while Zipkin cannot be reached: an exporter tries again."""
    client = httpx.AsyncClient(base_url=zipkin, timeout=10.0, trust_env=False, transport=transport)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> Any:
        async with client:
            yield

    async def traces(request: Request) -> Response:
        try:
            found = spans(await _request(request))
        except _Refused as refused:
            return PlainTextResponse(refused.message, refused.status)
        try:
            if found:
                (await client.post("/api/v2/spans", json=found)).raise_for_status()
        except httpx.HTTPError as error:
            return PlainTextResponse(f"Zipkin: {type(error).__name__}", 503)
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=PROTOBUF)

    async def health(_: Request) -> Response:
        return PlainTextResponse("ready")

    routes: list[tuple[str, Callable[[Request], Awaitable[Response]], str]] = [
        ("/v1/traces", traces, "POST"),
        ("/health", health, "GET"),
    ]
    return Starlette(routes=[Route(path, do, methods=[method]) for path, do, method in routes], lifespan=lifespan)


async def _request(request: Request) -> ExportTraceServiceRequest:
    if request.headers.get("content-type", "").partition(";")[0].strip() != PROTOBUF:
        raise _Refused(415, f"send {PROTOBUF}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise _Refused(413, f"more than {MAX_BODY} bytes")
    try:
        parsed: ExportTraceServiceRequest = ExportTraceServiceRequest.FromString(
            _unpacked(bytes(body), request.headers)
        )
    except DecodeError:
        raise _Refused(400, "not an ExportTraceServiceRequest") from None
    return parsed


def _unpacked(body: bytes, headers: Mapping[str, str]) -> bytes:
    match headers.get("content-encoding", "identity"):
        case "identity":
            return body
        case "gzip":
            unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            try:
                unpacked = unpacker.decompress(body, MAX_BODY)
            except zlib.error:
                raise _Refused(400, "not gzip") from None
            if not unpacker.eof:
                raise _Refused(413, f"more than {MAX_BODY} bytes, or cut short")
            return unpacked
        case other:
            raise _Refused(415, f"unknown content encoding {other[:40]}")


def main() -> None:
    """`python -m deploy.local.otlp_zipkin --port PORT --zipkin URL`, on the loopback address."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--zipkin", required=True, help="Zipkin's base URL")
    options = parser.parse_args()
    uvicorn.run(application(options.zipkin), host="127.0.0.1", port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
