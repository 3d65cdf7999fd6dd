"""The HTTP doors as the code has them: each service's application, its routes with their roles, its OpenAPI document.

Nothing is started: the applications are made with settings that lead nowhere.
"""

import json
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from deploy.local.home import SERVICES
from shared.issuer import Role, new_issuer
from shared.settings import Settings


class Route(NamedTuple):
    """A route of a service and who may call it; no role means that everyone may, without a token."""

    service: str
    method: str
    path: str
    roles: frozenset[Role]


@cache
def applications() -> dict[str, FastAPI]:
    """Each service's application by the service's name."""
    with TemporaryDirectory() as folder:
        return {service: _application(service, Path(folder)) for service in SERVICES}


def routes() -> list[Route]:
    """Every route of every service, by service, path and method."""
    found = [
        Route(service, method, str(context.path), frozenset(_roles(getattr(context, "dependant", None))))
        for service, app in applications().items()
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
    ]
    return sorted(found, key=lambda route: (SERVICES.index(route.service), route.path, route.method))


def openapi(service: str) -> dict[str, Any]:
    """A service's OpenAPI document; `x-roles` of an operation are the roles that may."""
    document: dict[str, Any] = json.loads(json.dumps(applications()[service].openapi()))
    for route in routes():
        operation = document["paths"].get(route.path, {}).get(route.method.lower())
        if route.service == service and operation is not None and route.roles:
            operation["x-roles"] = sorted(route.roles)
    return document


def _application(service: str, folder: Path) -> FastAPI:
    private, public = new_issuer()
    files = {
        "jwks.json": public,
        "key.json": json.dumps({"generation": "2024", "secret": "00" * 32}),
        "secret.hex": "00" * 32,
        "registers.policy": "quorum none\n",
    }
    del private  # nobody signs in here
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    settings = Settings.model_validate(
        {
            "service": service,
            "deployment": "parindex.example",
            "database_url": "postgresql+asyncpg://nobody@127.0.0.1/none",
            "kafka": "127.0.0.1:9092",
            "s3_endpoint": "http://127.0.0.1:8333",
            "s3_access_key": "none",
            "s3_secret_key": "none",
            "key_file": folder / "key.json",
            "identity_secret_file": folder / "secret.hex",
            "service_secret_file": folder / "secret.hex",
            "registers_file": folder / "registers.policy",
            "issuer": "https://issuer.parindex.example",
            "audience": "parindex",
            "jwks": str(folder / "jwks.json"),
            "port": 0,
        }
    )
    create = import_module(f"services.{service}.app").create
    app: FastAPI = create(settings)
    return app


def _roles(dependant: Any) -> Iterator[Role]:
    """The roles of the guards that a route depends on."""
    if dependant is not None:
        yield from getattr(dependant.call, "roles", ())
        for part in dependant.dependencies:
            yield from _roles(part)
