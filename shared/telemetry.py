"""What a running service tells its operators: traces, metrics and log lines, and every name that they use."""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, Counter, Gauge, Histogram, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.settings import Settings

# Spans. A request's span is named by its method and route, `POST /self-assessments/{agency}`.
SPAN_APPEND: Final = "ledger append"
SPAN_RELAY: Final = "relay send"
SPAN_APPLY: Final = "follower apply"
SPAN_INTAKE: Final = "intake process"
SPAN_INDEX: Final = "index compute"
SPAN_ARCHIVE: Final = "archive write"

# Attributes. The first are OpenTelemetry's semantic conventions; no attribute holds data of an entry.
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_VERSION: Final = "network.protocol.version"
URL_SCHEME: Final = "url.scheme"
ERROR_TYPE: Final = "error.type"
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION: Final = "messaging.operation.type"
MESSAGING_TOPIC: Final = "messaging.destination.name"
MESSAGING_PARTITION: Final = "messaging.destination.partition.id"
MESSAGING_COUNT: Final = "messaging.batch.message_count"
LOG: Final = "parindex.log"
STREAM: Final = "parindex.stream"
POSITION: Final = "parindex.position"
SIZE: Final = "parindex.size"
COUNT: Final = "parindex.entries"
COMMANDS: Final = "parindex.commands"
PROBLEM: Final = "parindex.problem"

# Metrics. Times are seconds; an instant is seconds since 1970, its age is `time() - metric`.
_LATENCY = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5, 10)
REQUESTS: Final = Counter("parindex_requests", "HTTP requests answered", ("method", "route", "status"))
REQUEST_SECONDS: Final = Histogram(
    "parindex_request_seconds", "time to answer an HTTP request", ("method", "route"), buckets=_LATENCY
)
REFUSED: Final = Counter("parindex_refused", "requests refused, by problem code", ("code",))
APPENDED: Final = Counter("parindex_entries_appended", "entries appended to the ledger", ("service",))
APPEND_COMMANDS: Final = Histogram(
    "parindex_append_commands",
    "commands in one transaction of the appender",
    ("service",),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
RELAYED: Final = Counter("parindex_entries_relayed", "entries sent to the topic", ("log",))
APPLIED: Final = Counter("parindex_entries_applied", "entries of a followed log applied", ("log",))
LAG: Final = Gauge("parindex_follower_lag_records", "records of a partition not yet applied", ("topic", "partition"))
PARKED: Final = Gauge("parindex_log_parked", "1 while a followed log is parked", ("log",))
STOPPED: Final = Gauge(
    "parindex_log_stopped", "1 once a followed log is stopped: a fork or a false checkpoint", ("log",)
)
CHECKPOINT_TIME: Final = Gauge("parindex_checkpoint_timestamp_seconds", "when a checkpoint was last signed", ("log",))
ARCHIVE_TIME: Final = Gauge("parindex_archive_timestamp_seconds", "when a log was last archived whole", ("log",))

UNMATCHED: Final = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ids = RandomIdGenerator()
_w3c = TraceContextTextMapPropagator()

EXPOSITION_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


def exposition() -> bytes:
    """All metrics of the process in Prometheus' text format."""
    return generate_latest()


def appended(service: str, entries: int, commands: int) -> None:
    """One transaction of the appender stands: so many entries from so many commands."""
    APPENDED.labels(service).inc(entries)
    APPEND_COMMANDS.labels(service).observe(commands)


def refused(code: str) -> None:
    """A request was refused with this problem code; counted, and named on the current span."""
    REFUSED.labels(code).inc()
    trace.get_current_span().set_attribute(PROBLEM, code)


def setup(settings: Settings) -> TracerProvider:
    """The process's tracer provider, made at the first call: a process is one service.

    Spans go by OTLP over HTTP to `otlp_endpoint`, or nowhere without one.
    """
    current = trace.get_tracer_provider()
    if isinstance(current, TracerProvider):
        return current
    provider = TracerProvider(
        resource=Resource.create({"service.name": settings.service, "service.namespace": settings.deployment}),
        sampler=ParentBased(TraceIdRatioBased(settings.trace_ratio)),
    )
    if settings.otlp_endpoint:
        exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint}/v1/traces", timeout=2)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    return provider


def tracer() -> Tracer:
    """The tracer of all spans."""
    return trace.get_tracer("parindex")


def current_traceparent() -> str | None:
    """The current span as a W3C `traceparent`; None outside of a trace."""
    return _traceparent(trace.get_current_span().get_span_context())


def _traceparent(context: SpanContext) -> str | None:
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def context_of(traceparent: str | None) -> Context:
    """The context whose current span is the remote one; an empty context for None or a malformed text."""
    return _w3c.extract({"traceparent": traceparent} if traceparent else {}, context=Context())


def _remote(traceparent: str | None) -> SpanContext | None:
    """The sampled remote span; None, at little cost, if there is none or it is not sampled."""
    if not traceparent or traceparent[-1] in "02468ace":  # the last bit of the flags says whether it is sampled
        return None
    context = trace.get_current_span(context_of(traceparent)).get_span_context()
    return context if context.is_valid and context.trace_flags.sampled else None


@contextmanager
def span(
    name: str, attributes: Mapping[str, AttributeValue] | None = None, kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[Span]:
    """A child of the current span; an exception marks it by type alone, since texts of exceptions quote data."""
    with tracer().start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield made
        except Exception as error:
            _failed(made, type(error).__name__)
            raise


@contextmanager
def span_from(
    name: str,
    traceparent: str | None,
    kind: SpanKind = SpanKind.CONSUMER,
    attributes: Mapping[str, AttributeValue] | None = None,
    links: Iterable[str | None] = (),
) -> Iterator[Span]:
    """A span whose parent is the one that a stored `traceparent` names, with links to others.

    Without a sampled parent it is a new trace that links to them; with no sampled link either, no span is made.
    """
    parent = _remote(traceparent)
    remote = [Link(context) for context in map(_remote, dict.fromkeys(links)) if context is not None]
    if parent is None and not remote:
        yield trace.INVALID_SPAN
        return
    start = Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context())
    with tracer().start_as_current_span(
        name,
        context=start,
        kind=kind,
        attributes=attributes,
        links=remote,
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except Exception as error:
            _failed(made, type(error).__name__)
            raise


def _failed(made: Span, kind: str) -> None:
    made.set_attribute(ERROR_TYPE, kind)
    made.set_status(StatusCode.ERROR)


class ServerSpans:
    """ASGI middleware: a server span and the metrics of each request.

    A new trace starts here; a client's own `traceparent` becomes a link. Names and attributes hold the route's
    template, never the path, the query, a header or the body. Requests on `untraced` templates get no span. The answer
    bears the span as `traceresponse` (W3C Trace Context, level 2).
    """

    def __init__(self, app: ASGIApp, route_of: Callable[[Scope], str | None], untraced: Sequence[str] = ()) -> None:
        self._app = app
        self._route_of = route_of
        self._untraced = tuple(compile_path(template)[0] for template in untraced)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        traced = not any(path.match(scope["path"]) for path in self._untraced)
        made = self._start(method, scope) if traced else _silent()
        started, status = perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if traced:
                    MutableHeaders(scope=message)["traceresponse"] = _traceparent(made.get_span_context()) or ""
            await send(message)

        with trace.use_span(made, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                await self._app(scope, receive, answer)
            finally:
                route = self._route_of(scope) or UNMATCHED
                REQUESTS.labels(method, route, status).inc()
                REQUEST_SECONDS.labels(method, route).observe(perf_counter() - started)
                made.update_name(f"{method} {route}")
                made.set_attributes({HTTP_ROUTE: route, HTTP_STATUS: status})
                if status >= 500:
                    _failed(made, str(status))

    @staticmethod
    def _start(method: str, scope: Scope) -> Span:
        client = _remote(Headers(scope=scope).get("traceparent"))
        return tracer().start_span(
            method,
            context=Context(),
            kind=SpanKind.SERVER,
            attributes={HTTP_METHOD: method, URL_SCHEME: scope["scheme"], HTTP_VERSION: scope["http_version"]},
            links=[] if client is None else [Link(client)],
        )


def _silent() -> Span:
    """A span that is not sampled and so silences all spans inside it."""
    context = SpanContext(_ids.generate_trace_id(), _ids.generate_span_id(), is_remote=False, trace_flags=TraceFlags(0))
    return NonRecordingSpan(context)


class JsonLines(logging.Formatter):
    """A log record as one line of JSON with the ids of its trace.

    An exception is told by its type and the places that it passed. Its text is left out, since such texts quote data;
    only the operating system's own errors show theirs.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line |= {"trace": f"{context.trace_id:032x}", "span": f"{context.span_id:016x}"}
        left_out = getattr(record, "left_out", 0)
        if left_out:
            line["left_out"] = left_out
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _told(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def _told(error: BaseException) -> list[dict[str, Any]]:
    """The exception and what caused it, the outermost first."""
    chain: list[dict[str, Any]] = []
    seen: BaseException | None = error
    while seen is not None and len(chain) < 5:
        frames = traceback.extract_tb(seen.__traceback__)[-20:]
        told: dict[str, Any] = {
            "type": f"{type(seen).__module__}.{type(seen).__qualname__}",
            "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        }
        if isinstance(seen, OSError) and seen.strerror:
            told["text"] = seen.strerror
        chain.append(told)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return chain


class Moderation(logging.Filter):
    """Lets `lines` records of each noisy library through in `seconds`; the next one tells how many were left out.

    An outage of the broker makes its client repeat itself hundreds of times. It filters records of child loggers too,
    so it belongs on a handler.
    """

    def __init__(
        self,
        libraries: Sequence[str] = ("aiokafka", "faust", "mode", "opentelemetry"),
        lines: int = 10,
        seconds: float = 30,
    ) -> None:
        super().__init__()
        self._libraries, self._lines, self._seconds = frozenset(libraries), lines, seconds
        self._windows: dict[str, tuple[float, int]] = {}  # library -> when its window began, records in it

    def filter(self, record: logging.LogRecord) -> bool:
        library = record.name.partition(".")[0]
        if library not in self._libraries:
            return True
        began, count = self._windows.get(library, (float("-inf"), 0))
        if record.created - began >= self._seconds:
            record.left_out = max(0, count - self._lines)
            began, count = record.created, 0
        self._windows[library] = (began, count + 1)
        return count < self._lines


def logging_setup(settings: Settings) -> None:
    """All log lines of the process as JSON on standard error, from level INFO; libraries from WARNING.

    The server's access log is off: it would write paths and queries. Requests are seen in traces and metrics.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(settings.service))
    handler.addFilter(Moderation())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"
    for name in ("aiokafka", "faust", "mode", "opentelemetry", "httpx", "httpcore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


def flush() -> None:
    """Sends the spans that are still here; waits two seconds at most."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(2000)
