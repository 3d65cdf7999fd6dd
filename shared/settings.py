"""The settings of one service, read from the variables `PARINDEX_*` and from the secret files that they name."""

import json
import re
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.events import Id

PREFIX = "PARINDEX_"

# settings whose value may stand in a file instead, named by the variable with `_FILE` behind it
_IN_FILES = ("database_url", "s3_access_key", "s3_secret_key")


class Generation(NamedTuple):
    """The secret that a year's log keys are derived from: its name, for example `2024`, and its 32 bytes."""

    name: str
    secret: bytes


def _database(value: str) -> str:
    if not value.startswith("postgresql+asyncpg://"):
        raise ValueError("must be postgresql+asyncpg://user:password@host:port/database")
    return value


def _brokers(value: str) -> str:
    for broker in value.split(","):
        host, _, port = broker.rpartition(":")
        if not host or not port.isascii() or not port.isdigit():
            raise ValueError("must be host:port, several joined by a comma")
    return value


def is_url(value: str) -> bool:
    """Whether the text is an http(s) URL, not a file's path."""
    return value.startswith(("http://", "https://"))


def _url(value: str) -> str:
    if not is_url(value) or not urlsplit(value).hostname:
        raise ValueError("must be a URL that starts with http:// or https://")
    return value.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _jwks(value: str) -> str:
    if is_url(value):
        host = urlsplit(value).hostname or ""
        if value.startswith("http://") and not _loopback(host):
            raise ValueError("must be https:// unless the issuer is on this machine")
    elif not Path(value).is_file():
        raise ValueError(f"there is no file {value}; give a JWKS file or an https:// URL")
    return value


def _file(value: Path) -> Path:
    if not value.is_file():
        raise ValueError(f"there is no file {value}")
    return value


Url = Annotated[str, AfterValidator(_url)]
File = Annotated[Path, AfterValidator(_file)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
_Domain = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", max_length=100)
]


class Settings(BaseSettings):
    """All settings of one service; `settings_table` prints them. Secrets never show in `repr`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True, extra="forbid")

    service: Literal["submission", "appraisal", "survey", "scoring"] = Field(
        description="which service this process is"
    )
    deployment: _Domain = Field(description="name of the deployment, the first part of every log's origin")
    database_url: Annotated[str, AfterValidator(_database)] = Field(
        repr=False, description="the service's own database, `postgresql+asyncpg://…`"
    )
    kafka: Annotated[str, AfterValidator(_brokers)] = Field(description="brokers, `host:port`, joined by a comma")
    kafka_prefix: Id = Field("parindex", description="first part of every topic's name")
    s3_endpoint: Url = Field(description="the object store's URL")
    s3_access_key: _Text = Field(repr=False, description="the object store's access key")
    s3_secret_key: _Text = Field(repr=False, description="the object store's secret key")
    s3_prefix: Id = Field("parindex", description="first part of every bucket's name")
    key_file: File = Field(description='the generation\'s secret, JSON: `{"generation": "2024", "secret": "<64 hex>"}`')
    identity_secret_file: File = Field(description="the deployment's secret for actor ids, at least 64 hex digits")
    service_secret_file: File = Field(description="the service's secret for causation ids, at least 64 hex digits")
    registers_file: File = Field(description="policy file with the verification keys of the four registers")
    issuer: _Text = Field(description="the `iss` of accepted tokens")
    audience: _Text = Field(description="the `aud` of accepted tokens")
    jwks: Annotated[str, AfterValidator(_jwks)] = Field(description="the issuer's keys: an https URL or a file (JWKS)")
    host: _Text = Field("127.0.0.1", description="address to listen on")
    port: int = Field(ge=0, le=65_535, description="port to listen on; 0 chooses a free one")
    otlp_endpoint: Url | None = Field(None, description="base URL of the trace collector (OTLP over HTTP)")
    trace_ratio: float = Field(1.0, ge=0, le=1, description="share of requests that are traced, from 0 to 1")
    checkpoint_interval: Seconds = Field(1.0, description="seconds between two checkpoints of a log at most")
    archive_interval: Seconds = Field(10.0, description="seconds between two archived checkpoints of a log")
    box_interval: Seconds = Field(10.0, description="seconds between two emptyings of the ballot boxes")
    public_url: Url | None = Field(None, description="the address that users reach this service at")

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        environment = _FileVariables().model_dump(exclude_none=True)
        for name in _IN_FILES:
            path: Path | None = environment.get(f"{name}_file")
            if path is None:
                continue
            if name in values:
                raise ValueError(f"{variable(name)} and {variable(name)}_FILE are both set; keep one")
            values[name] = _read(path, f"{variable(name)}_FILE").strip()
        return values

    @model_validator(mode="after")
    def _secrets_are_whole(self) -> Self:
        for read in ("generation", "identity_secret", "service_secret"):
            getattr(self, read)
        return self

    @cached_property
    def generation(self) -> Generation:
        """The generation whose secret gives the keys of logs opened now."""
        name, wrong = variable("key_file"), 'must hold {"generation": "<year>", "secret": "<64 hex digits>"}'
        try:
            body = json.loads(_read(self.key_file, name))
            generation, secret = TypeAdapter(Id).validate_python(body["generation"]), bytes.fromhex(body["secret"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{name} {wrong}") from None
        if len(secret) != 32:
            raise ValueError(f"{name} {wrong}")
        return Generation(generation, secret)

    @cached_property
    def identity_secret(self) -> bytes:
        """The key of actor ids, the same in all services of the deployment."""
        return _hex_secret(self.identity_secret_file, variable("identity_secret_file"))

    @cached_property
    def service_secret(self) -> bytes:
        """The key of causation ids, this service's own."""
        return _hex_secret(self.service_secret_file, variable("service_secret_file"))


class _FileVariables(BaseSettings):
    """Files that hold the value of another setting."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    database_url_file: Path | None = None
    s3_access_key_file: Path | None = None
    s3_secret_key_file: Path | None = None


def variable(name: str) -> str:
    """The environment variable of a setting: `trace_ratio` → `PARINDEX_TRACE_RATIO`."""
    return PREFIX + name.upper()


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: cannot read {path} ({type(error).__name__})") from None


def _hex_secret(path: Path, name: str) -> bytes:
    text = _read(path, name).strip()
    if not re.fullmatch(r"([0-9a-f]{2}){32,}", text):
        raise ValueError(f"{name}: {path} must hold at least 64 lower-case hex digits and nothing else")
    return bytes.fromhex(text)


def load() -> Settings:
    """The settings of this process; SystemExit with one line that names every variable at fault."""
    try:
        return Settings()
    except ValidationError as error:
        raise SystemExit("wrong settings: " + "; ".join(_fault(fault) for fault in error.errors())) from None


def _fault(fault: Any) -> str:
    message = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return str(message)
    name = variable(str(fault["loc"][0]))
    if fault["type"] == "missing":
        return f"{name} is not set"
    return f"{name}: {message[:1].lower()}{message[1:]}"


def settings_table() -> str:
    """All settings as a Markdown table, for the documentation."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else "none" if field.default is None else f"`{field.default}`"
        file = f" (or its file in `{variable(name)}_FILE`)" if name in _IN_FILES else ""
        rows.append(f"| `{variable(name)}` | {default} | {field.description}{file} |")
    return "\n".join(rows) + "\n"
