"""An agency's system declares, uploads and submits by Kafka, and gets one receipt for each message."""

import hashlib
import json
import secrets
import uuid
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest_asyncio

from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from tests.flow.office import SMALL, Office, rubric, until
from tests.flow.wire import Wire

PDF = b"%PDF-1.4 bao cao nam"


class Connected(NamedTuple):
    """A period with two agencies, and the wire of the first one."""

    office: Office
    agency: str
    other: str
    wire: Wire

    async def position(self) -> int:
        """The size of the period's submission log."""
        head = await self.office.by(Role.OFFICER)
        answer = await head.get("submission", self.office.here())
        return int(answer["heads"][f"submission/{self.office.period}"]["size"])

    async def stands(self, agency: str) -> dict[str, Any]:
        """An agency's self-assessment."""
        clerk = await self.office.by(Role.AGENCY, agency)
        answer: dict[str, Any] = await clerk.get("submission", self.office.here(agency))
        return answer

    async def data(self, agency: str) -> dict[str, str | None]:
        """What the agency stands by, item by item."""
        return {line["item"]: line["data"] for line in (await self.stands(agency))["items"]}


@pytest_asyncio.fixture
async def connected(stack: Stack) -> AsyncIterator[Connected]:
    """A fresh period whose first agency is connected to the broker."""
    names = [f"wired-{secrets.token_hex(4)}", "north"]
    agencies = [Agency(id=name, name=Label(vi=name)) for name in names]
    async with await Office.plan(stack, "intake", ("central", rubric(SMALL), agencies)) as office:
        await office.open()
        async with Wire.connect(stack.kafka, names[0]) as wire:
            yield Connected(office, names[0], names[1], wire)


def event(office: Office, name: str, data: dict[str, Any], kind: str = "declare") -> dict[str, Any]:
    """The same request as a CloudEvent in structured mode."""
    return {
        "specversion": "1.0",
        "id": name,
        "source": "urn:agency:records",
        "type": f"parindex.intake.{kind}.v1",
        "datacontenttype": "application/json",
        "data": {"period": office.period, **data},
    }


async def test_a_whole_self_assessment_comes_by_kafka_and_only_the_head_approves_in_person(
    connected: Connected,
) -> None:
    office, agency, _, wire = connected
    period = {"period": office.period}
    for item, value in (("1.1", "27,5"), ("1.2", "92,57%")):
        receipt = await wire.ask("declare", {**period, "item": item, "data": value})
        assert (receipt["status"], receipt["log"]) == ("accepted", f"submission/{office.period}")
    told = {"size": len(PDF), "sha256": hashlib.sha256(PDF).hexdigest(), "media_type": "application/pdf"}
    place = (await wire.ask("request-upload", {**period, **told}))["upload"]
    confirmation = {**period, **told, "upload": place["upload"], "name": "Báo cáo.pdf", "items": ["1.1"]}
    early = await wire.ask("confirm-evidence", confirmation)
    assert (early["status"], early["code"]) == ("refused", "evidence-missing")
    await (await office.by(Role.AGENCY, agency)).upload(place["url"], place["headers"], PDF)
    assert (await wire.ask("confirm-evidence", confirmation))["status"] == "accepted"
    await wire.ask("explain", {**period, "item": "1.2", "text": "Theo hệ thống một cửa."})
    unapproved = await wire.ask("submit", period)
    assert (unapproved["status"], unapproved["code"]) == ("refused", "approval-missing")
    assert (await wire.ask("approve", {**period, "digest": "0" * 64}))["code"] == "type-unknown"
    stands = await connected.stands(agency)
    assert stands["faults"] == []
    head = await office.by(Role.AGENCY_HEAD, agency)
    await head.post("submission", office.here(agency, "/approval"), {"digest": stands["digest"]})
    receipt = await wire.ask("submit", {**period, "digest": stands["digest"]})
    assert receipt["status"] == "accepted"
    after = await connected.stands(agency)
    assert (after["total"], after["submitted"] is not None, receipt["version"]) == ("47.5", True, after["version"])
    officer = await office.by(Role.OFFICER)

    async def opened() -> bool:
        return bool((await officer.get("appraisal", office.here()))["agencies"][agency]["opened"])

    await until(opened)


async def test_a_message_that_cannot_be_understood_has_a_receipt_that_says_why(connected: Connected) -> None:
    office, wire = connected.office, connected.wire
    before = await connected.position()
    broken = await wire.send(b"{not json")
    assert (broken["status"], broken["code"], "request" in broken) == ("refused", "not-json", False)
    text = await wire.send(json.dumps(["a list"]).encode())
    assert (text["status"], text["code"], text["field"]) == ("refused", "attribute-missing", "specversion")
    half = await wire.send(b"{", [("ce_specversion", b"1.0"), ("ce_id", b"x"), ("ce_source", b"s"), ("ce_type", b"t")])
    assert (half["status"], half["code"], half["request"]) == ("refused", "type-unknown", "x")
    wrong = await wire.ask("declare", {"period": office.period, "item": "1.1", "data": "31"})
    assert (wrong["status"], wrong["code"], wrong["field"]) == ("refused", "points-above-maximum", "1.1")
    assert await connected.position() == before
    assert (await wire.ask("declare", {"period": office.period, "item": "1.1", "data": "30"}))["status"] == "accepted"


async def test_the_same_event_id_over_kafka_and_over_http_has_one_effect(connected: Connected) -> None:
    office, agency, _, wire = connected
    clerk = await office.by(Role.AGENCY, agency)
    name, data = str(uuid.uuid4()), {"item": "1.1", "data": "12,5"}
    first = await wire.ask("declare", {"period": office.period, **data}, name)
    size = await connected.position()
    [over_http] = await clerk.post("submission", "/intake", event(office, name, data))
    over_kafka = await wire.ask("declare", {"period": office.period, **data}, name)
    assert over_http == over_kafka == {**first, "repeated": True}
    [other] = await clerk.post("submission", "/intake", event(office, name, {**data, "data": "13"}))
    assert (other["status"], other["code"]) == ("refused", "idempotency-key-reused")
    batch = [event(office, str(uuid.uuid4()), {"item": "1.2", "data": "91"}), event(office, name, data), "nothing"]
    receipts = await clerk.post("submission", "/intake", batch)
    assert [receipt["status"] for receipt in receipts] == ["accepted", "accepted", "refused"]
    assert await connected.position() == size + 1
    assert await connected.data(agency) == {"1.1": "12.5", "1.2": "91"}


async def test_the_agency_is_that_of_the_topic_and_never_what_a_message_says(connected: Connected) -> None:
    office, agency, other, wire = connected
    named = await wire.ask("declare", {"period": office.period, "item": "1.1", "data": "5", "agency": other})
    assert (named["status"], named["code"], named["field"]) == ("refused", "body-invalid", "agency")
    await wire.ask("declare", {"period": office.period, "item": "1.1", "data": "5"})
    assert await connected.data(agency) == {"1.1": "5", "1.2": None}
    assert await connected.data(other) == {"1.1": None, "1.2": None}
    elsewhere = await wire.ask("declare", {"period": "no-such", "item": "1.1", "data": "5"})
    assert (elsewhere["status"], elsewhere["code"]) == ("refused", "period-unknown")
