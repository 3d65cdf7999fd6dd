"""An agency's own system at the broker: what it sends to its intake topic, and the receipts that answer it."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.flow.office import until

SECONDS: Final = 30.0


class Wire:
    """One agency's two topics."""

    def __init__(self, agency: str, producer: Any, consumer: Any) -> None:
        self._topic = f"parindex.intake.{agency}"
        self._producer, self._consumer = producer, consumer
        self._receipts: dict[int, dict[str, Any]] = {}

    @classmethod
    @asynccontextmanager
    async def connect(cls, kafka: str, agency: str) -> AsyncIterator["Wire"]:
        """The agency's wire, once the submission service has made its topics."""
        receipts = f"parindex.intake-receipts.{agency}"
        producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
        await producer.start()
        await consumer.start()
        try:

            async def made() -> bool:
                return bool(await consumer.topics() >= {f"parindex.intake.{agency}", receipts})

            await until(made)
            consumer.assign([TopicPartition(receipts, 0)])
            yield cls(agency, producer, consumer)
        finally:
            await producer.stop()
            await consumer.stop()

    async def ask(self, kind: str, data: dict[str, Any], name: str | None = None) -> dict[str, Any]:
        """Send one request as a CloudEvent in binary mode, with that event id or a fresh one; its receipt."""
        attributes = {
            "ce_specversion": "1.0",
            "ce_id": name or str(uuid.uuid4()),
            "ce_source": "urn:agency:records",
            "ce_type": f"parindex.intake.{kind}.v1",
            "content-type": "application/json",
        }
        headers = [(key, value.encode()) for key, value in attributes.items()]
        return await self.send(json.dumps(data, ensure_ascii=False).encode(), headers)

    async def send(self, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> dict[str, Any]:
        """Send these bytes; the receipt that names their offset."""
        sent = await self._producer.send_and_wait(self._topic, value, headers=list(headers))
        async with asyncio.timeout(SECONDS):
            while sent.offset not in self._receipts:
                record = await self._consumer.getone()
                offset = int(dict(record.headers)["ce_intakeoffset"])
                assert offset not in self._receipts, f"message {offset} has two receipts"
                self._receipts[offset] = json.loads(record.value)
        return self._receipts[sent.offset]
