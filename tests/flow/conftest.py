"""Periods that several stories read and none changes."""

from collections.abc import AsyncIterator

import pytest_asyncio

from deploy.local.stack import Stack
from tests.flow import vinh_phuc
from tests.flow.office import Office


@pytest_asyncio.fixture(scope="session")
async def published(stack: Stack) -> AsyncIterator[Office]:
    """The published period of Vĩnh Phúc."""
    async with await vinh_phuc.open_period(stack) as office:
        await vinh_phuc.play(office)
        yield office
