"""Who asks and what they may: bearer tokens of one configured issuer (RFC 7519, RFC 8725), roles, agency."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import jwt
from fastapi import Depends, FastAPI, Request
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import TypeAdapter, ValidationError

from shared.decider import Rejected
from shared.events import Id
from shared.issuer import Role as Role  # noqa: PLC0414 - a role is part of what this module speaks of
from shared.settings import Settings, is_url, variable

ALGORITHMS: Final = ("EdDSA", "ES256", "RS256")
LEEWAY: Final = timedelta(seconds=30)
REFRESH_PAUSE: Final = 10.0  # seconds between two fetches of the issuer's keys, at least
KEYS_AGE: Final = 600.0  # seconds after which the keys are fetched again, so that a withdrawn one stops counting
MAX_TOKEN: Final = 8 * 1024


@dataclass(frozen=True)
class Caller:
    """Who asks: an opaque actor id, the roles, and the agency that the token speaks for."""

    actor: str
    roles: frozenset[Role]
    agency: str | None

    def has(self, *roles: Role) -> bool:
        """Whether the caller has at least one of the roles."""
        return not self.roles.isdisjoint(roles)


def actor_id(secret: bytes, issuer: str, sub: str) -> str:
    """The entry's `actor`: the first 16 bytes, hex, of HMAC-SHA-256(secret, issuer ‖ 0 ‖ sub)."""
    return hmac.new(secret, f"{issuer}\0{sub}".encode(), hashlib.sha256).hexdigest()[:32]


class Keys:
    """The issuer's public keys (JWKS, RFC 7517) by key id, from a file or a URL, fetched again when one is unknown."""

    def __init__(
        self,
        source: str,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`transport` carries the fetches of a URL; ValueError if `source` is a file that holds no usable key."""
        self._source = source
        self._transport = transport
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._tried = self._read = float("-inf")  # by `clock`, in seconds
        if not is_url(source):
            self._take(Path(source).read_bytes())

    async def get(self, kid: str | None) -> jwt.PyJWK | None:
        """The key of this id; a token without id can only mean an only key."""
        if self._missing(kid):
            async with self._lock:
                if self._missing(kid) and self._clock() - self._tried >= REFRESH_PAUSE:
                    await self._refresh()
        if not self._keys:
            raise Rejected("issuer-unavailable", "the issuer's keys could not be fetched; try again")
        return self._keys.get(kid)

    def _missing(self, kid: str | None) -> bool:
        return kid not in self._keys or self._clock() - self._read > KEYS_AGE

    async def _refresh(self) -> None:
        self._tried = self._clock()
        try:
            if is_url(self._source):
                async with httpx.AsyncClient(transport=self._transport, timeout=5) as client:
                    answer = await client.get(self._source)
                    self._take(answer.raise_for_status().content)
            else:
                self._take(await asyncio.to_thread(Path(self._source).read_bytes))
        except (httpx.HTTPError, OSError, ValueError):
            return  # the keys known so far go on to count; `get` says so where there is none

    def _take(self, raw: bytes) -> None:
        try:
            found = jwt.PyJWKSet.from_dict(json.loads(raw)).keys
        except (jwt.PyJWTError, AttributeError, TypeError) as error:
            raise ValueError(f"{variable('jwks')}: {self._source} is no JWKS with a usable key") from error
        usable = {
            key.key_id: key for key in found if key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")
        }
        if not usable:
            raise ValueError(f"{variable('jwks')}: {self._source} has no key for {', '.join(ALGORITHMS)}")
        if len(usable) == 1:
            usable[None] = next(iter(usable.values()))
        else:
            usable.pop(None, None)
        self._keys = dict(usable)
        self._read = self._clock()


class Access:
    """Turns a bearer token into a caller, or refuses it: `token-invalid`, `token-expired`, `issuer-unavailable`."""

    def __init__(self, issuer: str, audience: str, secret: bytes, keys: Keys) -> None:
        self._issuer, self._audience, self._secret, self._keys = issuer, audience, secret, keys

    @classmethod
    def of(cls, settings: Settings) -> "Access":
        """As the settings say; SystemExit with one line if the issuer's key file holds no key."""
        try:
            keys = Keys(settings.jwks)
        except ValueError as error:
            raise SystemExit(f"wrong settings: {error}") from None
        return cls(settings.issuer, settings.audience, settings.identity_secret, keys)

    async def caller(self, token: str) -> Caller:
        """The caller that the token names. Expiry is by the real clock: tokens are no part of an assessment's dates."""
        claims = await self._verified(token)
        try:
            roles = [str(role) for role in claims.get("roles", []) if isinstance(role, str)]
            agency = claims.get("agency")
            if agency is not None:
                TypeAdapter(Id).validate_python(agency)
        except (TypeError, ValidationError):
            raise Rejected("token-invalid", "the token's `roles` or `agency` claim is malformed") from None
        known = frozenset(role for role in Role if role.value in roles)
        return Caller(actor_id(self._secret, self._issuer, claims["sub"]), known, agency)

    async def _verified(self, token: str) -> dict[str, Any]:
        try:
            if len(token) > MAX_TOKEN:
                raise jwt.InvalidTokenError("too long")
            header = jwt.get_unverified_header(token)
            key = await self._keys.get(header.get("kid"))
            # the algorithm is the key's own: a token cannot choose how it is checked
            if key is None or header.get("alg") != key.algorithm_name:
                raise jwt.InvalidKeyError("no such key")
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY,
                options={"require": ["iss", "aud", "exp", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise Rejected("token-expired", "the token has expired; sign in again") from None
        except jwt.PyJWTError:
            raise Rejected("token-invalid", "the token is not a valid one of the configured issuer") from None


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A JWT of the configured issuer.")


@dataclass(frozen=True)
class _Guard:
    """A dependency that lets callers pass who have one of the roles."""

    roles: frozenset[Role]

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        if credentials is None:
            raise Rejected("token-missing", "send a bearer token in the Authorization header")
        access: Access = request.app.state.access
        caller = await access.caller(credentials.credentials)
        if not caller.has(*self.roles):
            raise Rejected("role-missing", f"this needs one of the roles: {', '.join(sorted(self.roles))}")
        return caller


@cache
def require(*roles: Role) -> Callable[..., Awaitable[Caller]]:
    """The dependency that gives the caller and refuses who has none of the roles.

    `caller: Annotated[Caller, Depends(require(Role.OFFICER))]`; problems `token-missing`, `token-invalid`,
    `token-expired`, `role-missing`.
    """
    if not roles:
        raise ValueError("name the roles that may; for everyone who has signed in, all of them")
    return _Guard(frozenset(roles))


async def public() -> None:
    """The dependency that says of a route: everyone may, no token needed."""


def own_agency(caller: Caller, agency: str) -> None:
    """Refuses with `other-agency` unless the caller's token speaks for this agency."""
    if caller.agency is None or caller.agency != agency:
        raise Rejected("other-agency", "your token does not speak for this agency", field="agency")


def routes_without_guard(app: FastAPI) -> list[str]:
    """The routes, `GET /path`, that neither `require` roles nor say that they are `public`."""
    return [
        f"{' '.join(sorted(route.methods or ()))} {route.path}".strip()
        for route in iter_route_contexts(app.routes)
        if not _guarded(getattr(route, "dependant", None))
    ]


def _guarded(dependant: Any) -> bool:
    if dependant is None:
        return False
    if isinstance(dependant.call, _Guard) or dependant.call is public:
        return True
    return any(_guarded(part) for part in dependant.dependencies)
