"""The local issuer: the roles that a token may name, and tokens signed with a key of one's own (RFC 7515, RFC 7519)."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm


class Role(StrEnum):
    """What kind of work a person or system does; which agency, field or seat is said by the logs."""

    OFFICER = "officer"
    AGENCY = "agency"
    AGENCY_HEAD = "agency-head"
    APPRAISER = "appraiser"
    MONITOR = "monitor"
    COUNCIL = "council"
    COUNCIL_CHAIR = "council-chair"
    APPROVER = "approver"
    SURVEY_OFFICER = "survey-officer"
    AUDITOR = "auditor"
    OPS = "ops"


def new_issuer() -> tuple[str, str]:
    """Keys of a local issuer: the private JWK for `mint`, and the JWKS for the services, both JSON."""
    key = Ed25519PrivateKey.generate()
    private = OKPAlgorithm.to_jwk(key, as_dict=True)
    public_part = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    named = {"kid": hashlib.sha256(public_part["x"].encode()).hexdigest()[:16], "alg": "EdDSA", "use": "sig"}
    return json.dumps(private | named), json.dumps({"keys": [public_part | named]})


def mint(
    key_file: Path,
    *,
    issuer: str,
    audience: str,
    sub: str,
    roles: Iterable[Role],
    agency: str | None = None,
    ttl: timedelta = timedelta(hours=8),
) -> str:
    """A token of the local issuer whose private JWK is in `key_file`; ValueError if there is none."""
    try:
        key = jwt.PyJWK.from_json(key_file.read_text())
    except (OSError, ValueError, jwt.PyJWTError):
        raise ValueError(f"{key_file} holds no private JWK; `parindex up` makes one") from None
    now = datetime.now(UTC)
    claims: dict[str, Any] = {"iss": issuer, "aud": audience, "sub": sub, "iat": now, "exp": now + ttl}
    claims |= {"roles": sorted(roles)} | ({} if agency is None else {"agency": agency})
    headers = {"kid": key.key_id} if key.key_id else None
    return jwt.encode(claims, key.key, algorithm=key.algorithm_name, headers=headers)
