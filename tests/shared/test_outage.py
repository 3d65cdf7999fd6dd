"""Outages: a failing step is tried again, until it succeeds or its task is cancelled."""

import asyncio
import logging

import pytest

from shared.objects import Bucket, ObjectConflict, Objects, StoreUnavailable
from shared.outage import persevere


async def test_a_step_is_repeated_until_it_says_that_it_is_done() -> None:
    left: list[bool | OSError] = [True, OSError(), True, OSError(), False]

    async def step() -> bool:
        now = left.pop(0)
        if isinstance(now, OSError):
            raise now
        return now

    await persevere("counting", step, longest=0.01)
    assert left == []


async def test_an_error_that_comes_in_place_of_a_cancellation_does_not_hide_it() -> None:
    begun = asyncio.Event()

    async def step() -> bool:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            raise ConnectionResetError  # as a connection does that is closed while it is broken
        return True

    task = asyncio.create_task(persevere("waiting", step))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (KeyError("agency"), True),
        (ConnectionRefusedError(), False),
        (StoreUnavailable("proof/checkpoint: 503"), False),
        (ObjectConflict("proof/checkpoint: 412"), True),
    ],
)
async def test_a_fault_of_ours_is_logged_with_its_place_and_an_outage_is_not(
    caplog: pytest.LogCaptureFixture, failure: Exception, told: bool
) -> None:
    caplog.set_level(logging.WARNING)
    failures = [failure]

    async def step() -> bool:
        if failures:
            raise failures.pop()
        return False

    await persevere("reading", step, longest=0.01)
    [record] = caplog.records
    assert record.getMessage() == f"reading: {type(failure).__name__}; again in 0.1 s"
    assert bool(record.exc_info) is told


async def test_a_store_that_cannot_be_reached_is_waited_for_without_a_stack_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    attempts = 0

    async def step() -> bool:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            async with Objects("http://127.0.0.1:9", "key", "secret") as absent:
                await absent.get(Bucket.PROOF, "checkpoint")
        return False

    await persevere("signing", step, longest=0.01)
    [record] = caplog.records
    assert record.getMessage() == "signing: StoreUnavailable; again in 0.1 s"
    assert record.exc_info is None
