"""The secrets of one deployment, a file each: made once, never replaced; database URLs follow the server's port."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from deploy.fault import Fault
from deploy.local.home import SERVICES, write_private
from shared.issuer import new_issuer
from shared.tlog.checkpoint import Policy
from shared.tlog.note import log_key

PRIVATE: Final = 0o600
# for containers, each with a user of its own, that see single files of a folder which only its owner can enter
MOUNTED: Final = 0o444


def make(folder: Path, *, deployment: str, generation: str, postgres: str, mode: int = PRIVATE) -> None:
    """Have all secrets in the folder. `postgres` is the server's `host:port`; `generation` the year of the log keys."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    _once(folder / "postgres-password", _password)
    password = (folder / "postgres-password").read_text()
    write_private(folder / "postgres-admin-url", f"postgresql://postgres:{password}@{postgres}/postgres")
    for service in SERVICES:
        _database_url(folder / f"{service}-owner-url", "postgresql", f"{service}_owner", postgres, service)
        _database_url(folder / f"{service}-database-url", "postgresql+asyncpg", service, postgres, service)
        _once(folder / f"{service}-secret", _password)
        _once(
            folder / f"{service}-key.json",
            lambda: json.dumps({"generation": generation, "secret": secrets.token_hex(32)}) + "\n",
        )
    _once(folder / "identity-secret", _password)
    _object_store(folder)
    if not (folder / "issuer.jwk").exists():
        private, public = new_issuer()
        write_private(folder / "jwks.json", public)
        write_private(folder / "issuer.jwk", private)
    _once(folder / "registers.policy", lambda: registers(folder, deployment).text())
    for file in folder.iterdir():
        file.chmod(mode)


def registers(folder: Path, deployment: str) -> Policy:
    """The policy that names the four registers' keys, from the generation secrets in the folder."""
    keys = {}
    for service in SERVICES:
        origin = f"{deployment}/{service}/register"
        secret = bytes.fromhex(json.loads((folder / f"{service}-key.json").read_text())["secret"])
        keys[origin] = log_key(secret, origin).verifier
    return Policy(keys)


def read(folder: Path, name: str) -> str:
    """One secret. Raises Fault if it is missing."""
    try:
        return (folder / name).read_text().strip()
    except OSError as error:
        raise Fault(f"cannot read the secret {folder / name}; `parindex reset` and `up` make new ones") from error


def _object_store(folder: Path) -> None:
    _once(folder / "s3-access-key", lambda: secrets.token_hex(10))
    _once(folder / "s3-secret-key", lambda: secrets.token_hex(20))
    keys = {"accessKey": read(folder, "s3-access-key"), "secretKey": read(folder, "s3-secret-key")}
    identities = {"identities": [{"name": "parindex", "credentials": [keys], "actions": ["Admin"]}]}
    _once(folder / "s3.json", lambda: json.dumps(identities) + "\n")
    sections = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    _once(
        folder / "security.toml",
        lambda: "".join(f'[{section}]\nkey = "{secrets.token_hex(32)}"\n' for section in sections),
    )


def _database_url(path: Path, scheme: str, user: str, server: str, database: str) -> None:
    known = urlsplit(path.read_text()).password if path.exists() else None
    write_private(path, f"{scheme}://{user}:{known or _password()}@{server}/{database}")


def _password() -> str:
    return secrets.token_hex(32)


def _once(path: Path, content: Callable[[], str]) -> None:
    if not path.exists():
        write_private(path, content())
