"""Fixtures for the shared parts."""

import secrets
from collections.abc import AsyncIterator
from typing import Protocol

import pytest_asyncio

from shared.objects import Objects


class S3Stack(Protocol):
    """Of the local stack, where its object store is."""

    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str


@pytest_asyncio.fixture
async def objects(stack: S3Stack) -> AsyncIterator[Objects]:
    """The real object store with buckets of this test's own."""
    prefix = f"t{secrets.token_hex(6)}"
    async with Objects(stack.s3_endpoint, stack.s3_access_key, stack.s3_secret_key, prefix) as store:
        await store.ensure_buckets()
        yield store
