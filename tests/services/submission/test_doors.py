"""The doors of the submission service on the real stack: HTTP and Kafka intake."""

import asyncio
import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.submission import evidence
from shared.access import Role
from shared.bus import Publisher, Record
from shared.events import Event, canonical, encode, type_tag
from shared.events.appraisal import AppraisalStarted, ExplanationRequested
from shared.objects import ObjectMissing
from tests.services.submission.conftest import (
    Office,
    ServiceDatabase,
    Stack,
    own_settings,
    running,
    until,
)
from tests.services.submission.samples import SELF_ASSESSED

OPEN = {"self-assessment": {"due": "2033-11-30T00:00+07:00"}}
PDF = f"%PDF-1.7\nTài liệu kiểm chứng {secrets.token_hex(8)}\n".encode() * 40
HASH = hashlib.sha256(PDF).hexdigest()
DATA = {"1.1": "yes", "1.2": "large", "1.3": "4", "2.1": "2,75", "2.2": "yes"}


async def opened(office: Office, **deadlines: Any) -> None:
    answer = await office.open_period(deadlines=deadlines or OPEN)
    assert answer.status_code == 201, answer.text


async def put(place: dict[str, Any], data: bytes = PDF) -> int:
    async with httpx.AsyncClient() as client:
        named = {name: value for name, value in place["headers"].items() if name != "content-length"}
        return (await client.put(place["url"], content=data, headers=named)).status_code


async def upload(office: Office, data: bytes = PDF, size: int | None = None) -> str:
    """The id of an upload that holds the bytes."""
    body = {"size": size or len(data), "sha256": HASH, "media_type": "application/pdf"}
    place = await office.call(Role.AGENCY, "POST", f"{office.own}/uploads", body)
    assert place.status_code == 201, place.text
    assert await put(place.json(), data) == 200
    return str(place.json()["upload"])


def file(upload: str, **changes: Any) -> dict[str, Any]:
    body = {"upload": upload, "sha256": HASH, "size": len(PDF), "media_type": "application/pdf", "name": "Kế hoạch.pdf"}
    return {**body, "items": list(SELF_ASSESSED), **changes}


async def state(office: Office, role: Role = Role.AGENCY) -> dict[str, Any]:
    answer = await office.call(role, "GET", office.own)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def code(answer: httpx.Response) -> str:
    return str(answer.json()["code"])


async def test_a_self_assessment_goes_from_opening_to_submission_and_closing(office: Office) -> None:
    await opened(office)
    for item, data in DATA.items():
        answer = await office.call(Role.AGENCY, "PUT", f"{office.own}/items/{item}", {"data": data})
        assert answer.status_code == 201, answer.text
    confirmed = await office.call(Role.AGENCY, "POST", f"{office.own}/evidence", file(await upload(office)))
    assert confirmed.status_code == 201, confirmed.text
    shown = await state(office, Role.AGENCY_HEAD)
    assert (shown["version"], shown["total"], shown["faults"]) == (7, "9.75", [])
    early = await office.call(Role.AGENCY, "POST", f"{office.own}/submission", {})
    assert (early.status_code, code(early)) == (409, "approval-missing")
    approval = {"digest": shown["digest"]}
    assert (await office.call(Role.AGENCY_HEAD, "POST", f"{office.own}/approval", approval)).status_code == 201
    submitted = await office.call(Role.AGENCY, "POST", f"{office.own}/submission", approval)
    assert (submitted.status_code, submitted.headers["etag"]) == (201, '"v9"')
    period = (await office.call(Role.OFFICER, "GET", f"/periods/{office.period}", agency=None)).json()
    assert (period["submitted"], period["closed"]) == ([office.agency], False)
    own = (await office.call(Role.AGENCY, "GET", f"/periods/{office.period}")).json()
    assert (own["submitted"], own["closing"]) == (None, None)
    closing = await office.call(Role.OFFICER, "POST", f"/periods/{office.period}/closing", agency=None)
    assert (closing.status_code, code(closing)) == (409, "step-still-open")
    rubric = await office.call(Role.AGENCY, "GET", f"/periods/{office.period}/rubrics/central")
    assert rubric.json()["rubric"]["id"] == "small"
    read = await office.call(Role.APPRAISER, "GET", f"{office.own}/evidence/{HASH}", agency=None)
    assert (read.content, read.headers["content-type"]) == (PDF, "application/pdf")
    assert read.headers["content-disposition"] == "attachment; filename*=UTF-8''K%E1%BA%BF%20ho%E1%BA%A1ch.pdf"


async def test_each_refusal_has_its_code_and_appends_nothing(office: Office) -> None:
    await opened(office)
    item, good = f"{office.own}/items/1.1", {"data": "yes"}
    refusals = [
        (await office.call(Role.AGENCY, "PUT", item, good, agency=office.other), 403, "other-agency"),
        (await office.call(Role.OFFICER, "PUT", item, good), 403, "role-missing"),
        (await office.client.put(item, json=good), 401, "token-missing"),
        (await office.call(Role.AGENCY, "PUT", item, {}), 422, "body-invalid"),
        (await office.call(Role.AGENCY, "PUT", item, {"data": "yes", "agency": office.other}), 422, "body-invalid"),
        (await office.call(Role.AGENCY, "PUT", item, {"data": "maybe"}), 422, "data-invalid"),
        (await office.call(Role.AGENCY, "PUT", f"{office.own}/items/9.9", good), 404, "item-unknown"),
        (await office.call(Role.AGENCY, "PUT", f"{office.own}/items/2.3", good), 422, "item-not-self-assessed"),
        (await office.call(Role.AGENCY, "PUT", f"{office.own}/items/2.1", {"data": "9"}), 422, "points-above-maximum"),
        (
            await office.call(Role.AGENCY, "PUT", f"{office.own}/items/2.1", {"not_applicable": True}),
            422,
            "reason-missing",
        ),
        (await office.call(Role.AGENCY, "PUT", item, good, If_Match='"v3"'), 412, "stale-version"),
        (await office.call(Role.AGENCY, "PUT", item.replace(office.period, "p-never"), good), 404, "period-unknown"),
        (await office.call(Role.AGENCY, "PUT", item.replace(office.period, "register"), good), 404, "period-unknown"),
        (await office.call(Role.AGENCY, "GET", "/periods/p-never"), 404, "period-unknown"),
        (await office.call(Role.AGENCY, "GET", office.own, agency=office.other), 403, "other-agency"),
        (await office.call(Role.MONITOR, "GET", office.own, agency=None), 403, "role-missing"),
        (await office.call(Role.AGENCY, "POST", f"{office.own}/approval", {"digest": "0" * 64}), 403, "role-missing"),
        (
            await office.call(Role.AGENCY_HEAD, "POST", f"{office.own}/approval", {"digest": "0" * 64}),
            409,
            "digest-differs",
        ),
        (await office.call(Role.AGENCY, "POST", f"{office.own}/submission", {}), 409, "self-assessment-incomplete"),
        (await office.call(Role.AGENCY, "GET", f"{office.own}/evidence/{HASH}"), 404, "evidence-unknown"),
    ]
    for answer, status, expected in refusals:
        assert (answer.status_code, code(answer)) == (status, expected), answer.text
    assert (await state(office))["version"] == 0


async def test_a_repeated_key_gets_the_first_answer_and_never_another_content(office: Office) -> None:
    await opened(office)
    item = f"{office.own}/items/1.1"
    first = await office.call(Role.AGENCY, "PUT", item, {"data": "yes"}, Idempotency_Key="k")
    again = await office.call(Role.AGENCY, "PUT", item, {"data": "yes"}, Idempotency_Key="k")
    other = await office.call(Role.AGENCY, "PUT", item, {"data": "no"}, Idempotency_Key="k")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "repeated": True}
    assert (other.status_code, code(other)) == (422, "idempotency-key-reused")


async def test_a_period_that_cannot_be_opened_leaves_no_log(office: Office) -> None:
    broken = await office.open_period(deadlines=OPEN, retain_until="2020-01-01")
    assert (broken.status_code, code(broken)) == (422, "period-invalid")
    logs = (await office.client.get("/health/progress")).json()["logs"]
    assert f"submission/{office.period}" not in [each["log"] for each in logs]
    await opened(office)
    again = await office.open_period(deadlines=OPEN)
    assert (again.status_code, code(again)) == (409, "period-exists")


async def test_evidence_whose_bytes_differ_is_refused_and_nothing_is_recorded(office: Office) -> None:
    await opened(office)
    pdf = PDF + b"of this test alone"
    digest = hashlib.sha256(pdf).hexdigest()
    other, text = pdf.replace(b"PDF-1.7", b"PDF-1.8"), b"MZ" + pdf[2:]
    foreign = await office.call(
        Role.AGENCY,
        "POST",
        f"/periods/{office.period}/agencies/{office.other}/uploads",
        {"size": len(pdf), "sha256": digest, "media_type": "application/pdf"},
        agency=office.other,
    )
    empty = {"size": len(pdf), "sha256": digest, "media_type": "application/pdf"}
    place = await office.call(Role.AGENCY, "POST", f"{office.own}/uploads", empty)

    def own(upload_id: str, **changes: Any) -> dict[str, Any]:
        return file(upload_id, **{"sha256": digest, "size": len(pdf), **changes})

    cases = [
        (own(await upload(office, other)), 422, "evidence-differs"),
        (own(await upload(office, pdf), size=len(pdf) - 1), 422, "evidence-differs"),
        (own(await upload(office, text), sha256=hashlib.sha256(text).hexdigest()), 415, "evidence-kind-refused"),
        (own(place.json()["upload"]), 409, "evidence-missing"),
        (own(foreign.json()["upload"]), 404, "upload-unknown"),
        (own("made-up"), 404, "upload-unknown"),
        (own(await upload(office, pdf), items=["2.3"]), 422, "item-not-self-assessed"),
        (own(await upload(office, pdf), media_type="text/html"), 415, "evidence-kind-refused"),
    ]
    for body, status, expected in cases:
        answer = await office.call(Role.AGENCY, "POST", f"{office.own}/evidence", body)
        assert (answer.status_code, code(answer)) == (status, expected), answer.text
    assert (await state(office))["version"] == 0
    for data in (pdf, other, text):
        with pytest.raises(ObjectMissing):
            await office.store.stat("data", evidence.place(hashlib.sha256(data).hexdigest()))
    assert await put(place.json(), pdf + b"!") == 403  # a place takes exactly the size that it was given for


async def test_a_repeated_confirmation_gets_its_first_answer_after_the_inbox_has_forgotten_the_file(
    office: Office,
) -> None:
    await opened(office)
    body = file(await upload(office))
    first = await office.call(Role.AGENCY, "POST", f"{office.own}/evidence", body, Idempotency_Key="k")
    await office.store.remove("inbox", body["upload"].partition(".")[0])
    again = await office.call(Role.AGENCY, "POST", f"{office.own}/evidence", body, Idempotency_Key="k")
    assert (again.status_code, again.json()["position"]) == (200, first.json()["position"])


def event(office: Office, kind: str, number: int, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": "bhxh/quan-ly",
        "type": f"parindex.intake.{kind}.v1",
        "data": {"period": office.period, **data},
    }


def structured(event_: dict[str, Any]) -> Record:
    return Record(b"any", json.dumps(event_).encode(), [("content-type", b"application/cloudevents+json")])


def binary(event_: dict[str, Any]) -> Record:
    headers = [(f"ce_{name}", value.encode()) for name, value in event_.items() if name != "data"]
    return Record(b"any", json.dumps(event_["data"]).encode(), [*headers, ("content-type", b"application/json")])


async def send(office: Office, *records: Record) -> None:
    """What the agency's own system does, once its topics exist."""
    await office.bus.ensure_topics((), [office.agency])
    publisher = Publisher(office.bus)
    try:
        topic = office.bus.intake_topic(office.agency)
        await publisher.settled([await publisher.send(topic, record, 0) for record in records])
    finally:
        await publisher.close()


async def receipts(office: Office, count: int) -> list[dict[str, Any]]:
    """All receipts of the agency, at least so many."""
    topic = TopicPartition(office.bus.receipts_topic(office.agency), 0)
    found: list[dict[str, Any]] = []
    async with office.bus.reader() as reader:
        reader.assign([topic])
        async with asyncio.timeout(20):
            while len(found) < count:
                for records in (await reader.getmany(timeout_ms=300)).values():
                    found += [json.loads(record.value or b"") for record in records]
        for records in (await reader.getmany(timeout_ms=800)).values():
            found += [json.loads(record.value or b"") for record in records]
    return found


async def test_an_agencys_system_declares_uploads_and_submits_by_kafka(office: Office) -> None:
    await opened(office)
    declared = [event(office, "declare", number, item=item, data=DATA[item]) for number, item in enumerate(DATA)]
    asked = event(office, "request-upload", 10, size=len(PDF), sha256=HASH, media_type="application/pdf")
    await send(office, binary(declared[0]), *map(structured, [*declared[1:], asked]), Record(b"", b"no JSON", []))
    answers = await receipts(office, 7)
    assert [each["status"] for each in answers] == ["accepted"] * 5 + ["place", "refused"]
    assert answers[0] == {
        "request": "event-0",
        "status": "accepted",
        "log": f"submission/{office.period}",
        "position": 6,
        "entry": answers[0]["entry"],
        "version": 1,
        "repeated": False,
    }
    assert answers[6]["code"] == "not-json"
    assert await put(answers[5]["upload"]) == 200
    confirm = event(office, "confirm-evidence", 11, **file(answers[5]["upload"]["upload"]))
    await send(office, structured(confirm), binary(event(office, "submit", 12)))
    answers = await receipts(office, 9)
    assert [each.get("code") for each in answers[7:]] == [None, "approval-missing"]
    digest = (await state(office))["digest"]
    approved = await office.call(Role.AGENCY_HEAD, "POST", f"{office.own}/approval", {"digest": digest})
    assert approved.status_code == 201
    await send(office, binary(event(office, "submit", 13, digest=digest)))
    assert (await receipts(office, 10))[9]["status"] == "accepted"
    assert (await state(office))["submitted"] is not None


async def test_the_same_event_by_http_is_the_same_request(office: Office) -> None:
    await opened(office)
    await send(office, binary(event(office, "declare", 1, item="1.1", data="yes")))
    [first] = await receipts(office, 1)
    batch = [
        event(office, "declare", 1, item="1.1", data="yes"),
        event(office, "declare", 1, item="1.1", data="no"),
        event(office, "declare", 2, item="9.9", data="no"),
        "no event",
    ]
    answer = await office.call(Role.AGENCY, "POST", "/intake", batch)
    again, *refused = answer.json()
    assert again == {**dict.fromkeys(again), **first, "repeated": True}
    assert [each["code"] for each in refused] == ["idempotency-key-reused", "item-unknown", "attribute-missing"]
    nobody = await office.call(Role.AGENCY, "POST", "/intake", batch, agency=None)
    assert (nobody.status_code, code(nobody)) == (403, "other-agency")
    large = await office.call(Role.AGENCY, "POST", "/intake", [batch[0]] * 101)
    assert (large.status_code, code(large)) == (413, "batch-too-large")


async def test_messages_have_one_receipt_each_though_the_offset_was_lost(
    stack: Stack, database: ServiceDatabase, tmp_path: Path
) -> None:
    settings = await own_settings(stack, database, tmp_path)
    async with running(settings, tmp_path) as office:
        await opened(office)
        await send(office, *(binary(event(office, "declare", each, item="1.1", data="yes")) for each in range(5)))
        assert len(await receipts(office, 5)) == 5
    topic = TopicPartition(office.bus.intake_topic(office.agency), 0)
    name = f"{settings.kafka_prefix}-submission-intake"
    group = AIOKafkaConsumer(bootstrap_servers=settings.kafka, group_id=name, enable_auto_commit=False)
    await group.start()
    group.assign([topic])
    await group.commit({topic: 0})  # as if the crash had come between receipts and commit
    await group.stop()
    async with running(settings, tmp_path) as office:
        await send(office, binary(event(office, "declare", 5, item="1.1", data="no")))
        answers = await receipts(office, 6)
    assert [each["request"] for each in answers] == [f"event-{number}" for number in range(6)]


async def follow(database: ServiceDatabase, *events: tuple[str, Event]) -> None:
    """Put an appraisal log where the follower puts what it has applied."""
    connection = await asyncpg.connect(database.url.replace("+asyncpg", ""))
    try:
        for position, (stream, each) in enumerate(events):
            header = {"type": type_tag(each, "appraisal"), "subject": stream, "position": str(position), "version": "1"}
            await connection.execute(
                "INSERT INTO followed (log, position, header, salt, data) VALUES ($1, $2, $3, $4, $5)",
                "appraisal/2024-year",
                position,
                canonical(header),
                bytes(32),
                encode(each),
            )
        await connection.execute("INSERT INTO cursor (log, size) VALUES ($1, $2)", "appraisal/2024-year", len(events))
    finally:
        await connection.close()


async def test_the_clock_closes_the_step_and_a_request_without_an_answer(
    stack: Stack, database: ServiceDatabase, tmp_path: Path
) -> None:
    async with running(await own_settings(stack, database, tmp_path), tmp_path) as office:
        await _closes(office, database)


async def _closes(office: Office, database: ServiceDatabase) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=2)
    await opened(office, **{"self-assessment": {"due": soon.isoformat()}})
    asked = [
        ExplanationRequested(agency="a-01", item=item, until=until, reason_code="evidence")
        for item, until in (("2.1", soon), ("2.3", soon + timedelta(days=1)))
    ]
    await follow(
        database,
        ("period", AppraisalStarted(period="2024-year", of=0)),
        *(("appraisal/a-01", each) for each in asked),
    )

    async def closed() -> bool:
        return [each["state"] for each in (await state(office))["requests"]] == ["closed", "open"]

    await until(closed)
    period = (await office.call(Role.OFFICER, "GET", f"/periods/{office.period}", agency=None)).json()
    assert period["closing"]["not_submitted"] == ["a-01", "a-02"]
    late = await office.call(Role.AGENCY, "PUT", f"{office.own}/items/1.1", {"data": "yes"})
    assert (late.status_code, code(late)) == (409, "step-closed")
    again = await office.call(Role.OFFICER, "POST", f"/periods/{office.period}/closing", agency=None)
    assert (again.status_code, again.json()["entry"]) == (200, None)
    further = await office.call(
        Role.AGENCY, "POST", f"{office.own}/evidence", file(await upload(office), items=["2.3"])
    )
    assert further.status_code == 201, further.text
    words = {"text": "Đã khắc phục", "request": 2}
    answered = await office.call(Role.AGENCY, "PUT", f"{office.own}/items/2.3/explanation", words)
    assert answered.status_code == 201, answered.text
    assert [(each["state"], each["answer"]) for each in (await state(office))["requests"]] == [
        ("closed", None),
        ("answered", "Đã khắc phục"),
    ]
