"""An agency's own system: it declares, uploads and submits by its Kafka intake topic, and reads the receipts."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.assessment import KINDS, Row
from deploy.client import Client
from deploy.fault import Fault

PREFIX: Final = "parindex"
"""First part of the topics' names."""
PATIENCE: Final = 60.0
"""Seconds that a receipt may take."""


class System:
    """One agency's system. Each request is a CloudEvent in binary mode; each has one receipt."""

    def __init__(self, agency: str, period: str, producer: Any, consumer: Any) -> None:
        self._agency, self._period = agency, period
        self._producer, self._consumer = producer, consumer
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.receipts = 0

    @classmethod
    @asynccontextmanager
    async def connect(cls, kafka: str, agency: str, period: str) -> AsyncIterator[Self]:
        """The system while it is connected to the broker. Raises Fault if the broker or the agency's topics lack."""
        producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, acks="all", linger_ms=2)
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
        try:
            await producer.start()
            await consumer.start()
            await _topics(consumer, agency)
            consumer.assign([TopicPartition(f"{PREFIX}.intake-receipts.{agency}", 0)])
            system = cls(agency, period, producer, consumer)
            reading = asyncio.create_task(system._read(), name=f"receipts of {agency}")
            try:
                yield system
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        except KafkaError as error:
            raise Fault(f"the broker does not take the messages of {agency}: {type(error).__name__}") from error
        finally:
            await producer.stop()
            await consumer.stop()

    async def declare(self, rows: list[Row], client: Client) -> None:
        """Declare every row, explain, ask for upload places, put the bytes there by HTTP, confirm."""
        await self._all([self._declaration(row) for row in rows])
        explained = [row for row in rows if row.explanation and not row.not_applicable]
        await self._all([("explain", {"item": row.code, "text": row.explanation}) for row in explained])
        for file in dict.fromkeys(file for row in rows for file in row.evidence):
            data = file.read_bytes()
            told = {
                "size": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "media_type": KINDS[file.suffix.lower()],
            }
            [receipt] = await self._all([("request-upload", told)])
            place = receipt["upload"]
            await client.upload(place["url"], place["headers"], data)
            items = [row.code for row in rows if file in row.evidence]
            await self._all(
                [("confirm-evidence", {**told, "upload": place["upload"], "name": file.name, "items": items})]
            )

    async def submit(self, digest: str) -> dict[str, Any]:
        """Submit what the head has approved; the receipt."""
        [receipt] = await self._all([("submit", {"digest": digest})])
        return receipt

    @staticmethod
    def _declaration(row: Row) -> tuple[str, dict[str, Any]]:
        if row.not_applicable:
            return "claim-not-applicable", {"item": row.code, "reason": row.explanation}
        return "declare", {"item": row.code, "data": row.data}

    async def _all(self, requests: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
        """Send requests in their order and wait for their receipts. Raises Fault for the first one refused."""
        answers = [await self._send(kind, {"period": self._period, **body}) for kind, body in requests]
        try:
            receipts = await asyncio.wait_for(asyncio.gather(*answers), PATIENCE)
        except TimeoutError:
            raise Fault(f"a message of {self._agency} has no receipt after {PATIENCE:g} s") from None
        for receipt in receipts:
            if receipt["status"] == "refused":
                raise Fault(f"{self._agency}: {receipt['code']}: {receipt.get('message', '')}")
        return receipts

    async def _send(self, kind: str, body: dict[str, Any]) -> asyncio.Future[dict[str, Any]]:
        name = str(uuid.uuid4())
        attributes = {
            "ce_specversion": "1.0",
            "ce_id": name,
            "ce_source": f"urn:{self._agency}:records",
            "ce_type": f"parindex.intake.{kind}.v1",
            "content-type": "application/json",
        }
        answer = self._waiting[name] = asyncio.get_running_loop().create_future()
        headers = [(key, value.encode()) for key, value in attributes.items()]
        value = json.dumps(body, ensure_ascii=False).encode()
        await self._producer.send(f"{PREFIX}.intake.{self._agency}", value=value, headers=headers)
        return answer

    async def _read(self) -> None:
        async for record in self._consumer:
            receipt = json.loads(record.value)
            self.receipts += 1
            answer = self._waiting.pop(str(receipt.get("request")), None)
            if answer is not None and not answer.done():
                answer.set_result(receipt)


async def _topics(consumer: Any, agency: str) -> None:
    """Wait for the agency's topics, which the submission service makes for the agencies of a new period."""
    wanted = {f"{PREFIX}.intake.{agency}", f"{PREFIX}.intake-receipts.{agency}"}
    for _ in range(int(PATIENCE * 5)):
        if wanted <= await consumer.topics():
            return
        await asyncio.sleep(0.2)
    raise Fault(f"the topics of {agency} do not come up; see `parindex logs submission`")
