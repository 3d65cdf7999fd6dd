"""The object store: three S3 buckets, what is written once and locked, what is replaced, and places for uploads."""

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple, ParamSpec, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx
import urllib3
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.error import MinioException, S3Error
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from minio.retention import Retention

P = ParamSpec("P")
R = TypeVar("R")
Names = list[str]

REGION: Final = "us-east-1"
BINARY: Final = "application/octet-stream"
TEXT: Final = "text/plain; charset=utf-8"
ATTEMPTS: Final = 4
PAUSE: Final = 0.2  # seconds before the second attempt, doubled before each further one
CONNECTIONS: Final = 16
PROBE: Final = "probe/write-once"


class Bucket(StrEnum):
    """The buckets by what they hold; in the store they are called `<prefix>-<bucket>`."""

    PROOF = "proof"
    DATA = "data"
    INBOX = "inbox"


class Lock(StrEnum):
    """How an object is held until a date: COMPLIANCE by nobody's leave, GOVERNANCE unless a key may bypass it."""

    COMPLIANCE = "COMPLIANCE"
    GOVERNANCE = "GOVERNANCE"


class StoreError(Exception):
    """The object store refused or failed."""


class StoreUnavailable(StoreError, ConnectionError):
    """The object store did not answer, or answered that it cannot now: an outage like a lost connection."""


class StoreNotWriteOnce(StoreError):
    """The object store lets go of what was written once; the proof must not rest on it."""


class ObjectMissing(StoreError):
    """There is no object of this name."""


class ObjectConflict(StoreError):
    """There is an object of this name with other bytes."""


class ObjectLocked(StoreError):
    """A lock, or a missing right, forbids this."""


class Stat(NamedTuple):
    """An object's size in bytes and its content type."""

    size: int
    content_type: str


class Place(NamedTuple):
    """Where an upload goes: PUT to the URL with exactly these headers, which its signature covers."""

    url: str
    headers: Mapping[str, str]


class Objects:
    """The three buckets of one deployment at an S3 endpoint (`http://host:port`). Close it, or use `async with`."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str, prefix: str = "parindex") -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/"):
            raise ValueError("the object store's endpoint is http://host:port or https://host")
        # the signature covers the Host header, which leaves the scheme's own port out
        self._host = parts.netloc.removesuffix(":443" if parts.scheme == "https" else ":80")
        self._base, self._prefix = f"{parts.scheme}://{self._host}", prefix
        self._access_key, self._secret_key = access_key, secret_key
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, timeout=urllib3.Timeout(10.0), retries=False)
        self._client = Minio(
            self._host,
            access_key,
            secret_key,
            secure=parts.scheme == "https",
            region=REGION,
            http_client=self._pool,
        )
        self._http = httpx.AsyncClient(timeout=30.0, limits=httpx.Limits(max_connections=CONNECTIONS), trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        self._pool.clear()

    async def get(self, bucket: str, name: str) -> bytes:
        """The object's bytes. Raises ObjectMissing."""
        return (await self._request("GET", bucket, name)).content

    async def stat(self, bucket: str, name: str) -> Stat:
        """The object's size and content type. Raises ObjectMissing."""
        headers = (await self._request("HEAD", bucket, name)).headers
        return Stat(int(headers["content-length"]), headers.get("content-type", BINARY))

    async def stream(self, bucket: str, name: str) -> AsyncIterator[bytes]:
        """The object's bytes, piece by piece. Raises ObjectMissing."""
        try:
            async with self._http.stream("GET", self._presigned("GET", bucket, name, {})) as response:
                if response.is_error:
                    await response.aread()
                    raise _refusal(response, bucket, name)
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.TransportError as error:
            raise StoreUnavailable(f"{bucket}/{name}: {type(error).__name__}") from error

    async def put(self, bucket: str, name: str, data: bytes, content_type: str = BINARY) -> None:
        """Write an object that may change; in a bucket with versions the older ones are removed."""
        response = await self._request("PUT", bucket, name, data, {"content-type": content_type})
        if "x-amz-version-id" in response.headers:
            await self._in_thread(self._remove_versions, bucket, name, False)

    async def put_once(
        self,
        bucket: str,
        name: str,
        data: bytes,
        *,
        content_type: str = BINARY,
        retain_until: datetime | None = None,
        lock: Lock = Lock.COMPLIANCE,
    ) -> None:
        """Write an object that never changes, locked until a date if one is given.

        If it is there already with the same bytes, only the lock is set again. Raises ObjectConflict if they differ.
        """
        headers = {"content-type": content_type, "if-none-match": "*"}
        if retain_until is not None:
            headers["x-amz-object-lock-mode"] = lock
            headers["x-amz-object-lock-retain-until-date"] = _timestamp(retain_until)
        try:
            await self._request("PUT", bucket, name, data, headers)
        except ObjectConflict as conflict:
            if await self.get(bucket, name) != data:
                raise conflict from None
            if retain_until is not None:
                with suppress(ObjectLocked):  # an earlier writer has locked it for longer
                    await self.retain(bucket, name, retain_until, lock)

    async def retain(self, bucket: str, name: str, until: datetime, lock: Lock = Lock.COMPLIANCE) -> None:
        """Lock the object until a date, to the second. Raises ObjectLocked if that would shorten a lock."""
        retention = Retention(lock.value, until.astimezone(UTC).replace(microsecond=0))
        await self._in_thread(self._client.set_object_retention, self._bucket(bucket), name, retention)

    async def remove(self, bucket: str, name: str) -> None:
        """Remove the object and all of its versions; one that is not there is no error. Raises ObjectLocked."""
        await self._in_thread(self._remove_versions, bucket, name, True)

    def presign_put(self, bucket: str, name: str, expires: timedelta, size: int) -> Place:
        """A place for an upload of exactly `size` bytes, once, within a time of at most seven days."""
        headers = {"content-length": str(size), "if-none-match": "*"}
        return Place(self._presigned("PUT", bucket, name, headers, expires), headers)

    def presign_get(self, bucket: str, name: str, expires: timedelta) -> str:
        """A URL that reads the object within a time of at most seven days."""
        return self._presigned("GET", bucket, name, {}, expires)

    async def list(self, bucket: str, prefix: str = "") -> Names:
        """The names that begin with the prefix, sorted."""

        def names() -> Names:
            found = self._client.list_objects(self._bucket(bucket), prefix=prefix, recursive=True)
            return sorted(item.object_name for item in found)

        return await self._in_thread(names)

    async def ensure_buckets(self) -> None:
        """Make the buckets that are missing: proof and data with object locks, the inbox emptied after a day."""

        def ensure() -> None:
            for bucket in Bucket:
                if self._client.bucket_exists(self._bucket(bucket)):
                    continue
                try:
                    self._client.make_bucket(self._bucket(bucket), object_lock=bucket is not Bucket.INBOX)
                except S3Error as error:
                    if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                        raise
            expiry = Rule(
                ENABLED, rule_filter=Filter(prefix=""), rule_id="uploads-expire", expiration=Expiration(days=1)
            )
            self._client.set_bucket_lifecycle(self._bucket(Bucket.INBOX), LifecycleConfig([expiry]))

        await self._in_thread(ensure)

    async def probe(self) -> None:
        """Try to overwrite, delete and unlock a locked object. Raises StoreNotWriteOnce if any of it works."""
        until = datetime.now(UTC) + timedelta(minutes=5)
        try:
            await self.put_once(Bucket.PROOF, PROBE, b"written once\n", content_type=TEXT, retain_until=until)
        except (StoreUnavailable, ObjectMissing):
            raise
        except ObjectConflict:
            raise StoreNotWriteOnce("the object store has overwritten its probe") from None
        except StoreError as error:
            raise StoreNotWriteOnce(f"the object store has no object locks: {error}") from error
        with suppress(ObjectConflict):
            await self.put_once(Bucket.PROOF, PROBE, b"written twice\n", content_type=TEXT)
            raise StoreNotWriteOnce("the object store does not obey If-None-Match")
        with suppress(ObjectLocked):
            await self.retain(Bucket.PROOF, PROBE, datetime.now(UTC) + timedelta(minutes=1))
            raise StoreNotWriteOnce("the object store shortens a lock in COMPLIANCE mode")
        with suppress(ObjectLocked):
            await self.remove(Bucket.PROOF, PROBE)
            raise StoreNotWriteOnce("the object store deletes what is locked in COMPLIANCE mode")

    def _bucket(self, bucket: str) -> str:
        return f"{self._prefix}-{Bucket(bucket)}"

    def _remove_versions(self, bucket: str, name: str, latest: bool) -> None:
        # not recursive: `a/checkpoint` must not list everything under `a/checkpoints/`
        found = self._client.list_objects(self._bucket(bucket), prefix=name, include_version=True)
        for item in [item for item in found if item.object_name == name]:
            if latest or str(item.is_latest).lower() != "true":
                self._client.remove_object(self._bucket(bucket), name, version_id=item.version_id)

    async def _in_thread(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a call of the synchronous client in a thread, again if the store is unavailable."""

        async def once() -> R:
            try:
                return await asyncio.to_thread(partial(work, *args, **kwargs))
            except S3Error as error:
                raise _error(error.code or "", f"{error.bucket_name}/{error.object_name}: {error.code}") from error
            except (MinioException, urllib3.exceptions.HTTPError) as error:
                raise StoreUnavailable(f"{self._host}: {type(error).__name__}") from error

        return await _persist(once)

    async def _request(
        self, method: str, bucket: str, name: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        signed = dict(headers or {})

        async def once() -> httpx.Response:
            url = self._presigned(method, bucket, name, signed)
            try:
                response = await self._http.request(method, url, content=data, headers=signed)
            except httpx.TransportError as error:
                raise StoreUnavailable(f"{bucket}/{name}: {type(error).__name__}") from error
            if response.is_error:
                raise _refusal(response, bucket, name)
            return response

        return await _persist(once)

    def _presigned(
        self, method: str, bucket: str, name: str, headers: Mapping[str, str], expires: timedelta = timedelta(minutes=5)
    ) -> str:
        """A presigned URL (AWS Signature Version 4) that also binds headers, which the client library's cannot."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
        bound = {"host": self._host, **headers}
        names = ";".join(sorted(bound))
        path = "/" + quote(f"{self._bucket(bucket)}/{name}", safe="/~-._")
        query = urlencode(
            {
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Credential": f"{self._access_key}/{scope}",
                "X-Amz-Date": stamp,
                "X-Amz-Expires": str(int(expires.total_seconds())),
                "X-Amz-SignedHeaders": names,
            },
            quote_via=quote,
            safe="~-._",
        )
        lines = [method, path, query, *(f"{key}:{bound[key]}" for key in sorted(bound)), "", names, "UNSIGNED-PAYLOAD"]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        key = f"AWS4{self._secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256").hex()
        return f"{self._base}{path}?{query}&X-Amz-Signature={signature}"


async def _persist(once: Callable[[], Awaitable[R]]) -> R:
    """The result of the first attempt at which the store is available; the error of the last."""
    pause = PAUSE
    for _ in range(ATTEMPTS - 1):
        try:
            return await once()
        except StoreUnavailable:
            await asyncio.sleep(pause)
            pause *= 2
    return await once()


def _refusal(response: httpx.Response, bucket: str, name: str) -> StoreError:
    """The error that an answer of the store means; a HEAD request's has no body and so no code."""
    found = re.search(r"<Code>(\w+)</Code>", response.text)
    codes = {404: "NoSuchKey", 409: "ConditionalRequestConflict", 412: "PreconditionFailed", 403: "AccessDenied"}
    code = found[1] if found else codes.get(response.status_code, "")
    if not code and response.status_code >= 500:
        code = "ServiceUnavailable"
    return _error(code, f"{bucket}/{name}: {response.status_code} {code}")


def _error(code: str, message: str) -> StoreError:
    match code:
        case "NoSuchKey" | "NoSuchVersion":
            return ObjectMissing(message)
        case "PreconditionFailed":
            return ObjectConflict(message)
        case "AccessDenied":
            return ObjectLocked(message)
        case "ConditionalRequestConflict" | "OperationAborted" | "SlowDown" | "ServiceUnavailable" | "InternalError":
            return StoreUnavailable(message)
        case _:
            return StoreError(message)


def _timestamp(at: datetime) -> str:
    """An instant as S3's headers want it, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
