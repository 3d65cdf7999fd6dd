"""Every process is killed while requests flow: no accepted request is lost, none is done twice, the cards are right."""

import hmac
import os
import random
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from deploy.local import compose
from deploy.local.home import SERVICES
from deploy.local.record import State
from deploy.local.stack import Stack
from services.scoring.replay import Result, replay
from shared.access import Role, actor_id
from shared.bus import Bus, Publisher
from shared.events import Entry
from shared.events.scoring import Head
from shared.rubric import Agency, Label
from tests.flow import ledgers
from tests.flow.office import RUBRICS, SMALL, Office, rubric, until
from tests.flow.storm import Ballot, Call, Message, Storm, fresh_key
from tests.flow.vinh_phuc import DECLARED, ITEMS

# all of it takes about two minutes on two cores of its own; these bounds hold on a machine that others use as well
pytestmark = pytest.mark.timeout(900)
PARTS: Final = (*SERVICES, "kafka", "postgres")
MORE_KILLS: Final = 1
DECLARATIONS, MESSAGES, APPRAISALS, STUDIES, BALLOTS = 3300, 400, 500, 300, 300
EVENTS: Final = DECLARATIONS + MESSAGES + 2 * APPRAISALS + STUDIES
"""An appraisal is one entry and its reason another; what the ballot boxes append comes on top."""
REPEATS: Final = 60
STORM_SECONDS: Final = 360.0
LEVEL_SECONDS: Final = 120.0
SCORED: Final = ("submission", "appraisal", "survey")
PREFIX: Final = "parindex"
FORM: Final = "citizen-form"
ANSWERS: Final = {
    "attitude": ("a", "b", "c", "d", "dont-know", None),
    "content": ("very", "content", "neutral", "little", "not", "dont-know", None),
}


@dataclass(frozen=True)
class Cast:
    """The agencies by what they do in the storm; their ids are no other period's, since intake topics are theirs."""

    declaring: Sequence[str]
    systems: Sequence[str]
    appraised: Sequence[str]
    polled: str

    @classmethod
    def of(cls, name: str) -> "Cast":
        """So many agencies of this name."""
        ids = [f"{name}-{number:02}" for number in range(19)]
        return cls(ids[:12], ids[12:14], ids[14:18], ids[18])

    @property
    def central(self) -> list[str]:
        """All but the polled one."""
        return [*self.declaring, *self.systems, *self.appraised]


@dataclass(frozen=True)
class Survived:
    """A period after its storm: what was asked, and `logs`, its four logs from the databases of their services."""

    office: Office
    cast: Cast
    storm: Storm
    calls: Sequence[Call]
    messages: Sequence[Message]
    ballots: Sequence[Ballot]
    before: Mapping[str, int]
    """The size of each log when the storm began."""
    logs: Mapping[str, list[Entry]]

    @property
    def stack(self) -> Stack:
        """The stack that was stormed."""
        return self.office.stack

    def log(self, service: str) -> list[Entry]:
        """The period's log of a service."""
        return self.logs[f"{service}/{self.office.period}"]


@pytest_asyncio.fixture(scope="module")
async def survived(stack: Stack) -> AsyncIterator[Survived]:
    """A period through a storm, once all is level again; PARINDEX_CRASH_SEED repeats a run's moments."""
    seed = int(os.environ.get("PARINDEX_CRASH_SEED") or secrets.randbits(32))
    chance, cast = random.Random(seed), Cast.of(f"crash-{secrets.token_hex(2)}")  # noqa: S311 - moments, not secrets
    publisher = Publisher(Bus(stack.kafka, PREFIX))
    async with await _plan(stack, cast) as office:
        closes = await _open(office, cast)
        ballots = await _ballots(office, cast, chance)
        declarations, appraisals = await _declarations(office, cast, chance), await _appraisals(office, cast, chance)
        studies = await _studies(office, cast, chance)
        messages = _messages(office, publisher, cast, chance)
        before = {log: len(entries) for log, entries in (await _logs(office)).items()}
        victims = [*PARTS, *chance.choices(PARTS, k=MORE_KILLS)]
        storm = Storm(stack, chance, [declarations, appraisals, studies, messages, ballots], victims)
        _tell(f"seed {seed}: {storm.plan}")
        begun = time.monotonic()
        try:
            await storm.rage(STORM_SECONDS)
        finally:
            _tell(f"{storm.answered} answered in {time.monotonic() - begun:.1f} s; {storm.kills}; {storm.failures}")
            await publisher.close()
        await until(lambda: _is_receipted(stack, cast), LEVEL_SECONDS)
        await ledgers.level(stack, office.period, LEVEL_SECONDS)
        await office.forward(closes)
        await office.complete("poll")
        await ledgers.level(stack, office.period, LEVEL_SECONDS)
        calls = [*declarations, *appraisals, *studies]
        lost = sum(call.answer["repeated"] for call in calls)
        _tell(f"level again after {time.monotonic() - begun:.1f} s; {lost} first answers were lost")
        yield Survived(office, cast, storm, calls, messages, ballots, before, await _logs(office))


def _tell(line: str) -> None:
    print(line)  # noqa: T201 - a failure shows what the run did


async def _plan(stack: Stack, cast: Cast) -> Office:
    central = [Agency(id=each, name=Label(vi=each)) for each in cast.central]
    return await Office.plan(
        stack,
        "crash",
        ("central", rubric(RUBRICS / "vinh-phuc-2019.yaml"), central),
        ("polled", rubric(SMALL), [Agency(id=cast.polled, name=Label(vi=cast.polled))]),
    )


async def _open(office: Office, cast: Cast) -> datetime:
    """Open the period and a campaign; who will be appraised has submitted. When the campaign closes."""
    await office.open()
    closes = await office.campaign("poll", "polled", timedelta(hours=2))
    for agency in cast.appraised:
        await office.assess(agency, dict(zip(ITEMS, DECLARED["bhxh"], strict=True)))
        await office.recognise(agency)
    return closes


async def _ballots(office: Office, cast: Cast, chance: random.Random) -> list[Ballot]:
    officer, anyone = await office.by(Role.SURVEY_OFFICER), await office.by(None)
    body = {"agency": cast.polled, "form": FORM, "count": BALLOTS}
    issued = await officer.post("survey", office.here(rest="/campaigns/poll/invitations"), body)
    return [
        Ballot(anyone, token, {question: chance.choice(options) for question, options in ANSWERS.items()})
        for token in issued["tokens"]
    ]


def _data(chance: random.Random) -> tuple[str, str]:
    """An item of the rubric and data that fit it."""
    at = chance.randrange(len(ITEMS))
    return ITEMS[at], chance.choice([row[at] for row in DECLARED.values()])


async def _declarations(office: Office, cast: Cast, chance: random.Random) -> list[Call]:
    calls = []
    for _ in range(DECLARATIONS):
        agency, (item, data) = chance.choice(cast.declaring), _data(chance)
        client, subject = await office.by(Role.AGENCY, agency), office.subject(f"{Role.AGENCY}-{agency}")
        path = office.here(agency, f"/items/{item}")
        calls.append(Call(client, subject, "submission", "PUT", path, {"data": data}, fresh_key(chance), 1))
    return calls


async def _appraisals(office: Office, cast: Cast, chance: random.Random) -> list[Call]:
    calls, client, subject = [], await office.by(Role.APPRAISER), office.subject(f"{Role.APPRAISER}-")
    for _ in range(APPRAISALS):
        item, data = _data(chance)
        body = {"data": data, "reason_code": "data-corrected", "reason": "Theo tài liệu kiểm chứng."}
        path = office.here(chance.choice(cast.appraised), f"/items/{item}/appraisal")
        calls.append(Call(client, subject, "appraisal", "PUT", path, body, fresh_key(chance), 2))
    return calls


async def _studies(office: Office, cast: Cast, chance: random.Random) -> list[Call]:
    calls, client, subject = [], await office.by(Role.SURVEY_OFFICER), office.subject(f"{Role.SURVEY_OFFICER}-")
    about = {"document": "1007/QĐ-UBND", "dated": "2020-04-24", "source": "Điều tra xã hội học"}
    for _ in range(STUDIES):
        body = {**about, "points": {"9.1": f"{chance.randrange(2000, 3500) / 100:.2f}"}}
        path = office.here(rest=f"/studies/{chance.choice(cast.central)}")
        calls.append(Call(client, subject, "survey", "PUT", path, body, fresh_key(chance), 1))
    return calls


def _messages(office: Office, publisher: Publisher, cast: Cast, chance: random.Random) -> list[Message]:
    messages = []
    for _ in range(MESSAGES):
        agency, (item, data) = chance.choice(cast.systems), _data(chance)
        body = {"period": office.period, "item": item, "data": data}
        topic = _topics(agency)[0]
        messages.append(Message(publisher, topic, agency, "parindex.intake.declare.v1", body, fresh_key(chance)))
    return messages


def _topics(agency: str) -> tuple[str, str]:
    """An agency's intake topic and that of its receipts."""
    bus = Bus("", PREFIX)
    return bus.intake_topic(agency), bus.receipts_topic(agency)


async def _is_receipted(stack: Stack, cast: Cast) -> bool:
    """Whether the broker is back and each intake topic has as many receipts as messages, or more."""
    pairs = [[TopicPartition(topic, 0) for topic in _topics(agency)] for agency in cast.systems]
    try:
        async with Bus(stack.kafka, PREFIX).reader() as reader:
            ends = await reader.end_offsets([place for pair in pairs for place in pair])
    except KafkaError:
        return False
    return all(ends[receipts] >= ends[intake] for intake, receipts in pairs)


async def _topic(stack: Stack, name: str) -> list[Any]:
    """All records of a topic of one partition."""
    place = TopicPartition(name, 0)
    async with Bus(stack.kafka, PREFIX).reader() as reader:
        reader.assign([place])
        end, records = (await reader.end_offsets([place]))[place], list[Any]()
        while len(records) < end:
            records += (await reader.getmany(place, timeout_ms=1000)).get(place, [])
    return records


async def _logs(office: Office) -> dict[str, list[Entry]]:
    named = {service: f"{service}/{office.period}" for service in SERVICES}
    return {log: await ledgers.entries(office.stack, service, log) for service, log in named.items()}


def _causation(stack: Stack, service: str, door: str, actor: str, key: str) -> str:
    """The causation id of a request as the format states it."""
    secret = bytes.fromhex((stack.secrets / f"{service}-secret").read_text().strip())
    return hmac.digest(secret, "\0".join((door, actor, key)).encode(), "sha256")[:16].hex()


def _actor(stack: Stack, issuer: str, subject: str) -> str:
    return actor_id(bytes.fromhex((stack.secrets / "identity-secret").read_text().strip()), issuer, subject)


def _by_causation(log: Sequence[Entry]) -> dict[str, list[Entry]]:
    found = defaultdict(list)
    for entry in log:
        found[entry.header["causationid"]].append(entry)
    return found


def _asked(survived: Survived) -> Iterator[tuple[str, str, int]]:
    """Each request of the storm with a key: its service, its causation id, the number of its entries."""
    stack = survived.stack
    issuer = compose.read(stack.home.variables)["submission"].environment["PARINDEX_ISSUER"]
    for call in survived.calls:
        actor = _actor(stack, issuer, call.subject)
        yield call.service, _causation(stack, call.service, "http", actor, call.key), call.entries
    for message in survived.messages:
        actor = _actor(stack, "", f"agency:{message.agency}")
        yield "submission", _causation(stack, "submission", "intake", actor, message.key), 1


async def test_each_process_was_killed_while_requests_were_under_way(survived: Survived) -> None:
    assert EVENTS >= 5000
    assert {kill.name for kill in survived.storm.kills} == {*PARTS}
    assert len({(kill.name, kill.pid) for kill in survived.storm.kills}) == len(PARTS) + MORE_KILLS
    assert all(kill.answered < survived.storm.size for kill in survived.storm.kills)
    assert any(call.sent > 1 for call in survived.calls)
    record = survived.stack.record
    assert record is not None
    assert {name: record.processes[name].state for name in PARTS} == dict.fromkeys(PARTS, State.READY)
    assert all(survived.stack.pid(kill.name) != kill.pid for kill in survived.storm.kills)


async def test_every_accepted_request_is_in_its_log_once(survived: Survived) -> None:
    found = {service: _by_causation(survived.log(service)) for service in SCORED}
    wrong = [
        (service, causation, [entry.position for entry in found[service][causation]])
        for service, causation, count in _asked(survived)
        if len(found[service].get(causation, ())) != count
    ]
    assert wrong == []
    for call in survived.calls:
        log, position = survived.log(call.service), call.answer["position"]
        mine = log[position : position + call.entries]
        assert mine[0].id == call.answer["entry"]
        assert len({entry.header["causationid"] for entry in mine}) == 1
        assert found[call.service][mine[0].header["causationid"]] == mine


async def test_a_repeat_after_the_storm_gets_the_first_answer(survived: Survived) -> None:
    for call in survived.calls[:: len(survived.calls) // REPEATS]:
        first = call.answer
        await call.send()
        assert call.answer == {**first, "repeated": True}
    assert {log: len(entries) for log, entries in (await _logs(survived.office)).items()} == {
        log: len(entries) for log, entries in survived.logs.items()
    }


async def test_the_logs_hold_nothing_that_nobody_asked_for(survived: Survived) -> None:
    asked = {service: set[str]() for service in SCORED}
    expected = Counter[str]()
    for service, causation, count in _asked(survived):
        asked[service].add(causation)
        expected[service] += count
    for service in SCORED:
        since = survived.log(service)[survived.before[f"{service}/{survived.office.period}"] :]
        others = [entry for entry in since if entry.header["causationid"] not in asked[service]]
        assert len(since) - len(others) == expected[service]
        boxes = {"survey.responses-recorded.v1", "survey.form-completed.v1", "survey.survey-completed.v1"}
        assert {entry.type for entry in others} <= (boxes if service == "survey" else set())
    assert sum(expected.values()) == EVENTS


async def test_positions_and_versions_have_no_gap(survived: Survived) -> None:
    for log, entries in survived.logs.items():
        assert [entry.position for entry in entries] == list(range(len(entries))), log
        versions = defaultdict(list)
        for entry in entries:
            versions[entry.header["subject"]].append(entry.version)
        assert all(each == list(range(1, len(each) + 1)) for each in versions.values()), log


async def test_every_copy_of_a_log_has_the_root_of_the_ledgers_own(survived: Survived) -> None:
    for service, followed in ledgers.FOLLOWS.items():
        for other in followed:
            for log in (f"{other}/{survived.office.period}", f"{other}/register"):
                own = await ledgers.entries(survived.stack, other, log)
                copy = await ledgers.entries(survived.stack, service, log, "followed")
                assert (len(copy), ledgers.root(copy)) == (len(own), ledgers.root(own)), (service, log)
                assert all(mine.data_holds() and mine.data == its.data for mine, its in zip(copy, own, strict=True))
        assert await ledgers.rows(survived.stack, service, "SELECT log, reason FROM parked") == []


async def test_every_message_has_one_receipt(survived: Survived) -> None:
    positions = {entry.position: entry for entry in survived.log("submission")}
    for agency in survived.cast.systems:
        intake, receipts = [await _topic(survived.stack, topic) for topic in _topics(agency)]
        ids = [dict(record.headers)["ce_id"].decode() for record in intake]
        assert {*ids} == {message.key for message in survived.messages if message.agency == agency}
        assert [int(dict(record.headers)["ce_intakeoffset"]) for record in receipts] == list(range(len(intake)))
        told = [orjson.loads(record.value) for record in receipts]
        assert [(each["request"], each["status"]) for each in told] == [(name, "accepted") for name in ids]
        entries = {
            each["request"]: {other["position"] for other in told if other["request"] == each["request"]}
            for each in told
        }
        assert all(len(each) == 1 for each in entries.values())
        assert all(positions[each["position"]].id == each["entry"] for each in told)


async def test_every_ballot_is_counted_once(survived: Survived) -> None:
    officer = await survived.office.by(Role.SURVEY_OFFICER)
    campaign = await officer.get("survey", survived.office.here(rest="/campaigns/poll"))
    [polled] = [each for each in campaign["agencies"] if each["agency"] == survived.cast.polled]
    [form] = [each for each in polled["forms"] if each["form"] == FORM]
    assert form["ballots"] == BALLOTS
    counts = {question: Counter(cast.answers[question] or "blank" for cast in survived.ballots) for question in ANSWERS}
    assert form["counts"] == counts


def _replayed(survived: Survived, heads: Mapping[str, Mapping[str, Any]]) -> Result:
    """A replay from the ledgers at the heads that an answer names, once their roots are found right."""
    logs = {f"{service}/{survived.office.period}": survived.log(service) for service in SCORED}
    assert heads.keys() == logs.keys()
    assert {log: ledgers.root(entries[: heads[log]["size"]]).hex() for log, entries in logs.items()} == {
        log: head["root"] for log, head in heads.items()
    }
    return replay(logs, {log: Head.model_validate(head) for log, head in heads.items()}, final=False)


async def test_the_live_table_is_that_of_a_replay_from_the_ledgers(survived: Survived) -> None:
    officer = await survived.office.by(Role.OFFICER)
    table = await officer.get("scoring", survived.office.here(rest="/table"))
    result = _replayed(survived, table["heads"])
    rows = [row.model_dump(mode="json", exclude_none=True) for row in result.table]
    assert [{name: row[name] for name in mine} for row, mine in zip(table["rows"], rows, strict=True)] == rows
    assert {head["size"] for head in table["heads"].values()} == {len(survived.log(service)) for service in SCORED}


async def test_every_scorecard_is_that_of_a_replay_from_the_ledgers(survived: Survived) -> None:
    totals = set()
    for agency in (*survived.cast.central, survived.cast.polled):
        shown = await survived.office.card(agency)
        result = _replayed(survived, shown["heads"])
        assert shown["card"] == result.cards[agency].model_dump(mode="json", exclude_none=True), agency
        totals.add(shown["card"]["total"])
    assert len(totals) > len(survived.cast.central) // 2
