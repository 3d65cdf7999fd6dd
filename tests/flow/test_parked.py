"""A result cannot be consolidated or published while a log that it rests on has a hole."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from deploy.client import Refused
from deploy.local.home import SERVICES
from deploy.local.stack import Stack
from deploy.migrate import dsn
from shared.access import Role
from shared.bus import Record, to_record
from shared.register import partition_of
from shared.rubric import Agency, Label
from tests.flow import ledgers
from tests.flow.office import SMALL, Office, rubric, until

NORTH, EAST = "north", "east"
STUDIED: Final = {"3.1": "20", "3.2": "10"}
DECLARED: Final = {NORTH: {"1.1": "20", "1.2": "95"}, EAST: {"1.1": "10", "1.2": "95"}}
WITHOUT: Final = {NORTH: "75.00", EAST: "65.00"}
MENDED: Final = [(1, EAST, "80.00"), (2, NORTH, "75.00")]
"""Totals without the missing entry, and the table with it: the council gives 25 points instead of 10."""
YET_TO_DO: Final = frozenset({"heads-not-archived", "approval-missing"})
FOLLOWERS: Final = [service for service in SERVICES if "appraisal" in ledgers.FOLLOWS[service]]


async def test_a_parked_log_holds_its_own_period_up_until_what_is_missing_has_come(stack: Stack) -> None:
    agencies = [Agency(id=name, name=Label(vi=name)) for name in (NORTH, EAST)]
    async with await Office.plan(stack, "parked", ("central", rubric(SMALL), agencies)) as office:
        await _finalise(office)
        log, before = f"appraisal/{office.period}", await _own(office)
        async with _unsent(stack, log):
            at = await _leave_a_hole(office, log)
            await _only_this_log_is_parked(office, log, at)
            assert {agency: (await office.card(agency))["card"]["total"] for agency in office.groups} == WITHOUT
            await _both_decisions_are_refused(office, log)
            assert await _own(office) == before
            await _another_period_goes_on(office, partition_of(log))
            assert {*await _parked(office)} == {(service, log) for service in FOLLOWERS}
        await until(lambda: _level(office, log))
        assert await _parked(office) == {}
        assert await office.obstacles() == {("finalising-outdated", log)}
        await office.finalise()
        digest = (await office.consolidate())["digest"]
        await office.approve(digest)
        index = await office.publish()
        assert [(row["rank"], row["agency"], row["total"]) for row in index["table"]] == MENDED
        assert index["digest"] == digest
        assert await _parked(office) == {}


async def _finalise(office: Office) -> None:
    """A whole period, ready to be consolidated."""
    await office.open()
    await office.assess_all(DECLARED)
    for agency in office.groups:
        await office.recognise(agency)
        await office.correct(agency, "2.1", "5", "appraised-directly")
        await office.study(agency, STUDIED)
    await office.close()
    await office.finalise()
    assert await office.obstacles() == frozenset()


@asynccontextmanager
async def _unsent(stack: Stack, log: str) -> AsyncIterator[None]:
    """The relay, level until now, sends one more batch of the log and then waits: its cursor there is locked."""
    service = log.partition("/")[0]
    level = "SELECT 1 FROM log JOIN relayed ON relayed.log = log.name AND relayed.size = log.size WHERE log.name = $1"
    await until(lambda: ledgers.rows(stack, service, level, log))
    connection = await asyncpg.connect(dsn(stack.owner_url(service)))
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM relayed WHERE log = $1 FOR UPDATE", log)
            yield
    finally:
        await connection.close()


async def _leave_a_hole(office: Office, log: str) -> int:
    """The council adjusts, and the topic has that entry damaged and the one behind it whole; the missing position.

    No other entry that the log gets here moves a score, so that the result without this one looks finished.
    """
    await office.assign("central", "1", role=Role.MONITOR)
    missing = len(await ledgers.entries(office.stack, "appraisal", log))
    await until(lambda: _applied(office, log, missing))
    await office.adjust(EAST, "1.1", "25")
    lost, later = map(to_record, (await ledgers.entries(office.stack, "appraisal", log))[missing:])
    await _write(office.stack, log, [lost._replace(value=b"{}"), later])
    return missing


async def _write(stack: Stack, log: str, records: Sequence[Record]) -> None:
    """Write records past the service into the log's partition, all or none: no follower sees a part of them."""
    topic = f"parindex.{log.partition('/')[0]}"
    async with AIOKafkaProducer(bootstrap_servers=stack.kafka, acks="all") as producer:
        batch = producer.create_batch()
        for key, value, headers in records:
            assert batch.append(key=key, value=value, timestamp=None, headers=headers)
        await (await producer.send_batch(batch, topic, partition=partition_of(log)))


async def _only_this_log_is_parked(office: Office, log: str, at: int) -> None:
    """Each service that follows the log shows it parked where the hole is, and why, and no other log."""

    async def parked() -> bool:
        return len(await _parked(office)) >= len(FOLLOWERS)

    await until(parked)
    reason = f"a malformed record where entry {at} is next: the data is not what the header's datahash commits to"
    assert await _parked(office) == {(service, log): (at, reason) for service in FOLLOWERS}


async def _both_decisions_are_refused(office: Office, log: str) -> None:
    """The parked log is named, and nothing else but what only the archive and the approver have yet to do."""
    officer = await office.by(Role.OFFICER)
    for decision in ("consolidation", "publication"):
        with pytest.raises(Refused) as refusal:
            await officer.post("scoring", office.here(rest=f"/{decision}"))
        assert (refusal.value.problem["status"], refusal.value.code) == (409, "obstacles-remain")
        errors = [error for error in refusal.value.problem["errors"] if error["code"] not in YET_TO_DO]
        assert errors == [{"code": "log-parked", "detail": "the log is parked", "place": log}]


async def _another_period_goes_on(office: Office, partition: int) -> None:
    """A period begins whose log lies in the same partition; it is followed past the parked one."""
    names = (f"{office.period}-beside-{number}" for number in count())
    name = next(name for name in names if partition_of(f"appraisal/{name}") == partition)
    groups = [("central", rubric(SMALL), [Agency(id=NORTH, name=Label(vi=NORTH))])]
    async with await Office.plan(office.stack, "beside", *groups, period=name) as other:
        await other.begin()
        await other.seat()
        await until(lambda: _level(other, f"appraisal/{name}"))


async def _own(office: Office) -> list[bytes]:
    """The entries of the period's scoring log."""
    return [entry.leaf for entry in await ledgers.entries(office.stack, "scoring", f"scoring/{office.period}")]


async def _level(office: Office, log: str) -> bool:
    """Whether all who follow the log have applied all that stands in it, and none has it parked."""
    size = len(await ledgers.entries(office.stack, log.partition("/")[0], log))
    parked = await _parked(office)
    return await _applied(office, log, size) and not any((each, log) in parked for each in FOLLOWERS)


async def _applied(office: Office, log: str, size: int) -> bool:
    follows = [await _follows(office, service) for service in FOLLOWERS]
    return all(log in each and each[log]["size"] == size for each in follows)


async def _parked(office: Office) -> dict[tuple[str, str], tuple[int, str]]:
    """What is parked anywhere: (service, log) → the size it was followed to, and why it goes no further."""
    return {
        (service, log): (line["size"], line["reason"])
        for service in SERVICES
        for log, line in (await _follows(office, service)).items()
        if line["parked"]
    }


async def _follows(office: Office, service: str) -> dict[str, dict[str, Any]]:
    answer = await office.http.get(f"{office.stack.services[service]}/health/progress")
    return {line["log"]: line for line in answer.json()["follows"]}
