"""The ledger: one order a log, one winner a key, nothing changed afterwards."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from asyncpg.exceptions import InternalClientError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.decider import Decider, Rejected
from shared.events import Entry, Event, data_hash
from shared.events.submission import NotApplicableReasoned, PointsDeclared
from shared.ledger import EVERY, Accepted, Ledger, Moment, Projection
from shared.register import Register
from shared.settings import Generation
from shared.tlog.merkle import Frontier, leaf_hash
from shared.tlog.note import VerificationKey
from tests.conftest import Database

LOG = "submission/2024-year"


class Declare:
    """Declare the next of a row of items, at most `limit` in all."""

    LIMIT: ClassVar[int] = 10_000

    def __init__(self, item: str, limit: int = LIMIT, reason: str | None = None) -> None:
        self.item, self.limit, self.reason = item, limit, reason


def _decide(state: int, command: Declare) -> list[Event]:
    if state >= command.limit:
        raise Rejected("too-many", "no more")
    if command.item == "broken":
        raise ZeroDivisionError
    declared = PointsDeclared(agency="a-017", item=command.item, data=str(state), points="1")
    if command.reason is None:
        return [declared]
    return [declared, NotApplicableReasoned(agency="a-017", item=command.item, of=0, reason=command.reason)]


def _evolve(state: int, event: Event) -> int:
    return state + 1


COUNTER: Decider[int, Declare, Event] = Decider(0, _decide, _evolve)


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(database.url, pool_size=20)
    yield engine
    await engine.dispose()


async def _open(engine: AsyncEngine) -> Ledger:
    ledger = Ledger(engine, "parindex.test", "submission", b"s" * 32)
    register = Register(ledger, Generation("2024", b"g" * 32))
    await register.start()
    await register.open(LOG)
    return ledger


@pytest.fixture
async def ledger(engine: AsyncEngine) -> AsyncIterator[Ledger]:
    ledger = await _open(engine)
    yield ledger
    await ledger.close()


async def append(
    ledger: Ledger, key: str, item: str = "1.1", stream: str = "self-assessment/a-017", **rest: object
) -> Accepted:
    command = Declare(item, **{name: rest.pop(name) for name in ("limit", "reason") if name in rest})  # type: ignore[arg-type]
    return await ledger.execute(
        COUNTER,
        LOG,
        stream,
        lambda _: command,
        actor="0" * 32,
        door="http",
        key=key,
        digest=hashlib.sha256(repr((item, stream)).encode()).digest(),
        **rest,  # type: ignore[arg-type]
    )


async def whole(ledger: Ledger) -> list[Entry]:
    return await ledger.read(LOG, 0, 1_000_000)


async def test_eight_writers_leave_no_gap_and_lose_no_update(engine: AsyncEngine) -> None:
    ledgers = [await _open(engine) for _ in range(8)]  # as eight replicas of the service
    answers = await asyncio.gather(
        *(append(ledger, f"{number}-{turn}") for number, ledger in enumerate(ledgers) for turn in range(25))
    )
    entries = await whole(ledgers[0])
    assert [entry.position for entry in entries] == list(range(200))
    assert [entry.version for entry in entries] == list(range(1, 201))
    # each was decided on the state that the ones before it left
    assert [entry.event.data for entry in entries if isinstance(entry.event, PointsDeclared)] == [
        str(n) for n in range(200)
    ]
    assert sorted(answer.first for answer in answers) == list(range(200))
    for ledger in ledgers:
        await ledger.close()


async def test_one_key_has_one_winner_however_many_send_it(engine: AsyncEngine) -> None:
    ledgers = [await _open(engine) for _ in range(4)]
    answers = await asyncio.gather(*(append(ledger, "the-key") for ledger in ledgers for _ in range(4)))
    assert {(answer.first, answer.entry_id) for answer in answers} == {(0, (await whole(ledgers[0]))[0].id)}
    assert [answer.repeated for answer in answers].count(False) == 1
    for ledger in ledgers:
        await ledger.close()


async def test_a_key_with_other_content_is_refused(ledger: Ledger) -> None:
    await append(ledger, "k", "1.1")
    with pytest.raises(Rejected, match="idempotency-key-reused"):
        await append(ledger, "k", "1.2")
    assert len(await whole(ledger)) == 1


async def test_a_refused_command_leaves_no_trace_and_hurts_no_other_of_its_batch(ledger: Ledger) -> None:
    outcomes = await asyncio.gather(
        append(ledger, "a"),
        append(ledger, "b", limit=0),
        append(ledger, "c", "broken"),
        append(ledger, "d"),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], Rejected)
    assert isinstance(outcomes[2], ZeroDivisionError)
    assert [entry.event.data for entry in await whole(ledger) if isinstance(entry.event, PointsDeclared)] == ["0", "1"]
    assert (await append(ledger, "b")).first == 2  # a refused key may be used again


async def test_the_frontier_of_the_log_is_the_tree_over_its_leaf_entries(ledger: Ledger) -> None:
    await asyncio.gather(*(append(ledger, str(turn)) for turn in range(37)))
    head = (await ledger.heads())[LOG]
    assert head == Frontier().extend([leaf_hash(entry.leaf) for entry in await whole(ledger)])
    assert head.size == 37


async def test_a_header_says_who_when_where_and_commits_to_the_data(ledger: Ledger) -> None:
    await append(ledger, "k", traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    [entry] = await whole(ledger)
    header = entry.header
    assert set(header) == {
        "specversion", "type", "datacontenttype", "id", "source", "subject", "time", "position", "version", "actor",
        "causationid", "traceparent", "datahash",
    }  # fmt: skip
    assert header["source"] == "parindex.test/submission/2024-year"
    assert header["causationid"] == ledger.causation("http", "0" * 32, "k")
    assert entry.salt is not None
    assert entry.data is not None
    assert header["datahash"] == data_hash(entry.salt, entry.data)
    assert entry.data_holds()
    assert not Entry(LOG, 0, entry.leaf, entry.salt, entry.data + b" ").data_holds()


async def test_a_stale_version_is_refused(ledger: Ledger) -> None:
    await append(ledger, "a", expected_version=0)
    with pytest.raises(Rejected, match="stale-version"):
        await append(ledger, "b", expected_version=0)
    assert (await append(ledger, "c", expected_version=1)).version == 2


async def test_a_state_can_rest_on_other_streams_of_the_log(ledger: Ledger) -> None:
    await append(ledger, "a", stream="self-assessment/a-001")
    await append(ledger, "b", stream="self-assessment/a-002", reads=("self-assessment/a-001",))
    await append(ledger, "c", stream="period", reads=(EVERY,))
    await append(ledger, "d", stream="period", reads=(EVERY,))
    data = [entry.event.data for entry in await whole(ledger) if isinstance(entry.event, PointsDeclared)]
    assert data == ["0", "1", "2", "3"]


async def test_erasable_events_never_reach_a_state(ledger: Ledger) -> None:
    await append(ledger, "a", reason="vì không phát sinh")
    await append(ledger, "b")
    entries = await whole(ledger)
    assert [entry.type for entry in entries][1] == "submission.not-applicable-reasoned.v1"
    assert isinstance(entries[2].event, PointsDeclared)
    assert entries[2].event.data == "1"


async def test_a_decision_names_the_prefixes_of_other_logs_that_it_rests_on(
    ledger: Ledger, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO cursor (log, size) VALUES ('appraisal/2024-year', 0)"))
    seen: list[object] = []

    def command(moment: Moment) -> Declare:
        seen.append(moment.seen)
        return Declare("1.1")

    projection: Projection[int] = Projection(7, lambda state, entries: state + len(entries), "followed")
    await ledger.execute(
        COUNTER, LOG, "period", command, actor="a", door="http", key="k", digest=b"",
        sees=[projection.of("appraisal/2024-year"), projection.of("scoring/2024-year")],
    )  # fmt: skip
    assert seen == [{"appraisal/2024-year": 7, "scoring/2024-year": 7}]
    assert (await whole(ledger))[0].header["seen"] == "appraisal/2024-year@0 scoring/2024-year@0"


async def test_a_log_that_nobody_opened_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Rejected, match="log-unknown"):
        await ledger.execute(
            COUNTER,
            "submission/2031-year",
            "period",
            lambda _: Declare("1.1"),
            actor="a",
            door="http",
            key="k",
            digest=b"",
        )


async def test_no_entry_bears_a_time_before_the_one_before_it_and_a_clock_far_behind_appends_nothing(
    ledger: Ledger, database: Database
) -> None:
    await append(ledger, "a")
    owner = create_async_engine(database.owner_url)
    ahead = datetime.now(UTC) + timedelta(seconds=3)
    async with owner.begin() as connection:
        await connection.execute(
            text("UPDATE log SET last_time = :time WHERE name = :log"), {"time": ahead, "log": LOG}
        )
    await append(ledger, "b")
    assert (await whole(ledger))[1].time == ahead
    async with owner.begin() as connection:
        far = {"time": ahead + timedelta(minutes=1), "log": LOG}
        await connection.execute(text("UPDATE log SET last_time = :time WHERE name = :log"), far)
    await owner.dispose()
    with pytest.raises(Rejected, match="clock-behind-log"):
        await append(ledger, "c")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET data = 'x'",
        "DELETE FROM entry",
        "TRUNCATE entry CASCADE",
        "UPDATE request SET first = 0",
        "DELETE FROM request",
        "DELETE FROM log",
        "UPDATE clock_offset SET delta = interval '1 day'",
        "DELETE FROM checkpoint",
        "ALTER TABLE entry DROP COLUMN salt",
    ],
)
async def test_the_services_own_role_cannot_change_or_remove_what_is_recorded(
    ledger: Ledger, engine: AsyncEngine, statement: str
) -> None:
    await append(ledger, "a")
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        async with engine.begin() as connection:
            await connection.execute(text(statement))


async def test_a_repeat_after_a_restart_gets_the_first_answer(ledger: Ledger, engine: AsyncEngine) -> None:
    first = await append(ledger, "a")
    await append(ledger, "b")
    again = await append(await _open(engine), "a")
    assert (again.first, again.count, again.version, again.entry_id) == (first.first, 1, 1, first.entry_id)
    assert again.repeated


async def test_connections_cut_in_the_middle_lose_and_double_nothing(ledger: Ledger, database: Database) -> None:
    owner = create_async_engine(database.admin_url)
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    async def cutter() -> None:
        for _ in range(5):
            await asyncio.sleep(0.03)
            async with owner.begin() as connection:
                await connection.execute(cut)

    cutting = asyncio.create_task(cutter())
    answers = [await asyncio.gather(*(append(ledger, f"{wave}-{turn}") for turn in range(20))) for wave in range(10)]
    await cutting
    await owner.dispose()
    positions = [answer.first for wave in answers for answer in wave]
    assert sorted(positions) == list(range(200))
    assert [entry.position for entry in await whole(ledger)] == list(range(200))


async def test_a_batch_is_tried_again_when_the_driver_loses_track_of_a_cut_connection(ledger: Ledger) -> None:
    confusions = [InternalClientError("cannot switch to state 15; another operation (2) is in progress")]

    async def confused(_: AsyncConnection) -> None:
        if confusions:
            raise confusions.pop()

    answer = await append(ledger, "one", within=confused)
    assert (answer.first, answer.repeated, len(await whole(ledger))) == (0, False, 1)


async def _cut(engine: AsyncEngine) -> None:
    """End the session that holds an advisory lock, as a restart of the server does."""
    async with engine.begin() as connection:
        holders = "SELECT pid FROM pg_locks JOIN pg_database ON oid = database"
        here = "locktype = 'advisory' AND datname = current_database()"
        cut = f"SELECT count(pg_terminate_backend(pid)) FROM ({holders} WHERE {here}) AS holder"  # noqa: S608 - constants
        assert (await connection.execute(text(cut))).scalar_one() == 1


async def test_an_exclusive_name_has_one_holder_at_a_time(ledger: Ledger) -> None:
    async with (
        ledger.exclusive("relay") as first,
        ledger.exclusive("relay") as second,
        ledger.exclusive("other") as other,
    ):
        assert (first, second, other) == (True, False, True)
    async with ledger.exclusive("relay") as again:
        assert again


async def test_a_lost_connection_does_not_hide_what_failed_under_its_lock_and_frees_the_lock(
    ledger: Ledger, engine: AsyncEngine
) -> None:
    async def fail_while_cut_off() -> None:
        async with ledger.exclusive("relay") as held:
            assert held
            await _cut(engine)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_while_cut_off()
    async with ledger.exclusive("relay") as again:
        assert again


async def test_the_register_names_the_deployment_first_and_then_every_log_with_its_key(ledger: Ledger) -> None:
    entries = await ledger.read("submission/register", 0, 10)
    assert [entry.type for entry in entries] == [
        "submission.register-opened.v1",
        "submission.log-opened.v1",
        "submission.log-opened.v1",
    ]
    opened = entries[2].event
    assert opened is not None
    key = VerificationKey.parse(opened.model_dump()["key"])
    assert key.name == "parindex.test/submission/2024-year"
    assert len(await ledger.heads()) == 2


async def test_every_changed_byte_of_a_log_is_found(ledger: Ledger) -> None:
    await append(ledger, "a", reason="vì không phát sinh")
    await append(ledger, "b")
    entries, head = await whole(ledger), (await ledger.heads())[LOG]

    def holds(changed: list[Entry]) -> bool:
        root = Frontier().extend([leaf_hash(entry.leaf) for entry in changed]).root()
        return root == head.root() and all(entry.data_holds() for entry in changed)

    assert holds(entries)
    flips = 0
    for number, entry in enumerate(entries):
        assert entry.salt is not None
        assert entry.data is not None
        for field, content in (("leaf", entry.leaf), ("salt", entry.salt), ("data", entry.data)):
            for at in range(len(content)):
                changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
                parts = {"leaf": entry.leaf, "salt": entry.salt, "data": entry.data, field: changed}
                forged = Entry(LOG, entry.position, parts["leaf"], parts["salt"], parts["data"])
                forged.__dict__["header"] = entry.header  # the header's own change shows in the root
                assert not holds([*entries[:number], forged, *entries[number + 1 :]]), (number, field, at)
                flips += 1
    assert flips > 1000
