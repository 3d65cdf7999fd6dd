"""The bus: an entry and a checkpoint come off Kafka as they went on, to the byte."""

import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event

from shared.bus import (
    PARTITIONS,
    Bus,
    CheckpointRecord,
    Publisher,
    Record,
    RecordError,
    checkpoint_record,
    from_record,
    to_record,
)
from shared.events import Entry, canonical, data_hash
from shared.tlog.checkpoint import Checkpoint, sign_checkpoint
from shared.tlog.note import log_key

ORIGIN = "parindex.test/submission/2024-year"


def entry(position: int = 7, data: bytes | None = '{"lý do":"đủ"}'.encode(), type_: str = "points-declared") -> Entry:
    salt = None if data is None else secrets.token_bytes(32)
    header = {
        "specversion": "1.0",
        "type": f"submission.{type_}.v1",
        "datacontenttype": "application/json",
        "id": "0193f0a0-0000-7000-8000-000000000007",
        "source": ORIGIN,
        "subject": "self-assessment/a-017",
        "time": "2024-11-30T17:00:00.000000Z",
        "position": str(position),
        "version": "3",
        "actor": "0" * 32,
        "causationid": "1" * 32,
        "seen": "appraisal/2024-year@4 scoring/2024-year@0",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "datahash": "2" * 64 if salt is None or data is None else data_hash(salt, data),
    }
    return Entry("submission/2024-year", position, canonical(header), salt, data)


def test_an_entry_comes_back_from_its_record_to_the_byte() -> None:
    sent = entry()
    back = from_record(*to_record(sent))
    assert isinstance(back, Entry)
    assert (back.log, back.position, back.leaf, back.salt, back.data) == (
        sent.log,
        sent.position,
        sent.leaf,
        sent.salt,
        sent.data,
    )
    assert back.header == sent.header


def test_a_foreign_cloudevents_library_reads_the_record_of_an_entry() -> None:
    sent = entry(data=b'{"points":"1"}')
    record = to_record(sent)
    assert record.value is not None
    event = from_binary_event(KafkaMessage(dict(record.headers), record.key, record.value))
    assert event.get_type() == "submission.points-declared.v1"
    assert event.get_source() == ORIGIN
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == {"points": "1"}
    assert event.get_time() == datetime(2024, 11, 30, 17, tzinfo=UTC)
    assert event.get_extension("position") == "7"
    assert event.get_extension("datasalt") == (sent.salt or b"").hex()


def test_a_checkpoint_is_a_cloudevent_without_a_place_in_the_log() -> None:
    checkpoint = Checkpoint(ORIGIN, 8, b"r" * 32)
    note = sign_checkpoint(checkpoint, log_key(b"g" * 32, ORIGIN))
    record = checkpoint_record("submission/2024-year", checkpoint, note, datetime(2024, 11, 30, 17, tzinfo=UTC))
    assert from_record(*record) == CheckpointRecord("submission/2024-year", note)
    assert not {"ce_position", "ce_version", "ce_datahash"} & dict(record.headers).keys()
    assert record.value is not None
    event = from_binary_event(KafkaMessage(dict(record.headers), record.key, record.value))
    assert event.get_type() == "submission.checkpoint.v1"
    assert event.get_source() == ORIGIN


def test_an_erased_entry_travels_without_its_data() -> None:
    sent = entry(data=None, type_="not-applicable-reasoned")
    back = from_record(*to_record(sent))
    assert isinstance(back, Entry)
    assert (back.leaf, back.salt, back.data, back.event) == (sent.leaf, None, None, None)


def changed(name: str, value: bytes | None) -> Record:
    """A good record with one header changed, or left out for None."""
    good = to_record(entry())
    headers = [(known, raw if known != name else value) for known, raw in good.headers]
    return Record(good.key, good.value, [(known, raw) for known, raw in headers if raw is not None])


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        (to_record(entry())._replace(value=b'{"points":"2"}'), "datahash"),
        (to_record(entry())._replace(key=b""), "key"),
        (to_record(entry())._replace(key="nhật ký".encode()), "key"),
        (to_record(entry(data=None)), "without its data"),
        (changed("ce_position", b"-1"), "missing"),
        (changed("ce_position", None), "missing"),
        (changed("ce_subject", None), "missing"),
        (changed("ce_datasalt", b"xyz"), "hexadecimal"),
        (changed("ce_datasalt", None), "without its data"),
        (changed("ce_actor", "ủ".encode()), "not ASCII"),
        (changed("ce_actor", b"a" * 5000), "4 KiB"),
        (Record(b"submission/2024-year", b"", [("ce_id", b"1"), ("ce_id", b"2")]), "twice"),
        (Record(b"submission/2024-year", b"", [("x-other", b"1")]), "no CloudEvents attribute"),
    ],
)
def test_a_malformed_record_is_refused_with_its_fault(record: Record, complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        from_record(*record)


async def test_topics_are_made_as_transport_and_making_them_again_changes_nothing(bus: Bus) -> None:
    for _ in range(2):
        await bus.ensure_topics(["submission", "scoring"], agencies=["a-017"])
    admin = AIOKafkaAdminClient(bootstrap_servers=bus.kafka)
    await admin.start()
    try:
        topics = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
        answers: list[Any] = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, bus.topic("submission"))]
        )
    finally:
        await admin.close()
    assert {name: count for name, count in topics.items() if name.startswith(bus.prefix)} == {
        f"{bus.prefix}.submission": PARTITIONS,
        f"{bus.prefix}.scoring": PARTITIONS,
        f"{bus.prefix}.intake.a-017": 1,
        f"{bus.prefix}.intake-receipts.a-017": 1,
    }
    config = {name: value for name, value, *_ in answers[0].resources[0][4]}
    assert config["cleanup.policy"] == "delete"
    assert config["retention.ms"] == "604800000"
    assert config["segment.ms"] == "86400000"
    assert config["message.timestamp.type"] == "LogAppendTime"


async def test_a_publisher_goes_on_after_a_batch_that_the_broker_rejected(bus: Bus) -> None:
    publisher, topic = Publisher(bus), bus.topic("small")
    await make_topic(bus, topic, {"max.message.bytes": "2000"})
    small, large = to_record(entry(1)), to_record(entry(2, b'"' + b"x" * 5000 + b'"'))
    try:
        await publisher.settled([await publisher.send(topic, small, 0)])
        with pytest.raises(KafkaError):
            await publisher.settled([await publisher.send(topic, large, 0)])
        for _ in range(5):
            await publisher.settled([await publisher.send(topic, small, 0)])
    finally:
        await publisher.close()
    async with bus.reader() as reader:
        assert await reader.end_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 6}


async def make_topic(bus: Bus, topic: str, config: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bus.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=config)])
    finally:
        await admin.close()
