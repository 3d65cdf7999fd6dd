"""Fixtures for the shared parts."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from deploy.local.stack import Stack
from shared import telemetry
from shared.bus import Bus
from shared.objects import Bucket, Objects
from tests.conftest import Database
from tests.shared.local_app import settings_in
from tests.shared.source import Source


class S3Stack(Protocol):
    """Of the local stack, where its object store is."""

    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str


async def prepare(store: Objects) -> None:
    """Make the buckets and warm them: first writes at the same time into a new bucket wait for a second."""
    await store.ensure_buckets()
    for bucket in Bucket:
        await store.put(bucket, "warm", b"")
        await store.remove(bucket, "warm")


@pytest_asyncio.fixture
async def objects(stack: S3Stack) -> AsyncIterator[Objects]:
    """The real object store with buckets of this test's own."""
    prefix = f"t{secrets.token_hex(6)}"
    async with Objects(stack.s3_endpoint, stack.s3_access_key, stack.s3_secret_key, prefix) as store:
        await prepare(store)
        yield store


@pytest_asyncio.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    """Connections of the service's own role."""
    engine = create_async_engine(database.url, pool_size=20)
    yield engine
    await engine.dispose()


@pytest.fixture
def bus(stack: Stack) -> Bus:
    """The real broker with topics of this test's own."""
    return Bus(stack.kafka, f"t{secrets.token_hex(6)}")


@pytest_asyncio.fixture
async def source(engine: AsyncEngine, bus: Bus) -> AsyncIterator[Source]:
    """A service with two period logs, not relayed yet."""
    source = Source(engine, bus)
    await source.open()
    yield source
    await source.ledger.close()


@pytest.fixture(scope="session")
def _span_exporter(tmp_path_factory: pytest.TempPathFactory) -> InMemorySpanExporter:
    kept = InMemorySpanExporter()
    provider = telemetry.setup(settings_in(Path(tmp_path_factory.mktemp("settings"))))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return kept


@pytest.fixture
def spans(_span_exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    """The spans that the test makes."""
    _span_exporter.clear()
    yield _span_exporter
    _span_exporter.clear()
