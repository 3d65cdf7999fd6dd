"""The relay: all entries of a log on its topic, in order, with the checkpoint of size n directly after entry n-1."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from shared.bus import CheckpointRecord
from shared.events import Entry
from shared.tlog.checkpoint import Checkpoint, open_checkpoint
from shared.tlog.merkle import leaf_hash, root
from tests.conftest import Database
from tests.shared.source import DEPLOYMENT, OTHER, REGISTER, YEAR, Source, running, until


async def relayed_whole(source: Source, log: str = YEAR) -> bool:
    return await source.relayed(log) == await source.size(log)


def entries_of(found: Sequence[object]) -> list[Entry]:
    return [content for content in found if isinstance(content, Entry)]


async def test_every_entry_is_on_the_topic_once_in_order_and_to_the_byte(source: Source) -> None:
    async with running(source.relay()):
        await source.append(1200)
        await source.append(30, OTHER)
        await until(lambda: relayed_whole(source))
        await until(lambda: relayed_whole(source, OTHER))
    for log in (YEAR, OTHER, REGISTER):
        sent = entries_of(await source.on_topic(log))
        kept = await source.ledger.read(log, 0, await source.size(log))
        assert [(entry.position, entry.leaf, entry.salt, entry.data) for entry in sent] == [
            (entry.position, entry.leaf, entry.salt, entry.data) for entry in kept
        ]


async def test_a_checkpoint_of_size_n_stands_directly_after_entry_n_minus_1(source: Source) -> None:
    key = source.register.signing_key(YEAR).verifier
    async with running(source.relay(checkpoint_interval=0.05)):
        for _ in range(8):
            await source.append(40, each=7)
            await asyncio.sleep(0.03)
        await until(lambda: has_checkpoint(source, 320))
    leaves: list[bytes] = []
    sizes = []
    for content in await source.on_topic():
        if isinstance(content, Entry):
            leaves.append(leaf_hash(content.leaf))
        else:
            assert isinstance(content, CheckpointRecord)
            checkpoint = open_checkpoint(content.note, key)
            assert checkpoint == Checkpoint(f"{DEPLOYMENT}/{YEAR}", len(leaves), root(leaves))
            sizes.append(checkpoint.size)
    assert sizes == sorted(set(sizes))
    assert len(sizes) >= 3
    assert sizes[-1] == 320


async def has_checkpoint(source: Source, size: int, log: str = YEAR) -> bool:
    async with source.engine.connect() as connection:
        query = text("SELECT count(*) FROM checkpoint WHERE log = :log AND size = :size")
        return bool((await connection.execute(query, {"log": log, "size": size})).scalar_one())


async def test_an_append_is_on_the_topic_within_milliseconds(source: Source) -> None:
    async with running(source.relay(poll=60)):
        await source.append(1)
        await until(lambda: relayed_whole(source))
        seconds = []
        for _ in range(20):
            await source.append(1)
            started = perf_counter()
            await until(lambda: relayed_whole(source))
            seconds.append(perf_counter() - started)
    assert sorted(seconds)[10] < 0.1


async def test_a_relay_that_crashed_before_it_stored_its_cursor_repeats_and_skips_nothing(source: Source) -> None:
    async with running(source.relay()):
        await source.append(100)
        await until(lambda: relayed_whole(source))
    async with source.engine.begin() as connection:  # as if the last cursor had been lost with the crash
        frontier = (await source.ledger.heads())[YEAR]
        assert frontier.size == 100
        await connection.execute(text("UPDATE relayed SET size = 0, frontier = '' WHERE log = :log"), {"log": YEAR})
    async with running(source.relay()):
        await source.append(20)
        await until(lambda: relayed_whole(source))
    positions = [entry.position for entry in entries_of(await source.on_topic())]
    assert positions == [*range(100), *range(120)]


async def test_a_relay_killed_at_any_moment_leaves_no_gap(source: Source) -> None:
    appending = asyncio.create_task(source.append(3000, each=10))
    for pause in (0.01, 0.05, 0.02, 0.2, 0.1):
        async with running(source.relay(checkpoint_interval=0.02)):
            await asyncio.sleep(pause)
    async with running(source.relay()):
        await appending
        await until(lambda: relayed_whole(source))
    following = 0
    for entry in entries_of(await source.on_topic()):
        assert entry.position <= following
        following = max(following, entry.position + 1)
    assert following == 3000


async def test_of_two_relays_of_a_service_one_sends(source: Source) -> None:
    async with running(source.relay()), running(source.relay()):
        await source.append(500)
        await until(lambda: relayed_whole(source))
    assert len(entries_of(await source.on_topic())) == 500


async def test_a_log_whose_entries_do_not_make_its_frontier_is_not_sent(source: Source, database: Database) -> None:
    await source.append(10)
    admin = create_async_engine(database.admin_url)
    async with admin.begin() as connection:
        change = text(
            "UPDATE entry SET header = replace(convert_from(header, 'UTF8'), 'a-017', 'a-018')::bytea"
            " WHERE log = :log AND position = 4"
        )
        await connection.execute(change, {"log": YEAR})
    await admin.dispose()
    relay = source.relay()

    async def stopped() -> bool:
        return YEAR in relay.stopped

    async with running(relay):
        await source.append(5, OTHER)
        await until(stopped)
        await until(lambda: relayed_whole(source, OTHER))
    assert await source.on_topic() == []


async def test_entries_go_on_while_the_signer_cannot_sign(source: Source) -> None:
    class Refusing(Source):
        async def sign(self, checkpoint: Checkpoint) -> bytes:
            raise OSError("the store is away")

    refusing = Refusing(source.engine, source.bus)
    refusing.ledger = source.ledger
    async with running(refusing.relay(checkpoint_interval=0.01)):
        await source.append(700)
        await until(lambda: relayed_whole(source))
    assert [type(content) for content in await source.on_topic()] == [Entry] * 700


async def test_a_sampled_entry_gets_a_producer_span_in_the_trace_of_its_request(
    source: Source, spans: InMemorySpanExporter
) -> None:
    async with running(source.relay()):
        await source.append(1, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        await source.append(1, traceparent="00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
        await until(lambda: relayed_whole(source))
    [span] = [span for span in spans.get_finished_spans() if span.name == "relay send"]
    assert span.kind is SpanKind.PRODUCER
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
