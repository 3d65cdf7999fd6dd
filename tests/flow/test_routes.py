"""Every route of every service, tried with every role and with none, as the table in `docs/routes.md` says."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Final

import httpx
import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from deploy.routes import Route, routes
from shared.access import Role

ROUTES: Final = routes()
NOWHERE: Final = "no-such-thing"
"""What every `{name}` of a path is here: a period that nobody opened, so what a role may is tried without effect."""
OWN: Final = frozenset({Role.AGENCY, Role.AGENCY_HEAD})


@pytest_asyncio.fixture(scope="module")
async def anyone() -> AsyncIterator[httpx.AsyncClient]:
    """Someone who calls with whatever token."""
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def tokens(stack: Stack) -> Mapping[Role, str]:
    """A token of each role alone."""
    return {role: stack.token(f"only-{role}", [role], NOWHERE if role in OWN else None) for role in Role}


async def answer(client: httpx.AsyncClient, stack: Stack, route: Route, token: str | None) -> tuple[int, str]:
    """Status and problem code of a call of the route; an answer without a problem has no code."""
    url = stack.services[route.service] + re.sub(r"\{[^}]+\}", NOWHERE, route.path)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    got = await client.request(route.method, url, headers=headers)
    problem = got.headers.get("content-type", "").startswith("application/problem+json")
    return got.status_code, str(got.json()["code"]) if problem else ""


def test_the_table_has_every_role_and_every_service() -> None:
    assert {role for route in ROUTES for role in route.roles} >= set(Role) - {Role.OPS}
    assert {route.service for route in ROUTES} == {"submission", "appraisal", "survey", "scoring"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.service} {route.method} {route.path}")
async def test_a_route_lets_in_whom_the_table_names_and_nobody_else(
    stack: Stack, anyone: httpx.AsyncClient, tokens: Mapping[Role, str], route: Route
) -> None:
    told = {role: await answer(anyone, stack, route, token) for role, token in tokens.items()}
    nobody = await answer(anyone, stack, route, None)
    if not route.roles:
        assert nobody == told[Role.OPS]
        assert {code for _, code in told.values()}.isdisjoint({"token-missing", "token-invalid", "role-missing"})
        return
    assert nobody == (401, "token-missing")
    refused = {role for role, got in told.items() if got == (403, "role-missing")}
    assert refused == set(Role) - route.roles
    let_in = {code for role, (_, code) in told.items() if role in route.roles}
    assert let_in.isdisjoint({"not-found", "method-not-allowed", "internal", "token-invalid"})


async def test_a_token_that_is_none_is_refused_on_every_guarded_route(stack: Stack, anyone: httpx.AsyncClient) -> None:
    told = {route: await answer(anyone, stack, route, "no.such.token") for route in ROUTES if route.roles}
    assert set(told.values()) == {(401, "token-invalid")}
