"""The object store: written once, locked, replaced, uploaded to."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from minio import Minio

from shared.objects import (
    Bucket,
    Lock,
    ObjectConflict,
    ObjectLocked,
    ObjectMissing,
    Objects,
    Stat,
    StoreError,
    StoreNotWriteOnce,
    StoreUnavailable,
)
from tests.shared.conftest import S3Stack

MINUTE = timedelta(minutes=1)


def soon() -> datetime:
    return datetime.now(UTC) + MINUTE


def client(stack: S3Stack) -> Minio:
    host = stack.s3_endpoint.removeprefix("http://")
    return Minio(host, stack.s3_access_key, stack.s3_secret_key, secure=False, region="us-east-1")


async def test_what_is_put_is_read_back(objects: Objects) -> None:
    data = secrets.token_bytes(300_000)
    await objects.put("data", "a/b c/tên.bin", data)
    assert await objects.get(Bucket.DATA, "a/b c/tên.bin") == data
    assert b"".join([piece async for piece in objects.stream("data", "a/b c/tên.bin")]) == data
    assert await objects.stat("data", "a/b c/tên.bin") == Stat(300_000, "application/octet-stream")


async def test_an_empty_object_is_an_object(objects: Objects) -> None:
    await objects.put_once("proof", "empty", b"")
    assert await objects.get("proof", "empty") == b""
    assert (await objects.stat("proof", "empty")).size == 0


async def test_names_are_listed_by_prefix_in_order(objects: Objects) -> None:
    for name in ("log/tile/0/001", "log/tile/0/000.p/3", "log/checkpoint", "log/checkpoints/3", "other"):
        await objects.put("proof", name, b"x")
    assert await objects.list("proof", "log/") == [
        "log/checkpoint",
        "log/checkpoints/3",
        "log/tile/0/000.p/3",
        "log/tile/0/001",
    ]
    assert await objects.list("proof", "none/") == []


async def test_a_missing_object_is_named(objects: Objects) -> None:
    for ask in (objects.get, objects.stat):
        with pytest.raises(ObjectMissing, match="proof/nothing"):
            await ask("proof", "nothing")
    with pytest.raises(ObjectMissing, match="proof/nothing"):
        _ = [piece async for piece in objects.stream("proof", "nothing")]


async def test_an_unknown_bucket_is_refused(objects: Objects) -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        await objects.get("elsewhere", "name")


async def test_the_same_bytes_can_be_put_once_again_and_others_cannot(objects: Objects) -> None:
    await objects.put_once("proof", "tile/0/000", b"first")
    await objects.put_once("proof", "tile/0/000", b"first")
    with pytest.raises(ObjectConflict):
        await objects.put_once("proof", "tile/0/000", b"other")
    assert await objects.get("proof", "tile/0/000") == b"first"


async def test_of_many_who_put_once_exactly_one_wins(objects: Objects) -> None:
    bodies = [f"writer {number}".encode() for number in range(16)]
    answers = await asyncio.gather(
        *(objects.put_once("proof", "race", body) for body in bodies), return_exceptions=True
    )
    winners = [body for body, answer in zip(bodies, answers, strict=True) if answer is None]
    assert [await objects.get("proof", "race")] == winners
    assert sum(isinstance(answer, ObjectConflict) for answer in answers) == 15


async def test_a_replaced_object_leaves_no_older_version(objects: Objects, stack: S3Stack) -> None:
    await objects.put("proof", "log/checkpoints/1", b"kept")
    for body in (b"one", b"two", b"three"):
        await objects.put("proof", "log/checkpoint", body)
    assert await objects.get("proof", "log/checkpoint") == b"three"
    assert await objects.get("proof", "log/checkpoints/1") == b"kept"
    bucket = objects._bucket(Bucket.PROOF)
    versions = client(stack).list_objects(bucket, prefix="log/", include_version=True, recursive=True)
    assert sorted(item.object_name or "" for item in versions) == ["log/checkpoint", "log/checkpoints/1"]


async def test_a_removed_object_leaves_no_version_and_no_marker(objects: Objects, stack: S3Stack) -> None:
    for bucket in Bucket:
        await objects.put(bucket, "data/000.p/3", b"gone")
        await objects.put(bucket, "data/000.p/31", b"kept")
        await objects.remove(bucket, "data/000.p/3")
        await objects.remove(bucket, "data/000.p/3")
        with pytest.raises(ObjectMissing):
            await objects.get(bucket, "data/000.p/3")
        found = client(stack).list_objects(objects._bucket(bucket), include_version=True, recursive=True)
        assert [item.object_name for item in found] == ["data/000.p/31"]


async def test_a_lock_in_compliance_mode_forbids_removing_and_shortening(objects: Objects) -> None:
    await objects.put_once("proof", "tile/entries/000", b"for good", retain_until=soon())
    with pytest.raises(ObjectLocked):
        await objects.remove("proof", "tile/entries/000")
    with pytest.raises(ObjectLocked):
        await objects.retain("proof", "tile/entries/000", datetime.now(UTC) + timedelta(seconds=5))
    await objects.retain("proof", "tile/entries/000", soon() + MINUTE)
    await objects.put_once("proof", "tile/entries/000", b"for good", retain_until=soon())
    assert await objects.get("proof", "tile/entries/000") == b"for good"


async def test_an_object_that_was_put_without_a_lock_is_locked_when_it_is_put_again(objects: Objects) -> None:
    await objects.put_once("proof", "tile/0/000", b"hashes")
    await objects.put_once("proof", "tile/0/000", b"hashes", retain_until=soon())
    with pytest.raises(ObjectLocked):
        await objects.remove("proof", "tile/0/000")


async def test_evidence_can_be_locked_in_governance_mode(objects: Objects) -> None:
    await objects.put_once("data", "evidence/sha256/00", b"%PDF", retain_until=soon(), lock=Lock.GOVERNANCE)
    with pytest.raises(ObjectLocked):
        await objects.remove("data", "evidence/sha256/00")


async def test_an_upload_has_the_declared_length_and_happens_once(objects: Objects) -> None:
    place = objects.presign_put("inbox", "upload-1", timedelta(minutes=5), 5)
    async with httpx.AsyncClient() as http:
        assert (await http.put(place.url, content=b"123456", headers={"if-none-match": "*"})).status_code == 403
        assert (await http.put(place.url, content=b"12345")).status_code == 403
        other_place = place.url.replace("upload-1", "upload-2")
        assert (await http.put(other_place, content=b"12345", headers=dict(place.headers))).status_code == 403
        assert (await http.put(place.url, content=b"12345", headers=dict(place.headers))).status_code == 200
        assert (await http.put(place.url, content=b"54321", headers=dict(place.headers))).status_code == 412
    assert await objects.get("inbox", "upload-1") == b"12345"


async def test_a_place_expires(objects: Objects) -> None:
    place = objects.presign_put("inbox", "late", timedelta(seconds=1), 1)
    await asyncio.sleep(2.1)
    async with httpx.AsyncClient() as http:
        assert (await http.put(place.url, content=b"1", headers=dict(place.headers))).status_code == 403


async def test_uploads_expire_after_a_day(objects: Objects, stack: S3Stack) -> None:
    config = client(stack).get_bucket_lifecycle(objects._bucket(Bucket.INBOX))
    assert config is not None
    assert [rule.expiration.days for rule in config.rules if rule.expiration] == [1]


async def test_making_the_buckets_again_keeps_what_they_hold(objects: Objects) -> None:
    await objects.put("proof", "kept", b"x")
    await objects.ensure_buckets()
    assert await objects.get("proof", "kept") == b"x"


async def test_a_write_once_store_passes_the_probe_every_time_and_by_many_at_once(objects: Objects) -> None:
    await asyncio.gather(*(objects.probe() for _ in range(4)))
    await objects.probe()


async def test_a_store_without_object_locks_is_refused(stack: S3Stack) -> None:
    prefix = f"t{secrets.token_hex(6)}"
    client(stack).make_bucket(f"{prefix}-proof")
    async with Objects(stack.s3_endpoint, stack.s3_access_key, stack.s3_secret_key, prefix) as store:
        with pytest.raises(StoreNotWriteOnce, match="object lock"):
            await store.probe()


@pytest.mark.parametrize(
    ("obeys", "reason"),
    [((), "If-None-Match"), (("if-none-match",), "shortens"), (("if-none-match", "retention"), "deletes")],
)
async def test_a_store_that_only_pretends_is_refused(obeys: tuple[str, ...], reason: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        status, answer_body = "200 OK", b""
        if head.startswith("put") and "?retention" in head.split(" ")[1]:
            if "retention" in obeys:
                status, answer_body = "403 Forbidden", b"<Error><Code>AccessDenied</Code></Error>"
        elif head.startswith("put") and "if-none-match" in obeys and b"twice" in body:
            status = "412 Precondition Failed"
        elif head.startswith("get") and "?" in head and "list-type" not in head and "versions" not in head:
            answer_body = b"written once\n"
        elif head.startswith("get"):
            answer_body = b"<ListVersionsResult><Name>parindex-proof</Name></ListVersionsResult>"
        answer_head = f"HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {len(answer_body)}\r\n"
        writer.write(answer_head.encode() + b"connection: close\r\n\r\n" + answer_body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, Objects(f"http://{host}:{port}", "key", "secret") as store:
        with pytest.raises(StoreNotWriteOnce, match=reason):
            await store.probe()


async def test_a_store_that_is_away_is_unavailable_not_wrong() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    server.close()
    await server.wait_closed()
    async with Objects(f"http://{host}:{port}", "key", "secret") as store:
        results = await asyncio.gather(
            store.get("proof", "x"), store.list("proof"), store.probe(), return_exceptions=True
        )
        assert [type(result) for result in results] == [StoreUnavailable] * 3


async def test_a_wrong_key_is_refused(objects: Objects, stack: S3Stack) -> None:
    async with Objects(stack.s3_endpoint, stack.s3_access_key, "wrong", "t") as store:
        with pytest.raises(StoreError):
            await store.get("proof", "x")


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://127.0.0.1", "http://", "http://127.0.0.1/path"])
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        Objects(endpoint, "key", "secret")
