"""A storm: requests by every door under way while the processes of the stack are killed; each request is sent again
with the same key until it is answered."""

import asyncio
import json
import math
import random
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aiokafka.errors import KafkaError

from deploy.client import Client, Refused
from deploy.fault import Fault
from deploy.local.stack import Stack
from shared.bus import Publisher, Record
from tests.flow.office import PAUSE

WORKERS: Final = 24
"""Requests that are under way at a time."""


class Ask(Protocol):
    """One request of the storm."""

    async def send(self) -> None:
        """Send it once; raises Fault or KafkaError if it may or may not have been taken."""


@dataclass
class Call:
    """A request over HTTP by the person `subject`; `entries` is what it appends to the log of its service."""

    client: Client
    subject: str
    service: str
    method: str
    path: str
    body: Mapping[str, Any]
    key: str
    entries: int
    sent: int = 0
    answer: Mapping[str, Any] = field(default_factory=dict)

    async def send(self) -> None:
        """A refusal is a failure of the test, but for those that say that the service cannot answer now."""
        self.sent += 1
        try:
            answer = await self.client.send(self.service, self.method, self.path, self.body, self.key)
        except Refused as refused:
            _may_come_again(refused)
            raise
        self.answer = answer.json()


@dataclass
class Ballot:
    """A ballot: it has no key, its token is spent once."""

    client: Client
    token: str
    answers: Mapping[str, str | None]
    sent: int = 0

    async def send(self) -> None:
        """That the token is spent answers a ballot that was sent before."""
        self.sent += 1
        try:
            await self.client.post("survey", "/ballots", {"token": self.token, "answers": self.answers})
        except Refused as refused:
            if refused.code != "token-spent" or self.sent == 1:
                _may_come_again(refused)
                raise


@dataclass
class Message:
    """A request that an agency's system writes to its intake topic, with the id `key`."""

    publisher: Publisher
    topic: str
    agency: str
    kind: str
    body: Mapping[str, Any]
    key: str

    async def send(self) -> None:
        """Write it and wait for the broker's word that it has it."""
        attributes = {
            "ce_specversion": "1.0",
            "ce_id": self.key,
            "ce_source": f"urn:{self.agency}",
            "ce_type": self.kind,
            "content-type": "application/json",
        }
        headers = [(name, text.encode()) for name, text in attributes.items()]
        record = Record(self.agency.encode(), json.dumps(self.body).encode(), headers)
        await self.publisher.settled([await self.publisher.send(self.topic, record)])


@dataclass(frozen=True)
class Kill:
    """A process that was killed: when so many requests were answered, and its id."""

    name: str
    answered: int
    pid: int


class Storm:
    """Sends all that is asked and kills each of `victims` at a random moment meanwhile.

    `lanes` are worked off side by side, each in its order and at a pace that lets them end together, so that what one
    process cannot answer holds up no other. `plan` says who is killed when how many requests are answered.
    """

    def __init__(
        self, stack: Stack, chance: random.Random, lanes: Sequence[Sequence[Ask]], victims: Sequence[str]
    ) -> None:
        self._stack = stack
        self._lanes = lanes
        self.size = sum(len(lane) for lane in lanes)
        # the last one leaves requests to send
        moments = sorted(chance.sample(range(WORKERS, self.size - 10 * WORKERS), len(victims)))
        self.plan = list(zip(moments, chance.sample(victims, len(victims)), strict=True))
        self.kills: list[Kill] = []
        self.answered = 0
        self.failures: Counter[str] = Counter()

    async def rage(self, seconds: float) -> None:
        """Send everything and kill every victim; fails if that takes longer."""
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for lane in self._lanes:
                waiting = iter(lane)
                for _ in range(math.ceil(WORKERS * len(lane) / self.size)):
                    group.create_task(self._work(waiting))
            group.create_task(self._kill())

    async def _work(self, waiting: Iterator[Ask]) -> None:
        for ask in waiting:
            while True:
                try:
                    await ask.send()
                    break
                except (Fault, KafkaError) as failure:
                    self.failures[failure.code if isinstance(failure, Refused) else str(failure)] += 1
                await asyncio.sleep(PAUSE)
            self.answered += 1

    async def _kill(self) -> None:
        for moment, name in self.plan:
            while self.answered < moment:  # noqa: ASYNC110 - what is awaited is a number that every worker counts up
                await asyncio.sleep(0.001)
            self.kills.append(Kill(name, self.answered, await self._killed(name)))

    async def _killed(self, name: str) -> int:
        while True:
            try:
                return self._stack.kill(name)
            except Fault:  # it is being started again after an earlier kill
                await asyncio.sleep(PAUSE)


def _may_come_again(refused: Refused) -> None:
    """Fail the test unless the service says that it cannot answer now."""
    assert refused.problem["status"] >= 500, refused


def fresh_key(chance: random.Random) -> str:
    """A key that no other request has."""
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
