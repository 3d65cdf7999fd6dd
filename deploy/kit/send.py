"""Gửi toàn bộ bản tự đánh giá qua Kafka, theo dõi kết quả / send a whole self-assessment by Kafka, follow its fate.

    python send.py            declare, upload, explain, have the head approve, submit, follow
    python send.py --follow   only show how it stands

Needs Python 3.11, `aiokafka` and `httpx`. What is sent stands in `self-assessment.csv`; where, in `endpoints.env`; with
which tokens, in `credentials/`. Exit code 0: submitted; 1: something was refused or is missing, each with its code.
"""

import asyncio
import csv
import hashlib
import json
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

HERE = Path(__file__).resolve().parent
TO = dict(line.split("=", 1) for line in (HERE / "endpoints.env").read_text(encoding="utf-8").split())
PERIOD = {"period": TO["PERIOD"]}
MINE = f"/periods/{TO['PERIOD']}/agencies/{TO['AGENCY']}"
NOT_APPLICABLE = ("không áp dụng", "not applicable", "n/a")
MEDIA_TYPES = {
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}
PATIENCE = 60  # seconds until a receipt must be there


class Wire:
    """The agency's two topics: a request goes out, exactly one receipt comes back."""

    def __init__(self, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer) -> None:
        self.producer, self.consumer = producer, consumer
        self.refused = 0

    async def ask(self, kind: str, **data: Any) -> dict[str, Any]:
        """Send one request as a CloudEvent in binary mode; its receipt. The same id again would change nothing."""
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(uuid.uuid4()),
            "ce_source": f"urn:agency:{TO['AGENCY']}",
            "ce_type": f"parindex.intake.{kind}.v1",
            "content-type": "application/json",
        }
        sent = await self.producer.send_and_wait(
            TO["INTAKE_TOPIC"],
            json.dumps({**PERIOD, **data}, ensure_ascii=False).encode(),
            headers=[(name, text.encode()) for name, text in headers.items()],
        )
        async with asyncio.timeout(PATIENCE):
            while True:
                record = await self.consumer.getone()
                if int(dict(record.headers)["ce_intakeoffset"]) == sent.offset:
                    break
        receipt: dict[str, Any] = json.loads(record.value or b"{}")
        about = data.get("item") or data.get("name") or ""
        if receipt["status"] == "refused":
            self.refused += 1
            told = f"{receipt['code']} ({receipt.get('field', '')}): {receipt.get('message', '')}"
        else:
            told = "".join(f"{receipt[key]} " for key in ("log", "position") if key in receipt)
        say(f"{kind:22} {about:12} {receipt['status']:9} {told}")
        return receipt


def say(text: str) -> None:
    """One line for who watches."""
    sys.stdout.write(text + "\n")


def token(name: str) -> dict[str, str]:
    """The header that says who asks."""
    return {"Authorization": f"Bearer {(HERE / 'credentials' / f'{name}.token').read_text(encoding='utf-8').strip()}"}


async def call(http: httpx.AsyncClient, who: str, method: str, url: str, body: Any = None) -> Any:
    """The JSON that a service answers; a refusal ends the program with its code."""
    answer = await http.request(method, url, json=body, headers=token(who))
    if answer.is_error:
        problem = answer.json()
        raise SystemExit(f"{method} {url}: {problem['code']}: {problem.get('detail', '')}")
    return answer.json()


async def declare(wire: Wire, rows: list[dict[str, str]]) -> None:
    """Declare each item, or claim that it does not apply."""
    for row in rows:
        if row["data"].lower() in NOT_APPLICABLE:
            await wire.ask("claim-not-applicable", item=row["code"], reason=row["explanation"])
        else:
            await wire.ask("declare", item=row["code"], data=row["data"])


async def prove(wire: Wire, http: httpx.AsyncClient, rows: list[dict[str, str]]) -> None:
    """Upload each file once, for all items that it serves, and explain what has an explanation."""
    files = dict.fromkeys(name for row in rows for name in names(row))
    for name in files:
        content = (HERE / name).read_bytes()
        file = {
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "media_type": MEDIA_TYPES[Path(name).suffix.lower()],
        }
        receipt = await wire.ask("request-upload", **file)
        if receipt["status"] != "place":
            continue
        place = receipt["upload"]
        put = await http.put(place["url"], content=content, headers=place["headers"])
        put.raise_for_status()
        served = [row["code"] for row in rows if name in names(row)]
        await wire.ask("confirm-evidence", upload=place["upload"], name=Path(name).name, items=served, **file)
    for row in rows:
        if row["explanation"] and row["data"].lower() not in NOT_APPLICABLE:
            await wire.ask("explain", item=row["code"], text=row["explanation"])


def names(row: dict[str, str]) -> list[str]:
    """The evidence files of a row."""
    return [name.strip() for name in row["evidence"].split(";") if name.strip()]


async def send(http: httpx.AsyncClient, rows: list[dict[str, str]]) -> bool:
    """The whole way, from the first item to the submission; False if something was refused or is missing."""
    producer = AIOKafkaProducer(bootstrap_servers=TO["KAFKA"], acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(bootstrap_servers=TO["KAFKA"], enable_auto_commit=False, auto_offset_reset="latest")
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as both:
        both.create_task(producer.start())
        both.create_task(consumer.start())
    try:
        async with asyncio.timeout(PATIENCE):  # the topics are made soon after the period is opened
            while not {TO["INTAKE_TOPIC"], TO["RECEIPTS_TOPIC"]} <= await consumer.topics():  # noqa: ASYNC110 - no event comes
                await asyncio.sleep(0.5)
        receipts = TopicPartition(TO["RECEIPTS_TOPIC"], 0)
        consumer.assign([receipts])
        await consumer.seek_to_end(receipts)
        wire = Wire(producer, consumer)
        await declare(wire, rows)
        await prove(wire, http, rows)
        stands = await call(http, "agency", "GET", TO["SUBMISSION"] + MINE)
        for fault in stands["faults"]:
            say(f"còn thiếu / missing     {fault['item']:12} {fault['code']}: {fault['detail']}")
        if wire.refused or stands["faults"]:
            return False
        # a person does this, with a token of their own: it is never taken from Kafka
        await call(http, "agency-head", "POST", f"{TO['SUBMISSION']}{MINE}/approval", {"digest": stands["digest"]})
        say(f"phê duyệt / approved   {stands['digest']}")
        return bool((await wire.ask("submit", digest=stands["digest"]))["status"] == "accepted")
    finally:
        await producer.stop()
        await consumer.stop()


async def follow(http: httpx.AsyncClient) -> bool:
    """How it stands: submitted or not, what is asked, the card as far as the agency sees it."""
    stands = await call(http, "agency", "GET", TO["SUBMISSION"] + MINE)
    say(f"tổng điểm tự đánh giá / self-assessed total: {stands['total']}")
    say(f"đã nộp / submitted: {stands['submitted'] or 'chưa / no'}")
    for fault in stands["faults"]:
        say(f"còn thiếu / missing: {fault['item']} {fault['code']}")
    asked = await call(http, "agency", "GET", f"{TO['APPRAISAL']}{MINE}/explanation-requests")
    for request in asked["requests"]:
        if not request["settled"]:
            say(f"yêu cầu giải trình / asked: {request['item']} before {request['until']}: {request['question']}")
    card = (await call(http, "agency", "GET", f"{TO['SCORING']}{MINE}/card"))["card"]
    total = card.get("total", "chưa công bố / hidden")
    say(f"phiếu điểm / card: self-assessed {card.get('self_assessed')}, total {total}")
    return stands["submitted"] is not None


async def main() -> int:
    """Send, unless only asked to follow."""
    with (HERE / "self-assessment.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    async with httpx.AsyncClient(timeout=60) as http:
        sent = "--follow" in sys.argv[1:] or await send(http, rows)
        return 0 if await follow(http) and sent else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
