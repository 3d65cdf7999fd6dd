"""The follower: every entry of a log applied once and in order, whatever is repeated, lost, forged or killed."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import OffsetAndMetadata
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.bus import Publisher, Record, checkpoint_record, to_record
from shared.decider import Rejected
from shared.events import Entry, canonical, data_hash
from shared.follower import FETCH_WAIT_MS, Follower, Head, heads, is_of_faust
from shared.follower.reaction import Reactions
from shared.register import partition_of
from shared.tlog.checkpoint import Checkpoint, sign_checkpoint
from shared.tlog.merkle import EMPTY_ROOT, leaf_hash, root
from shared.tlog.note import SigningKey, log_key
from tests.conftest import Database
from tests.shared.source import DEPLOYMENT, OTHER, REGISTER, YEAR, Source, running, until
from tests.shared.tally import TABLE, Tally, chained, follower_of, tallies

EPOCH = datetime(2024, 12, 1, tzinfo=UTC)


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[AsyncEngine]:
    """Connections that may do anything; the state of the follower stands in `tally`."""
    admin = create_async_engine(database.admin_url)
    async with admin.begin() as connection:
        await connection.execute(text(TABLE))
        await connection.execute(text("GRANT ALL ON tally TO PUBLIC"))
    yield admin
    await admin.dispose()


@pytest.fixture
def tally(admin: AsyncEngine) -> Tally:
    return Tally()


@pytest.fixture
def follower(source: Source, tally: Tally) -> Follower:
    return follower_of(source.engine, source.bus, source.registers, tally.apply)


async def level(source: Source, follower: Follower, checked: bool = True) -> bool:
    """Whether all logs of the source are followed whole, checked, and none is parked."""
    progress = {line["log"]: line for line in await follower.progress()}
    return all(
        log in progress
        and progress[log]["size"] == head.size
        and not progress[log]["parked"]
        and (not checked or progress[log]["checked"] == head.size)
        for log, head in (await source.ledger.heads()).items()
    )


async def assert_state_equals_replay(source: Source) -> None:
    replay = {}
    for log, head in (await source.ledger.heads()).items():
        if head.size:
            replay[log] = (head.size, chained(b"", await source.ledger.read(log, 0, head.size)))
    assert await tallies(source.engine) == replay


async def line(follower: Follower, log: str) -> dict[str, Any]:
    """The progress of one log."""
    return next((line for line in await follower.progress() if line["log"] == log), {"size": 0, "parked": False})


async def publish(source: Source, records: Sequence[Record], log: str = YEAR) -> None:
    """Put records on the topic by hand."""
    publisher = Publisher(source.bus)
    try:
        await publisher.settled([await publisher.send(source.topic, record, partition_of(log)) for record in records])
    finally:
        await publisher.close()


def checkpoint_of(source: Source, leaves: Sequence[bytes], log: str = YEAR, key: Any = None) -> Record:
    """The record of a checkpoint over these leaf hashes."""
    checkpoint = Checkpoint(f"{DEPLOYMENT}/{log}", len(leaves), root(leaves))
    note = sign_checkpoint(checkpoint, key or source.register.signing_key(log))
    return checkpoint_record(log, checkpoint, note, EPOCH)


async def relay_register(source: Source) -> None:
    """Bring the register over, so that the keys of the logs are known."""
    await publish(source, [to_record(entry) for entry in await source.ledger.read(REGISTER, 0, 10)], REGISTER)


async def test_all_logs_are_followed_in_order_and_checked(source: Source, follower: Follower) -> None:
    async with running(source.relay(checkpoint_interval=0.1)), running(follower):
        await source.append(700)
        await source.append(40, OTHER)
        await until(lambda: level(source, follower))
        await source.append(300)
        await until(lambda: level(source, follower))
    await assert_state_equals_replay(source)
    async with source.engine.connect() as connection:
        followed = await heads(connection, [YEAR, OTHER, "submission/none"])
    own = await source.ledger.heads()
    assert followed == {
        YEAR: Head(1000, own[YEAR].root()),
        OTHER: Head(40, own[OTHER].root()),
        "submission/none": Head(0, EMPTY_ROOT),
    }
    assert await line(follower, YEAR) == {
        "log": YEAR,
        "size": 1000,
        "checked": 1000,
        "parked": False,
        "reason": None,
    }


async def test_an_applied_log_is_told_after_its_commit(source: Source, follower: Follower) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    follower.applied.append(told.put_nowait)
    async with running(source.relay()), running(follower):
        await source.append(1)
        async with asyncio.timeout(20):
            while await told.get() != YEAR:
                pass
        assert (await line(follower, YEAR))["size"] == 1


async def test_repeated_entries_are_skipped(source: Source, follower: Follower, caplog: Any) -> None:
    await source.append(60)
    entries = [to_record(entry) for entry in await source.ledger.read(YEAR, 0, 60)]
    await relay_register(source)
    await publish(source, [*entries[:40], *entries[10:50], *entries[:3]])
    async with running(follower):
        await until(lambda: at(follower, YEAR, 50))
        await publish(source, entries)
        await until(lambda: at(follower, YEAR, 60))
        assert not (await line(follower, YEAR))["parked"]
    assert (await tallies(source.engine))[YEAR] == (60, chained(b"", await source.ledger.read(YEAR, 0, 60)))


async def at(follower: Follower, log: str, size: int) -> bool:
    return bool((await line(follower, log))["size"] == size)


async def parked(follower: Follower, log: str) -> bool:
    return bool((await line(follower, log))["parked"])


def forged(entry: Entry) -> Entry:
    """Another entry for the same position, good in itself."""
    data = b'{"agency":"a-017","item":"1.1","data":"forged","points":"99"}'
    salt = b"f" * 32
    header = dict(entry.header) | {"datahash": data_hash(salt, data)}
    return Entry(entry.log, entry.position, canonical(header), salt, data)


@pytest.mark.parametrize("earlier", [True, False])
async def test_a_fork_stops_its_log_and_is_named(source: Source, follower: Follower, earlier: bool) -> None:
    await source.append(10)
    await source.append(10, OTHER)
    entries = await source.ledger.read(YEAR, 0, 10)
    await relay_register(source)
    async with running(follower):
        if earlier:
            await publish(source, [to_record(entry) for entry in entries[:8]])
            await until(lambda: at(follower, YEAR, 8))
            await publish(source, [to_record(forged(entries[5])), to_record(entries[8])])
        else:
            await publish(source, [*map(to_record, entries[:8]), to_record(forged(entries[5])), to_record(entries[8])])
        await until(lambda: parked(follower, YEAR))
        await publish(source, [to_record(entry) for entry in await source.ledger.read(OTHER, 0, 10)], OTHER)
        await until(lambda: at(follower, OTHER, 10))
        await publish(source, [to_record(entry) for entry in entries])
        await asyncio.sleep(1.2)  # no catch-up may clear it
        stopped = await line(follower, YEAR)
    assert stopped == {
        "log": YEAR,
        "size": 8,
        "checked": 0,
        "parked": True,
        "reason": "fork: a second entry 5",
    }


async def test_a_lost_delivery_is_read_again(source: Source, follower: Follower, caplog: Any) -> None:
    caplog.set_level(logging.WARNING)
    async with running(source.relay()), running(follower):
        await source.append(100)
        await until(lambda: level(source, follower))
        for _ in range(3):
            tp = TopicPartition(source.topic, partition_of(YEAR))
            consumer = follower._app.consumer
            [own] = [own for own in consumer.assignment() if tuple(own) == tuple(tp)]
            lost_from = follower._nexts[own]
            await consumer.seek_wait({own: lost_from + 30})  # the next thirty records are never delivered
            await source.append(100, each=10)
            await until(lambda: level(source, follower))
    assert "a delivery was lost" in caplog.text
    await assert_state_equals_replay(source)


async def test_a_hole_parks_its_log_until_it_is_mended(source: Source, follower: Follower) -> None:
    await source.append(30)
    await source.append(10, OTHER)
    entries = [to_record(entry) for entry in await source.ledger.read(YEAR, 0, 30)]
    await relay_register(source)
    async with running(follower):
        await publish(source, [*entries[:5], *entries[6:20]])
        await until(lambda: parked(follower, YEAR))
        assert (await line(follower, YEAR))["reason"] == "hole: entry 6 where 5 is next"
        await publish(source, [to_record(entry) for entry in await source.ledger.read(OTHER, 0, 10)], OTHER)
        await until(lambda: at(follower, OTHER, 10))
        assert await at(follower, YEAR, 5)
        await publish(source, entries[20:25])
        await publish(source, [entries[5]])  # the mend comes behind what it mends
        await until(lambda: level_at(follower, 25))
        await publish(source, entries[25:])
        await until(lambda: level_at(follower, 30))
    state = await tallies(source.engine)
    assert state[YEAR] == (30, chained(b"", await source.ledger.read(YEAR, 0, 30)))


async def level_at(follower: Follower, size: int) -> bool:
    found = await line(follower, YEAR)
    return bool(found["size"] == size and not found["parked"])


async def test_a_missing_last_entry_is_found_by_the_checkpoint_behind_it(source: Source, follower: Follower) -> None:
    await source.append(6)
    entries = await source.ledger.read(YEAR, 0, 6)
    await relay_register(source)
    async with running(follower):
        await publish(
            source, [*map(to_record, entries[:5]), checkpoint_of(source, [leaf_hash(e.leaf) for e in entries])]
        )
        await until(lambda: parked(follower, YEAR))
        assert (await line(follower, YEAR))["reason"] == "hole: a checkpoint of size 6 where entry 5 is next"
        await publish(source, [to_record(entries[5])])
        await until(lambda: level_at(follower, 6))


async def test_a_checkpoint_of_a_larger_size_proves_nothing_without_the_logs_signature(
    source: Source, follower: Follower
) -> None:
    await source.append(3)
    entries = await source.ledger.read(YEAR, 0, 3)
    await relay_register(source)
    forged = Checkpoint(f"{DEPLOYMENT}/{YEAR}", 1000, b"r" * 32)
    note = sign_checkpoint(forged, SigningKey.from_seed(f"{DEPLOYMENT}/{YEAR}", b"f" * 32))
    async with running(follower):
        await publish(source, [*map(to_record, entries)])
        await until(lambda: level_at(follower, 3))
        await publish(source, [checkpoint_record(YEAR, forged, note, EPOCH)])
        await until(lambda: parked(follower, YEAR))
        assert (await line(follower, YEAR))["reason"].startswith("checkpoint at size 3: ")


async def test_a_malformed_record_parks_its_log_until_a_good_one_comes(source: Source, follower: Follower) -> None:
    await source.append(6)
    entries = [to_record(entry) for entry in await source.ledger.read(YEAR, 0, 6)]
    await relay_register(source)
    async with running(follower):
        await publish(source, [*entries[:3], entries[3]._replace(value=b"{}"), *entries[4:]])
        await until(lambda: parked(follower, YEAR))
        assert "datahash" in (await line(follower, YEAR))["reason"]
        await publish(source, [entries[3]])
        await until(lambda: level_at(follower, 6))


async def test_a_log_that_cannot_be_applied_is_parked_and_catches_up_once_it_can(
    source: Source, follower: Follower, tally: Tally
) -> None:
    def hinder(log: str, entries: Sequence[Entry]) -> None:
        if log == YEAR and any(entry.position >= 120 for entry in entries):
            raise ZeroDivisionError

    tally.hindrance = hinder
    async with running(source.relay(checkpoint_interval=0.1)), running(follower):
        await source.append(200)
        await source.append(50, OTHER)
        await until(lambda: parked(follower, YEAR))
        assert (await line(follower, YEAR))["reason"] == "apply failed: ZeroDivisionError"
        await until(lambda: at(follower, OTHER, 50))
        await source.append(100)
        tally.hindrance = lambda log, entries: None
        await until(lambda: level(source, follower))
        await source.append(50)
        await until(lambda: level(source, follower))
    await assert_state_equals_replay(source)


async def test_a_false_root_stops_its_log(source: Source, follower: Follower) -> None:
    await source.append(8)
    entries = await source.ledger.read(YEAR, 0, 8)
    leaves = [leaf_hash(entry.leaf) for entry in entries]
    await relay_register(source)
    async with running(follower):
        good, false = checkpoint_of(source, leaves[:4]), checkpoint_of(source, [*leaves[:5], b"x" * 32])
        await publish(source, [*map(to_record, entries[:4]), good, *map(to_record, entries[4:6]), false])
        await publish(source, [to_record(entry) for entry in entries[6:]])
        await until(lambda: parked(follower, YEAR))
        await asyncio.sleep(1.2)
        stopped = await line(follower, YEAR)
    assert (stopped["size"], stopped["checked"]) == (6, 4)
    assert stopped["reason"] == "checkpoint of size 6 has another root than the entries"


async def test_a_checkpoint_signed_with_another_key_stops_its_log(source: Source, follower: Follower) -> None:
    await source.append(3)
    entries = await source.ledger.read(YEAR, 0, 3)
    await relay_register(source)
    stranger = log_key(b"h" * 32, f"{DEPLOYMENT}/{YEAR}")
    async with running(follower):
        false = checkpoint_of(source, [leaf_hash(entry.leaf) for entry in entries], key=stranger)
        await publish(source, [*map(to_record, entries), false])
        await until(lambda: parked(follower, YEAR))
        assert "no known key has signed" in (await line(follower, YEAR))["reason"]


async def test_a_register_signed_with_a_key_that_the_policy_does_not_name_is_stopped(
    source: Source, tally: Tally
) -> None:
    registers = {f"{DEPLOYMENT}/{REGISTER}": log_key(b"h" * 32, f"{DEPLOYMENT}/{REGISTER}").verifier}
    follower = follower_of(source.engine, source.bus, registers, tally.apply)
    async with running(source.relay()), running(follower):
        await until(lambda: parked(follower, REGISTER))


async def test_a_checkpoint_waits_for_the_key_that_the_register_names(source: Source, follower: Follower) -> None:
    await source.append(3)
    entries = await source.ledger.read(YEAR, 0, 3)
    async with running(follower):
        checkpoint = checkpoint_of(source, [leaf_hash(entry.leaf) for entry in entries])
        await publish(source, [*map(to_record, entries), checkpoint])
        await until(lambda: at(follower, YEAR, 3))
        assert (await line(follower, YEAR))["checked"] == 0
        await relay_register(source)
        await until(lambda: checked(follower, 3))


async def checked(follower: Follower, size: int) -> bool:
    return bool((await line(follower, YEAR))["checked"] == size)


async def test_an_entry_of_another_deployment_stops_its_log(source: Source, follower: Follower) -> None:
    await source.append(1)
    [entry] = await source.ledger.read(YEAR, 0, 1)
    header = dict(entry.header) | {"source": f"elsewhere.example/{YEAR}"}
    async with running(follower):
        await publish(source, [to_record(Entry(YEAR, 0, canonical(header), entry.salt, entry.data))])
        await until(lambda: parked(follower, YEAR))
        assert await at(follower, YEAR, 0)


async def test_a_broken_database_connection_loses_nothing_and_parks_nothing(
    source: Source, follower: Follower, admin: AsyncEngine
) -> None:
    async with running(source.relay(checkpoint_interval=0.1)), running(follower):
        appending = asyncio.create_task(source.append(3000))
        for _ in range(8):
            await asyncio.sleep(0.1)
            async with admin.connect() as connection:
                await connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE usename <> current_user AND datname = current_database() AND random() < 0.6"
                    )
                )
        await asyncio.gather(appending, return_exceptions=True)

        async def level_again() -> bool:
            try:
                return await level(source, follower)
            except DBAPIError:
                return False  # it has got one of the broken connections

        await until(level_again)
    await assert_state_equals_replay(source)


async def test_a_follower_that_is_ended_as_it_starts_leaves_nothing_behind(source: Source, tally: Tally) -> None:
    async with running(source.relay(checkpoint_interval=0.1)):
        await source.append(50)
        for pause in (0, 0.02, 0.1, 0.3, 0.6, 1.0):
            async with running(follower_of(source.engine, source.bus, source.registers, tally.apply)):
                await asyncio.sleep(pause)
            assert [task for task in asyncio.all_tasks() if is_of_faust(task)] == []
        again = follower_of(source.engine, source.bus, source.registers, tally.apply)
        async with running(again):
            await until(lambda: level(source, again))


async def test_a_follower_killed_at_any_moment_has_the_state_of_a_replay(
    source: Source, tally: Tally, database: Database
) -> None:
    key = str(source.registers[f"{DEPLOYMENT}/{REGISTER}"])
    command = [sys.executable, "-m", "tests.shared.tally", database.url, source.bus.kafka, source.bus.prefix, key]
    async with running(source.relay(checkpoint_interval=0.1)):
        appending = asyncio.create_task(source.append(6000))
        seen = 0
        for further in (1, 1500):
            process = await asyncio.create_subprocess_exec(*command)
            await until(lambda least=seen + further: beyond(source, least))
            seen = (await tallies(source.engine))[YEAR][0]
            process.kill()
            await process.wait()
            await source.append(2000, OTHER)
        await appending
        follower = follower_of(source.engine, source.bus, source.registers, tally.apply)
        async with running(follower):
            await until(lambda: level(source, follower))
    await assert_state_equals_replay(source)


async def beyond(source: Source, size: int) -> bool:
    return (await tallies(source.engine)).get(YEAR, (0, b""))[0] >= size


@pytest.mark.parametrize("stored", [0, 150])
async def test_the_stored_offset_counts_and_not_what_the_broker_holds(
    source: Source, follower: Follower, tally: Tally, stored: int
) -> None:
    """It fails when the private calls by which Faust is aligned (`Consumer._commit`, `seek_wait`) change."""
    async with running(source.relay(checkpoint_interval=0.1)):
        if stored:
            await source.append(stored)
            async with running(follower):
                await until(lambda: level(source, follower))
        await source.append(250)
        await until(lambda: has_relayed(source))
        await commit_to_broker(source, 10**6)
        again = follower_of(source.engine, source.bus, source.registers, tally.apply)
        async with running(again):
            await until(lambda: level(source, again))
    await assert_state_equals_replay(source)


async def test_records_that_the_topic_has_let_go_park_their_log_alone(source: Source, follower: Follower) -> None:
    await source.append(20)
    await source.append(5, OTHER)
    entries = await source.ledger.read(YEAR, 0, 20)
    await relay_register(source)
    await publish(source, [to_record(entry) for entry in entries])
    admin = AIOKafkaAdminClient(bootstrap_servers=source.bus.kafka)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(source.topic, partition_of(YEAR)): RecordsToDelete(8)})
    finally:
        await admin.close()
    async with running(follower):
        await until(lambda: parked(follower, YEAR))
        assert (await line(follower, YEAR))["reason"] == "hole: entry 8 where 0 is next"
        await publish(source, [to_record(entry) for entry in await source.ledger.read(OTHER, 0, 5)], OTHER)
        await until(lambda: at(follower, OTHER, 5))
        await publish(source, [to_record(entry) for entry in entries[:8]])
        await until(lambda: level_at(follower, 20))


async def has_relayed(source: Source) -> bool:
    return await source.relayed() == await source.size()


async def commit_to_broker(source: Source, most: int) -> None:
    """As a worker would that had read everything."""
    tps = [TopicPartition(source.topic, partition) for partition in range(12)]
    consumer = AIOKafkaConsumer(bootstrap_servers=source.bus.kafka, group_id=f"{source.bus.prefix}.scoring")
    await consumer.start()
    try:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        await consumer.commit({tp: OffsetAndMetadata(min(most, end), "") for tp, end in ends.items()})
    finally:
        await consumer.stop()


async def test_following_begins_when_the_broker_knows_the_topics(source: Source, tally: Tally) -> None:
    """The lag is unknown until partitions are assigned, then goes to nothing."""
    follower = follower_of(source.engine, source.bus, source.registers, tally.apply)
    assert follower.lag() == {}

    async def no_lag() -> bool:
        return len(follower.lag()) == 12 and not any(follower.lag().values())

    async with running(source.relay()), running(follower):
        await source.append(10)
        await until(lambda: level(source, follower))
        await until(no_lag)


async def test_a_sampled_entry_is_applied_within_the_trace_of_its_request(
    source: Source, follower: Follower, spans: InMemorySpanExporter
) -> None:
    traceparents = [f"00-{number:032x}-00000000000000ff-01" for number in (1, 2)]
    for traceparent in traceparents:
        await source.append(1, traceparent=traceparent)
    await publish(source, [to_record(entry) for entry in await source.ledger.read(YEAR, 0, 2)])
    async with running(follower):
        await until(lambda: at(follower, YEAR, 2))
    made = {
        span.context and span.context.trace_id: span
        for span in spans.get_finished_spans()
        if span.name == "follower apply"
    }
    assert set(made) == {1, 2}
    assert {(span.kind, span.parent and span.parent.span_id) for span in made.values()} == {(SpanKind.CONSUMER, 255)}
    assert [link.context.trace_id for link in made[1].links] == [2]


class Notebook:
    """A reaction that writes down what it was called with, and fails on demand."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int]] = []
        self.failing: set[tuple[str, int]] = set()

    async def react(self, entry: Entry) -> None:
        if (entry.log, entry.position) in self.failing:
            raise Rejected("agency-closed", "the agency is closed")
        self.entries.append((entry.log, entry.position))

    def of(self, log: str) -> list[int]:
        return [position for name, position in self.entries if name == log]


async def test_each_entry_is_reacted_to_in_order_and_a_failing_reaction_is_tried_again(
    source: Source, follower: Follower
) -> None:
    notebook = Notebook()
    notebook.failing = {(YEAR, 70)}
    reactions = Reactions(source.engine, follower, notebook.react)

    async def so_far(log: str, count: int) -> bool:
        return len(notebook.of(log)) == count

    async with running(source.relay()), running(follower), running(reactions):
        await source.append(100)
        await source.append(20, OTHER)
        await until(lambda: so_far(OTHER, 20))
        await until(lambda: so_far(YEAR, 70))
        notebook.failing = set()
        await until(lambda: so_far(YEAR, 100))
    assert notebook.of(YEAR) == list(range(100))
    assert notebook.of(OTHER) == list(range(20))


async def test_reactions_go_on_after_a_restart_where_they_were(source: Source, follower: Follower) -> None:
    notebook = Notebook()

    async def reacted(count: int) -> bool:
        return len(notebook.of(YEAR)) >= count

    async with running(source.relay()), running(follower):
        for count in (40, 90):
            await source.append(count - len(notebook.of(YEAR)))
            async with running(Reactions(source.engine, follower, notebook.react)):
                await until(lambda count=count: reacted(count))
                await asyncio.sleep(0.1)
    assert notebook.of(YEAR) == list(range(90))


async def test_what_was_applied_without_word_of_it_is_reacted_to(
    source: Source, follower: Follower, tally: Tally
) -> None:
    """As by another replica, or by a commit whose answer was lost."""
    notebook, silent = Notebook(), follower_of(source.engine, source.bus, source.registers, tally.apply)

    async def so_far(count: int) -> bool:
        return len(notebook.of(YEAR)) == count

    async with running(source.relay()), running(follower), running(Reactions(source.engine, silent, notebook.react)):
        for count in (3, 5):
            await source.append(count - len(notebook.of(YEAR)))
            await until(lambda count=count: so_far(count))
    assert notebook.of(YEAR) == list(range(5))


async def test_an_empty_fetch_is_not_kept_longer_than_the_follower_says(source: Source, follower: Follower) -> None:
    """The wait is set on a private part of the client: this fails if that part changes."""
    async with running(source.relay(checkpoint_interval=0.1)), running(follower):
        await source.append(3)
        await until(lambda: level(source, follower))
        assert follower._app is not None
        assert follower._app.consumer._thread._consumer._fetcher._fetch_max_wait_ms == FETCH_WAIT_MS
