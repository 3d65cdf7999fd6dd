import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import APIRouter, Depends, FastAPI
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from shared.access import (
    Access,
    Caller,
    Keys,
    Role,
    actor_id,
    own_agency,
    public,
    require,
    routes_without_guard,
)
from shared.decider import Rejected
from shared.issuer import mint, new_issuer
from tests.shared.local_app import AUDIENCE, ISSUER

SECRET = bytes(32)


@pytest.fixture
def issuer(tmp_path: Path) -> Path:
    private, jwks = new_issuer()
    (tmp_path / "issuer.jwk").write_text(private)
    (tmp_path / "jwks.json").write_text(jwks)
    return tmp_path


@pytest.fixture
def access(issuer: Path) -> Access:
    return Access(ISSUER, AUDIENCE, SECRET, Keys(str(issuer / "jwks.json")))


def a_token(issuer: Path, **changed: Any) -> str:
    """A good token, but for what is changed; a claim of None is left out."""
    key = jwt.PyJWK.from_json((issuer / "issuer.jwk").read_text())
    now = datetime.now(UTC)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "exp": now + timedelta(hours=1), "roles": ["officer"]}
    claims = {name: value for name, value in (claims | changed).items() if value is not None}
    return jwt.encode(claims, key.key, algorithm="EdDSA", headers={"kid": key.key_id})


async def refusal(access: Access, token: str) -> str:
    with pytest.raises(Rejected) as refused:
        await access.caller(token)
    return refused.value.code


async def test_a_minted_token_names_the_caller_without_the_subject(issuer: Path, access: Access) -> None:
    token = mint(
        issuer / "issuer.jwk", issuer=ISSUER, audience=AUDIENCE, sub="u-1", roles=[Role.AGENCY], agency="a-001"
    )
    caller = await access.caller(token)
    assert caller == Caller(actor_id(SECRET, ISSUER, "u-1"), frozenset({Role.AGENCY}), "a-001")
    assert "u-1" not in repr(caller)


def test_the_actor_is_half_of_an_hmac_over_issuer_and_subject() -> None:
    expected = hmac.new(b"k" * 32, b"https://issuer\x00u-1", hashlib.sha256).digest()[:16].hex()
    assert actor_id(b"k" * 32, "https://issuer", "u-1") == expected


async def test_a_role_that_the_software_does_not_know_gives_nothing(issuer: Path, access: Access) -> None:
    caller = await access.caller(a_token(issuer, roles=["admin", "auditor", 7]))
    assert caller.roles == {Role.AUDITOR}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"exp": datetime.now(UTC) - timedelta(seconds=31)}, "token-expired"),
        ({"exp": None}, "token-invalid"),
        ({"sub": None}, "token-invalid"),
        ({"iss": None}, "token-invalid"),
        ({"aud": None}, "token-invalid"),
        ({"iss": "https://another.issuer"}, "token-invalid"),
        ({"aud": "another-audience"}, "token-invalid"),
        ({"nbf": datetime.now(UTC) + timedelta(hours=1)}, "token-invalid"),
        ({"roles": 7}, "token-invalid"),
        ({"agency": "A 001"}, "token-invalid"),
        ({"agency": 7}, "token-invalid"),
        ({"padding": "x" * 9000}, "token-invalid"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(
    issuer: Path, access: Access, changed: dict[str, Any], code: str
) -> None:
    assert await refusal(access, a_token(issuer, **changed)) == code


async def test_thirty_seconds_of_difference_between_clocks_are_forgiven(issuer: Path, access: Access) -> None:
    caller = await access.caller(a_token(issuer, exp=datetime.now(UTC) - timedelta(seconds=20)))
    assert caller.has(Role.OFFICER)


async def test_a_foreign_key_of_the_same_id_is_refused(issuer: Path, access: Access) -> None:
    foreign = json.loads(new_issuer()[0]) | {"kid": json.loads((issuer / "issuer.jwk").read_text())["kid"]}
    (issuer / "issuer.jwk").write_text(json.dumps(foreign))
    assert await refusal(access, a_token(issuer)) == "token-invalid"


def _unsigned(issuer: Path) -> str:
    head, body, _ = a_token(issuer).split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "==")) | {"alg": "none"}
    return f"{base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b'=').decode()}.{body}."


def _signed_with_the_public_key(issuer: Path) -> str:
    head, body, _ = a_token(issuer).split(".")
    jwk = json.loads((issuer / "jwks.json").read_text())["keys"][0]
    header = json.loads(base64.urlsafe_b64decode(head + "==")) | {"alg": "HS256"}
    signed = f"{base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b'=').decode()}.{body}"
    secret = base64.urlsafe_b64decode(jwk["x"] + "==")
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _with_another_body(issuer: Path) -> str:
    head, _, signature = a_token(issuer).split(".")
    return f"{head}.{a_token(issuer, roles=['ops', 'officer']).split('.')[1]}.{signature}"


@pytest.mark.parametrize(
    "forge", [_unsigned, _signed_with_the_public_key, _with_another_body, lambda _: "no token", lambda _: "a.b.c"]
)
async def test_a_forged_token_is_refused(issuer: Path, access: Access, forge: Callable[[Path], str]) -> None:
    assert await refusal(access, forge(issuer)) == "token-invalid"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_keys_of_the_usual_identity_providers_count(tmp_path: Path, algorithm: str) -> None:
    key: Any
    if algorithm == "RS256":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [jwk | {"kid": "k1"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "k2"}]}))
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "exp": datetime.now(UTC) + timedelta(hours=1)}
    token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "k1"})
    assert (await Access(ISSUER, AUDIENCE, SECRET, Keys(str(jwks))).caller(token)).roles == frozenset()


async def test_a_symmetric_key_in_the_set_never_counts(tmp_path: Path) -> None:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k2", "alg": "HS256"}]}))
    with pytest.raises(ValueError, match="PARINDEX_JWKS"):
        Keys(str(jwks))


class Provider:
    """An issuer's key address: answers with the keys that it has now, counts the fetches, can be down."""

    def __init__(self, jwks: str) -> None:
        self.jwks, self.fetches, self.down = jwks, 0, False

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        assert scope["path"] == "/keys"
        self.fetches += 1
        await send({"type": "http.response.start", "status": 503 if self.down else 200, "headers": []})
        await send({"type": "http.response.body", "body": b"" if self.down else self.jwks.encode()})

    def access(self, clock: Callable[[], float] = lambda: 0.0) -> Access:
        return Access(ISSUER, AUDIENCE, SECRET, Keys("https://issuer.test/keys", httpx.ASGITransport(self), clock))


async def test_the_issuers_keys_are_fetched_once_and_kept(issuer: Path) -> None:
    provider = Provider((issuer / "jwks.json").read_text())
    access = provider.access()
    for _ in range(3):
        assert (await access.caller(a_token(issuer))).has(Role.OFFICER)
    provider.down = True
    assert (await access.caller(a_token(issuer))).has(Role.OFFICER)
    assert provider.fetches == 1


async def test_unknown_keys_cannot_make_the_service_fetch_without_end(issuer: Path) -> None:
    provider = Provider(new_issuer()[1])
    access = provider.access()
    for _ in range(5):
        assert await refusal(access, a_token(issuer)) == "token-invalid"
    assert provider.fetches == 1


async def test_a_new_key_counts_once_the_pause_is_over(issuer: Path) -> None:
    provider, now = Provider(new_issuer()[1]), 100.0
    access = provider.access(lambda: now)
    assert await refusal(access, a_token(issuer)) == "token-invalid"
    provider.jwks = (issuer / "jwks.json").read_text()
    now = 109.9
    assert await refusal(access, a_token(issuer)) == "token-invalid"
    now = 110.0
    assert (await access.caller(a_token(issuer))).has(Role.OFFICER)
    assert provider.fetches == 2


async def test_a_withdrawn_key_stops_counting_within_ten_minutes(issuer: Path) -> None:
    provider, now = Provider((issuer / "jwks.json").read_text()), 0.0
    access = provider.access(lambda: now)
    assert (await access.caller(a_token(issuer))).has(Role.OFFICER)
    provider.jwks = new_issuer()[1]
    now = 600.5
    assert await refusal(access, a_token(issuer)) == "token-invalid"


async def test_an_issuer_that_cannot_be_reached_is_named_as_the_cause(issuer: Path) -> None:
    provider = Provider("")
    provider.down = True
    assert await refusal(provider.access(), a_token(issuer)) == "issuer-unavailable"


def test_an_agency_asks_for_itself_only() -> None:
    own_agency(Caller("x", frozenset({Role.AGENCY}), "a-001"), "a-001")
    for agency in ("a-002", None):
        with pytest.raises(Rejected) as refused:
            own_agency(Caller("x", frozenset({Role.AGENCY}), agency), "a-001")
        assert refused.value.code == "other-agency"


def test_a_guard_names_at_least_one_role() -> None:
    with pytest.raises(ValueError, match="roles"):
        require()


def test_a_route_without_a_guard_is_found_wherever_it_hides() -> None:
    async def answer() -> None: ...

    guarded = APIRouter(prefix="/guarded", dependencies=[Depends(require(Role.OFFICER))])
    guarded.get("/inner")(answer)
    outer = APIRouter(prefix="/outer")
    outer.include_router(guarded)
    outer.post("/forgotten")(answer)
    app = FastAPI(openapi_url=None)
    app.include_router(outer)
    app.get("/published", dependencies=[Depends(public)])(answer)
    app.mount("/files", FastAPI())
    assert routes_without_guard(app) == ["POST /outer/forgotten", "/files"]


def test_a_missing_issuer_key_is_told_with_the_way_to_mend_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="parindex up"):
        mint(tmp_path / "absent", issuer=ISSUER, audience=AUDIENCE, sub="u-1", roles=[])
