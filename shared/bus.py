"""The bus: the topics, and how an entry or a checkpoint travels as a Kafka record (CloudEvents binary mode)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, ProducerClosed, TopicAlreadyExistsError, for_code

from shared.events import MAX_HEADER, Entry, canonical, catalogue, data_hash, instant
from shared.tlog.checkpoint import Checkpoint

PARTITIONS: Final = 12
RETENTION_MS: Final = 7 * 24 * 3600 * 1000
SEGMENT_MS: Final = 24 * 3600 * 1000
_CONTENT_TYPE: Final = "content-type"
_SALT: Final = "datasalt"
_CHECKPOINT: Final = ".checkpoint.v1"
_REQUIRED: Final = {"specversion", "type", "id", "source", "subject", "time", "position", "version", "datahash"}

_FLUSH_SECONDS: Final = 5.0

_logger = logging.getLogger(__name__)

Headers = Sequence[tuple[str, bytes]]


class Record(NamedTuple):
    """What a Kafka record holds; `value` is None for an entry whose data was erased."""

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]


class CheckpointRecord(NamedTuple):
    """A log's signed checkpoint as it came over the bus, not verified."""

    log: str
    note: bytes


class RecordError(ValueError):
    """A record that is no entry and no checkpoint in CloudEvents binary mode."""


def to_record(entry: Entry) -> Record:
    """The record of an entry: key the log's name, value the data, the header's attributes as record headers."""
    headers = [
        (_CONTENT_TYPE if name == "datacontenttype" else f"ce_{name}", value.encode())
        for name, value in entry.header.items()
    ]
    if entry.salt is not None:
        headers.append((f"ce_{_SALT}", entry.salt.hex().encode()))
    return Record(entry.log.encode(), entry.data, headers)


def checkpoint_record(log: str, checkpoint: Checkpoint, note: bytes, time: datetime) -> Record:
    """The record of a log's signed checkpoint; the same checkpoint always has the same CloudEvents id."""
    service = log.partition("/")[0]
    attributes = {
        "ce_specversion": "1.0",
        "ce_type": f"{service}{_CHECKPOINT}",
        "ce_source": checkpoint.origin,
        "ce_id": f"checkpoint-{checkpoint.size}",
        "ce_time": instant(time),
        _CONTENT_TYPE: "text/plain; charset=utf-8",
    }
    return Record(log.encode(), note, [(name, value.encode()) for name, value in attributes.items()])


def from_record(key: bytes | None, value: bytes | None, headers: Headers) -> Entry | CheckpointRecord:
    """The entry, its leaf rebuilt to the byte from the record's headers, or the checkpoint. Raises RecordError."""
    if not key or not key.isascii():
        raise RecordError("the record's key is no log's name in ASCII")
    log = key.decode()
    try:
        header = {_attribute(name): raw.decode("ascii") for name, raw in headers}
    except UnicodeDecodeError:
        raise RecordError("a header is not ASCII") from None
    if len(header) != len(headers):
        raise RecordError("the record has a header twice")
    type_ = header.get("type", "")
    if type_.endswith(_CHECKPOINT):
        return CheckpointRecord(log, value or b"")
    salt = header.pop(_SALT, None)
    if not header.keys() >= _REQUIRED or not header["position"].isdigit():
        raise RecordError("an attribute of an entry's header is missing")
    leaf = canonical(header)
    if len(leaf) > MAX_HEADER:
        raise RecordError("the header is larger than 4 KiB")
    if salt is None or value is None:
        model = catalogue().get(type_)
        if salt is not None or value is not None or model is None or not model.erasable:
            raise RecordError(f"{type_} comes without its data")
        entry = Entry(log, int(header["position"]), leaf, None, None)
    else:
        entry = Entry(log, int(header["position"]), leaf, _hex(salt), value)
        if data_hash(entry.salt or b"", value) != header["datahash"]:
            raise RecordError("the data is not what the header's datahash commits to")
    entry.__dict__["header"] = header  # what its cached property would parse from the leaf again
    return entry


@lru_cache(256)
def _attribute(name: str) -> str:
    """The attribute that a record's header holds."""
    if name == _CONTENT_TYPE:
        return "datacontenttype"
    if not name.startswith("ce_"):
        raise RecordError(f"the header {name} is no CloudEvents attribute")
    return name[3:]


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise RecordError("the salt is not hexadecimal") from None


@dataclass(frozen=True)
class Bus:
    """Where the brokers are (`host:port`, several joined by a comma) and the first part of every topic's name."""

    kafka: str
    prefix: str

    def topic(self, service: str) -> str:
        """The topic that carries all logs of a service."""
        return f"{self.prefix}.{service}"

    def intake_topic(self, agency: str) -> str:
        """The topic that an agency's own system writes requests to."""
        return f"{self.prefix}.intake.{agency}"

    def receipts_topic(self, agency: str) -> str:
        """The topic with one receipt for each intake message of an agency."""
        return f"{self.prefix}.intake-receipts.{agency}"

    async def ensure_topics(self, services: Iterable[str], agencies: Iterable[str] = ()) -> None:
        """Make the topics that do not exist yet; existing ones stay as they are. Raises KafkaError."""
        config = {
            "cleanup.policy": "delete",
            "retention.ms": str(RETENTION_MS),
            "segment.ms": str(SEGMENT_MS),
            "message.timestamp.type": "LogAppendTime",
        }
        wanted = {self.topic(service): PARTITIONS for service in services}
        for agency in agencies:
            wanted |= {self.intake_topic(agency): 1, self.receipts_topic(agency): 1}
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        try:
            await admin.start()
            missing = wanted.keys() - set(await admin.list_topics())
            topics = [NewTopic(name, wanted[name], 1, topic_configs=config) for name in sorted(missing)]
            answer = await admin.create_topics(topics) if topics else None
        finally:
            await admin.close()
        errors: Any = getattr(answer, "topic_errors", ())  # the answer's class depends on the broker's version
        for name, code, *_ in errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(name)

    @asynccontextmanager
    async def reader(self, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
        """A plain consumer without a group, from the earliest record kept; the caller assigns and seeks."""
        options = {"auto_offset_reset": "earliest", "enable_auto_commit": False, **options}
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, **options)
        try:
            await consumer.start()
            yield consumer
        finally:
            await consumer.stop()


class Publisher:
    """An idempotent producer (all acks) that is made anew after a failed batch.

    After one batch that the broker rejected, every later send of the same producer to that partition fails.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._producer: AIOKafkaProducer | None = None
        self._broken: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def send(self, topic: str, record: Record, partition: int | None = None) -> asyncio.Future[Any]:
        """Queue a record and return the future of its acknowledgement, for `settled`; many may be under way."""
        producer = self._producer
        if producer is None or producer is self._broken:
            producer = await self._renew()
        key, value, headers = record
        future: asyncio.Future[Any] = await producer.send(
            topic, key=key, value=value, headers=headers, partition=partition
        )
        future.add_done_callback(lambda done: self._look(producer, done))
        return future

    async def settled(self, futures: Sequence[asyncio.Future[Any]]) -> None:
        """Wait until all of these records are acknowledged; raises the KafkaError of the first that is not."""
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, asyncio.CancelledError):
                raise ProducerClosed  # the send was given up, not the caller
            if isinstance(outcome, BaseException):
                raise outcome

    async def close(self) -> None:
        """Flush, for five seconds at most, and stop."""
        async with self._lock:
            producer, self._producer = self._producer, None
            if producer is not None:
                try:
                    async with asyncio.timeout(_FLUSH_SECONDS):
                        await producer.stop()
                except TimeoutError:
                    _logger.warning("records that were not acknowledged are given up")

    def _look(self, producer: AIOKafkaProducer, done: asyncio.Future[Any]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._broken = producer

    async def _renew(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is not None and self._producer is not self._broken:
                return self._producer
            old, self._producer = self._producer, None
            if old is not None:
                await old.stop()
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bus.kafka, enable_idempotence=True, acks="all", request_timeout_ms=15_000
            )
            try:
                await producer.start()
            except (KafkaError, OSError):
                await producer.stop()
                raise
            self._producer = producer
            return producer
