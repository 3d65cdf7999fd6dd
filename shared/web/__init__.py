"""The HTTP dialect of all services: problems (RFC 9457), idempotency keys, versions as ETags, health, OpenAPI."""

import hashlib
import json
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Annotated, Any, Final, TypedDict

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, JsonValue
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import access, telemetry
from shared.decider import Rejected
from shared.ledger import Accepted
from shared.settings import Settings, load
from shared.web.problems import PROBLEM_JSON, PROBLEMS, Problem, ProblemBody, answer_refusals, problem

__all__ = [
    "MAX_BODY",
    "PROBLEMS",
    "AcceptedBody",
    "Body",
    "Problem",
    "Progress",
    "Ready",
    "Terms",
    "accepted",
    "create_app",
    "etag",
    "example",
    "serve",
    "terms",
]

MAX_BODY: Final = 1024 * 1024

_logger = logging.getLogger(__name__)


class Body(BaseModel):
    """A request's body; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def example(**fields: Any) -> dict[str, JsonValue]:
    """What a body's class takes as `json_schema_extra`: one example of it, which the OpenAPI document shows."""
    return {"examples": [fields]}


class AcceptedBody(BaseModel):
    """The answer to a command: the first entry's place and id, the stream's version; `repeated` if it was known."""

    log: str
    position: int
    entry: str | None
    version: int
    repeated: bool


class Threshold:
    """ASGI middleware: no body above 1 MiB, declared or chunked; no exception gets out; safe headers on each answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, began, size = Request(scope), False, 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise HTTPException(413, f"a body is at most {MAX_BODY} bytes")
            return message

        async def answer(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                headers = MutableHeaders(scope=message)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isascii() and declared.isdigit() and int(declared) > MAX_BODY:
            # the connection stays: were it closed while the body is on its way, the client would never read this answer
            await problem(request, "body-too-large", f"a body is at most {MAX_BODY} bytes")(scope, receive, answer)
            return
        try:
            await self._app(scope, limited, answer)
        except Exception:
            _logger.exception("a request failed")
            if began:
                raise
            await problem(request, "internal", "the request failed; repeat it with the same key")(
                scope, receive, answer
            )


def request_key(request: Request) -> str:
    """The request's Idempotency-Key, or a fresh one if it bears none; Rejected `idempotency-key-invalid`."""
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return str(uuid.uuid4())
    if len(keys) > 1 or not re.fullmatch(r"[\x20-\x7e]{1,128}", keys[0]) or not keys[0].strip():
        raise Rejected(
            "idempotency-key-invalid", "send one key of 1 to 128 printable ASCII characters", "Idempotency-Key"
        )
    return keys[0]


async def request_digest(request: Request) -> bytes:
    """SHA-256 over method, path with query, and the body; a JSON body counts by its content, not its spelling."""
    body = await request.body()
    with suppress(ValueError, RecursionError):  # no JSON: the bytes as they came
        body = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return hashlib.sha256(b"\n".join((request.method.encode(), target.encode(), body))).digest()


def etag(version: int) -> str:
    """A stream's version as a strong entity tag, `"v12"`."""
    return f'"v{version}"'


def if_match(request: Request) -> int | None:
    """The version that the request expects, None without If-Match; Rejected `if-match-invalid`."""
    tags = request.headers.getlist("if-match")
    if not tags:
        return None
    found = re.fullmatch(r'"v(0|[1-9][0-9]{0,17})"', tags[0].strip())
    if found is None or len(tags) > 1:
        raise Rejected("if-match-invalid", 'send one strong entity tag as it was given, like "v12"', "If-Match")
    return int(found[1])


class Terms(TypedDict):
    """What `ledger.execute` takes from an HTTP request, besides the command: pass it as `**terms`."""

    door: str
    key: str
    digest: bytes
    traceparent: str | None
    expected_version: int | None


async def terms(
    request: Request,
    _key: Annotated[
        str | None,
        Header(alias="Idempotency-Key", description="Names this command: a repeat gets the first answer again."),
    ] = None,
    _version: Annotated[
        str | None, Header(alias="If-Match", description="Refuses the command unless the stream is at this version.")
    ] = None,
) -> Terms:
    """The dependency that gives a command's terms: `terms: Annotated[Terms, Depends(web.terms)]`."""
    return Terms(
        door="http",
        key=request_key(request),
        digest=await request_digest(request),
        traceparent=telemetry.current_traceparent(),
        expected_version=if_match(request),
    )


def accepted(result: Accepted) -> Response:
    """201 with the first entry's place and the stream's ETag; 200 for a repeat or where nothing had to be appended."""
    body = AcceptedBody(
        log=result.log,
        position=result.first,
        entry=result.entry_id,
        version=result.version,
        repeated=result.repeated,
    )
    status = 200 if result.repeated or not result.count else 201
    return JSONResponse(body.model_dump(), status, {"ETag": etag(result.version)})


Ready = Callable[[], Awaitable[Mapping[str, str | None]]]
Progress = Callable[[], Awaitable[Mapping[str, Any]]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def _own_routes(title: str, ready: Ready, progress: Progress) -> APIRouter:
    router = APIRouter(dependencies=[Depends(access.public)])

    @router.get("/health/live", tags=["health"])
    async def live() -> dict[str, bool]:
        """The process answers."""
        return {"live": True}

    @router.get("/health/ready", tags=["health"])
    async def is_ready(request: Request) -> Response:
        """200 if every part works, else 503 with a reason for each part that does not."""
        parts = await ready()
        faults = [
            {"item": part, "code": "part-not-ready", "detail": reason} for part, reason in parts.items() if reason
        ]
        if faults:
            names = ", ".join(fault["item"] for fault in faults)
            return problem(request, "not-ready", f"{title} waits for {names}", errors=faults)
        return JSONResponse({"ready": True, "parts": sorted(parts)})

    @router.get("/health/progress", tags=["health"])
    async def how_far() -> Mapping[str, Any]:
        """How far each log is: its size, and how far it is relayed, applied and archived."""
        return await progress()

    @router.get("/problems/{code}", tags=["problems"])
    async def explained(code: str, request: Request) -> dict[str, str | int]:
        """What a problem code means."""
        known: Problem | None = request.app.state.problems.get(code)
        if known is None:
            raise Rejected("not-found", "there is no problem of this code", "code")
        return {"code": code, **known._asdict()}

    @router.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        return JSONResponse(request.app.openapi())

    @router.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(telemetry.exposition(), media_type=telemetry.EXPOSITION_TYPE)

    return router


def _document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The OpenAPI document with the problem as the answer of each route to what it refuses."""
    plain = app.openapi
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}

    def whole() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = plain()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas["Problem"] = ProblemBody.model_json_schema()
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = {"description": "A problem", "content": content}
        return document

    return whole


def create_app(
    title: str,
    settings: Settings,
    *,
    lifespan: Lifespan,
    routers: Sequence[APIRouter],
    problems: Mapping[str, Problem],
    ready: Ready,
    progress: Progress,
    untraced: Sequence[str] = (),
) -> FastAPI:
    """One service's application, whole.

    `problems` are the service's own codes. `ready` gives for each part None or why it is not ready; `progress` any
    JSON; neither may hold a secret, both need no token. Requests on the route templates in `untraced` get no span.
    ValueError if a route neither requires a role nor is declared public, or a problem code is there twice.
    """
    twice = sorted(PROBLEMS.keys() & problems.keys())
    if twice:
        raise ValueError(f"problem codes that are there already: {', '.join(twice)}")
    telemetry.setup(settings)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with lifespan(app):
                yield
        finally:
            await run_in_threadpool(telemetry.flush)

    # FastAPI's own tracing would take the client's trace for ours and write paths and queries
    silent = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
    app = FastAPI(title=title, version="1", lifespan=life, openapi_url=None, telemetry=silent)  # type: ignore[arg-type]
    app.state.problems = {**PROBLEMS, **problems}
    app.state.access = access.Access.of(settings)
    for router in (_own_routes(title, ready, progress), *routers):
        app.include_router(router)
    open_routes = access.routes_without_guard(app)
    if open_routes:
        raise ValueError(f"routes without a guard: {', '.join(open_routes)}")
    answer_refusals(app)
    templates = {route.endpoint: route.path for route in iter_route_contexts(app.routes) if route.endpoint}
    app.add_middleware(Threshold)
    app.add_middleware(
        telemetry.ServerSpans,
        route_of=lambda scope: templates.get(scope["endpoint"]) if "endpoint" in scope else None,
        untraced=("/health/{part}", "/metrics", *untraced),
    )
    app.openapi = _document(app)  # type: ignore[method-assign]
    return app


def serve(create: Callable[[Settings], FastAPI]) -> None:
    """Runs one service until it is told to stop: the settings of the environment, then HTTP on `host` and `port`."""
    settings = load()
    telemetry.logging_setup(settings)
    uvicorn.run(
        create(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
