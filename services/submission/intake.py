"""The intake: requests that agencies' own systems send as CloudEvents, by Kafka or HTTP, with one receipt for each."""

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Final, Literal

import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from services.submission import asks
from services.submission.asks import Ask
from services.submission.desk import Desk
from shared import telemetry
from shared.access import actor_id
from shared.bus import Publisher, Record
from shared.decider import Rejected
from shared.objects import StoreError
from shared.outage import persevere
from shared.web import Terms

MAX_MESSAGE: Final = 256 * 1024
MAX_BATCH: Final = 100
"""Events in one HTTP batch."""
LOOK_SECONDS: Final = 1.0
"""Between two looks for agencies of new periods."""
RECEIPT: Final = "parindex.intake.receipt.v1"
OFFSET: Final = "ce_intakeoffset"
TYPES: Final[Mapping[str, type[Ask]]] = {
    "parindex.intake.declare.v1": asks.Declare,
    "parindex.intake.claim-not-applicable.v1": asks.ClaimNotApplicable,
    "parindex.intake.explain.v1": asks.Explain,
    "parindex.intake.request-upload.v1": asks.RequestUpload,
    "parindex.intake.confirm-evidence.v1": asks.ConfirmEvidence,
    "parindex.intake.withdraw-evidence.v1": asks.WithdrawEvidence,
    "parindex.intake.submit.v1": asks.Submit,
}
"""What may be asked. The head's approval is not among it: a person gives it, over HTTP, with a personal token."""
AGAIN: Final = frozenset({"ledger-unavailable", "clock-behind-log", "store-unavailable", "register-not-open"})
"""Refusals that are none: the request is tried again."""

_logger = logging.getLogger(__name__)


class Receipt(BaseModel):
    """What became of one request: accepted (log, position, entry), refused (code, field), or given a place to upload.

    `request` is the event's id, absent where none could be read; `entry` is absent where nothing had to be appended.
    """

    request: str | None = None
    status: Literal["accepted", "refused", "place"]
    log: str | None = None
    position: int | None = None
    entry: str | None = None
    version: int | None = None
    repeated: bool | None = None
    upload: asks.Upload | None = None
    code: str | None = None
    field: str | None = None
    message: str | None = None
    errors: list[dict[str, str]] | None = None


def parse(value: bytes | None) -> Any:
    """The JSON of a message; Rejected `not-json`, `message-too-large`."""
    if value is not None and len(value) > MAX_MESSAGE:
        raise Rejected("message-too-large", f"a message has at most {MAX_MESSAGE} bytes")
    try:
        return orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        raise Rejected("not-json", "the message is not JSON") from None


def from_kafka(headers: Sequence[tuple[str, bytes]], value: bytes | None) -> dict[str, Any]:
    """The CloudEvent of a Kafka record: binary mode if it has `ce_` headers (its data still bytes), else structured."""
    attributes = {name[3:]: raw.decode(errors="replace") for name, raw in headers if name.startswith("ce_")}
    if not attributes:
        return structured(parse(value))
    types = [raw.decode(errors="replace") for name, raw in headers if name == "content-type"]
    if types:
        attributes["datacontenttype"] = types[0]
    return {**attributes, "data": value or b""}


def structured(event: Any) -> dict[str, Any]:
    """The CloudEvent that a JSON text is; Rejected `attribute-missing` if it is no object."""
    if not isinstance(event, dict):
        raise Rejected("attribute-missing", "the message is no CloudEvent: it has no attributes", "specversion")
    return event


def _is_json(attributes: Mapping[str, Any]) -> bool:
    media = str(attributes.get("datacontenttype", "application/json")).partition(";")[0].strip().lower()
    return media == "application/json" or media.endswith("+json")


def understand(event: Mapping[str, Any]) -> Ask:
    """What a CloudEvent asks for; Rejected `attribute-missing`, `attribute-invalid`, `type-unknown`, `body-invalid`."""
    for name in ("specversion", "id", "source", "type"):
        value = event.get(name)
        if value is None:
            raise Rejected("attribute-missing", f"the attribute {name} is missing", name)
        if not isinstance(value, str) or not 1 <= len(value) <= 256:
            raise Rejected("attribute-invalid", f"{name} is a text of 1 to 256 characters", name)
    if event["specversion"] != "1.0":
        raise Rejected("attribute-invalid", "only CloudEvents 1.0 is understood", "specversion")
    model = TYPES.get(event["type"])
    if model is None:
        raise Rejected("type-unknown", f"understood are: {', '.join(TYPES)}", "type")
    if not _is_json(event):
        raise Rejected("not-json", "the data must be JSON", "datacontenttype")
    data = event.get("data")
    try:
        return model.model_validate(parse(data) if isinstance(data, bytes) else data)
    except ValidationError as error:
        faults = error.errors()
        places = [".".join(str(part) for part in fault["loc"]) or "data" for fault in faults]
        errors = [
            {"field": place, "code": fault["type"], "detail": fault["msg"]}
            for place, fault in zip(places, faults, strict=True)
        ]
        raise Rejected("body-invalid", f"{places[0]}: {faults[0]['msg']}", places[0], errors) from None


class Intake:
    """Takes agencies' requests. Both ways in share the door `intake`, the event's id as key, and the actor, which is
    that of `agency:<id>` under no issuer: the same id by Kafka and by HTTP is the same request.
    """

    def __init__(self, desk_: Desk) -> None:
        self._desk = desk_
        self._service = desk_.service
        self._publisher = Publisher(self._service.bus)
        self._next: dict[TopicPartition, int] = {}

    async def answer(self, agency: str, event: Mapping[str, Any]) -> Receipt:
        """Have one CloudEvent decided. Raises Rejected with a code of `AGAIN` where it has to be tried again."""
        request = _text(event.get("id"))
        try:
            ask = understand(event)
            terms = Terms(
                door="intake",
                key=event["id"],
                digest=_digest(event["type"], ask),
                traceparent=telemetry.current_traceparent(),
                expected_version=None,
            )
            actor = actor_id(self._service.settings.identity_secret, "", f"agency:{agency}")
            done = await self._desk.ask(agency, ask, actor, terms)
        except Rejected as refused:
            if refused.code in AGAIN:
                raise
            return refusal(refused, request)
        if isinstance(done, asks.Upload):
            return Receipt(request=request, status="place", upload=done)
        return Receipt(
            request=request,
            status="accepted",
            log=done.log,
            position=done.first,
            entry=done.entry_id,
            version=done.version,
            repeated=done.repeated,
        )

    async def answer_structured(self, agency: str, event: Any) -> Receipt:
        """Have one CloudEvent in structured mode decided."""
        try:
            return await self.answer(agency, structured(event))
        except Rejected as refused:
            if refused.code in AGAIN:
                raise
            return refusal(refused, None)

    async def run(self) -> None:
        """Answer the intake topics of all periods' agencies until cancelled.

        A failure begins anew with a fresh consumer: the receipts say what is answered, so nothing is lost or answered
        twice.
        """
        try:
            await persevere("the intake", self._consume)
        finally:
            await self._publisher.close()

    async def _consume(self) -> bool:
        self._next.clear()
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._service.bus.kafka,
            group_id=f"{self._service.bus.prefix}-submission-intake",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            metadata_max_age_ms=2000,
        )
        try:
            await consumer.start()
            known: set[str] = set()
            looked = float("-inf")
            while True:
                if monotonic() - looked >= LOOK_SECONDS:
                    known, looked = await self._subscribe(consumer, known), monotonic()
                if not known:
                    await asyncio.sleep(LOOK_SECONDS)
                    continue
                batches = await consumer.getmany(timeout_ms=500, max_records=200)
                await _all(self._serve(place, records) for place, records in batches.items())
                if batches:
                    await consumer.commit({place: records[-1].offset + 1 for place, records in batches.items()})
        finally:
            await consumer.stop()

    async def _subscribe(self, consumer: Any, known: set[str]) -> set[str]:
        """Take in the agencies of new periods; theirs are the topics read."""
        agencies = await self._desk.agencies()
        if agencies != known:
            await self._service.bus.ensure_topics((), sorted(agencies - known))
            topics = [self._service.bus.intake_topic(agency) for agency in sorted(agencies)]
            consumer.subscribe(topics, listener=_Forget(self._next))
        return agencies

    async def _serve(self, place: TopicPartition, records: Sequence[Any]) -> None:
        """Answer the records of one agency in their order; their receipts stand when this returns."""
        agency = place.topic.removeprefix(self._service.bus.intake_topic(""))
        if place not in self._next:
            self._next[place] = await self._unanswered(place, agency)
        unanswered, sent = self._next[place], list[asyncio.Future[Any]]()
        try:
            for record in records:
                if record.offset < unanswered:
                    continue
                receipt = await self._receive(agency, record)
                topic = self._service.bus.receipts_topic(agency)
                sent.append(await self._publisher.send(topic, self._record(agency, receipt, record.offset), 0))
        except Exception:
            # receipts still on their way would not be seen when the topic is read for what is answered
            await self._publisher.settled(sent)
            raise
        await self._publisher.settled(sent)
        if place in self._next:  # not given up meanwhile
            self._next[place] = max(unanswered, records[-1].offset + 1)

    async def _receive(self, agency: str, record: Any) -> Receipt:
        """The receipt of one record; raises only what passes: outages of database and store."""
        event: dict[str, Any] = {}
        try:
            event = from_kafka(record.headers, record.value)
            attributes = {telemetry.MESSAGING_SYSTEM: "kafka", telemetry.MESSAGING_TOPIC: record.topic}
            with telemetry.span(telemetry.SPAN_INTAKE, attributes, SpanKind.CONSUMER) as span:
                client = trace.get_current_span(telemetry.context_of(_text(event.get("traceparent"))))
                if client.get_span_context().is_valid:
                    span.add_link(client.get_span_context())
                return await self.answer(agency, event)
        except Rejected as refused:
            if refused.code in AGAIN:
                raise
            return refusal(refused, None)  # it could not be read as an event
        except (SQLAlchemyError, OSError, StoreError):
            raise
        except Exception:
            _logger.exception("an intake message failed")
            return refusal(
                Rejected("internal", "the request failed; send it again with the same id"), _text(event.get("id"))
            )

    def _record(self, agency: str, receipt: Receipt, offset: int) -> Record:
        """The receipt as a CloudEvent in binary mode; `intakeoffset` names the message that it answers."""
        headers = {
            "ce_specversion": "1.0",
            "ce_type": RECEIPT,
            "ce_source": f"{self._service.settings.deployment}/submission",
            "ce_id": f"{agency}-{offset}",
            OFFSET: str(offset),
            "content-type": "application/json",
        }
        value = receipt.model_dump_json(exclude_none=True).encode()
        return Record(agency.encode(), value, [(name, text.encode()) for name, text in headers.items()])

    async def _unanswered(self, intake: TopicPartition, agency: str) -> int:
        """The offset after the last message that has a receipt: what a crash left between receipt and commit."""
        receipts = TopicPartition(self._service.bus.receipts_topic(agency), 0)
        async with self._service.bus.reader() as reader:
            reader.assign([receipts])
            begin = (await reader.beginning_offsets([receipts]))[receipts]
            ends = await reader.end_offsets([receipts, intake])
            if ends[receipts] <= begin:
                return 0
            reader.seek(receipts, ends[receipts] - 1)
            last = await asyncio.wait_for(reader.getone(receipts), 10)
        answered = int(dict(last.headers)[OFFSET]) + 1
        return answered if answered <= ends[intake] else 0  # else the receipts are of an older topic of this name


class _Forget(ConsumerRebalanceListener):
    """Forgets how far each topic is answered when another replica may have gone on with it."""

    def __init__(self, next_: dict[TopicPartition, int]) -> None:
        self._next = next_

    def on_partitions_revoked(self, revoked: Any) -> None:
        for place in revoked:
            self._next.pop(place, None)

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Nothing: where to go on is read with the first record."""


def _text(value: Any) -> str | None:
    return value[:256] if isinstance(value, str) else None


def refusal(refused: Rejected, request: str | None) -> Receipt:
    """The receipt of a refused request."""
    telemetry.refused(refused.code)
    return Receipt(
        request=request,
        status="refused",
        code=refused.code,
        field=refused.field,
        message=refused.message,
        errors=[dict(error) for error in refused.errors] or None,
    )


def _digest(kind: str, ask: Ask) -> bytes:
    """SHA-256 over what is asked, by content and not by spelling."""
    return hashlib.sha256(f"{kind}\n{ask.model_dump_json(exclude_none=True)}".encode()).digest()


async def _all(jobs: Any) -> None:
    """Wait until every job has ended, then raise the first failure."""
    for outcome in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
