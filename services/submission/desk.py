"""The desk: takes what is asked of a period or for an agency, through whichever door, and has the ledger decide it."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from services.submission import evidence, views
from services.submission import period as periods
from services.submission import self_assessment as rules
from services.submission.views import Book
from shared.decider import Rejected
from shared.events import Id, Instant
from shared.ledger import EVERY, Accepted, Moment, Prefix, Projection, read_entries
from shared.objects import Bucket, Lock, ObjectMissing, StoreUnavailable
from shared.rubric import PeriodOpening
from shared.service import Service
from shared.web import Terms

CONFIRMATIONS: Final = 2
"""Files that are read back at one time; each is held in memory."""


class Ask(BaseModel):
    """What an agency asks for in a period. The agency is never in it: the door knows who asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period: Id


class Declare(Ask):
    """Declare an item's data."""

    item: str
    data: str


class ClaimNotApplicable(Ask):
    """Claim that an item does not apply."""

    item: str
    reason: str = ""


class Explain(Ask):
    """Explain an item; `request` is the position of the request that is answered."""

    item: str
    text: str = ""
    request: StrictInt | None = None


class RequestUpload(Ask):
    """Ask for a place to put a file of exactly these bytes."""

    size: StrictInt
    sha256: str
    media_type: str


class ConfirmEvidence(Ask):
    """Say that the file lies in its place and which items it serves."""

    upload: str
    size: StrictInt
    sha256: str
    media_type: str
    name: str
    items: Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]


class Submit(Ask):
    """Submit the self-assessment; with a digest only if that is still what stands."""

    digest: str | None = None


class Upload(BaseModel):
    """A place for a file: PUT the bytes to `url` with exactly these headers before `expires`, then confirm `upload`."""

    upload: str
    url: str
    headers: dict[str, str]
    expires: Instant


class Desk:
    """Turns what is asked into commands. `actor` is who the entries name; `terms` are the door's, key and digest."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._ledger = service.ledger
        self._books: Projection[Book] = Projection(Book(), views.fold, "entry")
        self._requests: Projection[rules.Requests] = Projection({}, views.fold_requests, "followed")
        self._published: Projection[bool] = Projection(False, views.fold_published, "followed")
        self._confirming = asyncio.Semaphore(CONFIRMATIONS)

    async def open_period(self, opening: PeriodOpening, actor: str, terms: Terms) -> Accepted:
        """Open a period with its log; everything is checked before the log exists."""
        periods.decide(periods.Standing(), periods.OpenPeriod(opening, 0))
        log = _log(opening.period)
        await self.service.register.open(log)
        return await self._ledger.execute(
            periods.DECIDER,
            log,
            periods.STREAM,
            lambda at: periods.OpenPeriod(opening, at.position),
            actor=actor,
            reads=(EVERY,),
            **terms,
        )

    async def close_self_assessment(self, period: str, actor: str, terms: Terms) -> Accepted:
        """End the step of self-assessment."""
        return await self._known(
            self._ledger.execute(
                periods.DECIDER,
                _log(period),
                periods.STREAM,
                lambda at: periods.CloseSelfAssessment(at.time),
                actor=actor,
                reads=(EVERY,),
                **terms,
            )
        )

    async def approve(self, period: str, agency: str, digest: str, actor: str, terms: Terms) -> Accepted:
        """The head's approval; no request of a system ever becomes one."""
        return await self._execute(period, agency, _command(rules.Approve, digest=digest), actor, terms)

    async def ask(self, agency: str, ask: Ask, actor: str, terms: Terms) -> Accepted | Upload:
        """Answer what an agency asks, whichever door it came through."""
        match ask:
            case Declare():
                command = _command(rules.Declare, item=ask.item, data=ask.data)
            case ClaimNotApplicable():
                command = _command(rules.ClaimNotApplicable, item=ask.item, reason=ask.reason)
            case Explain():
                command = _command(rules.Explain, item=ask.item, text=ask.text, request=ask.request)
            case Submit():
                command = _command(rules.Submit, digest=ask.digest)
            case RequestUpload():
                return await self._upload(agency, ask)
            case ConfirmEvidence():
                command = await self._confirmed(agency, ask)
            case _:
                raise TypeError(f"the desk does not know {type(ask).__name__}")
        return await self._execute(ask.period, agency, command, actor, terms)

    async def close_due(self) -> None:
        """Close what the clock has closed: the step of self-assessment, and requests without an answer."""
        now = await self._ledger.now()
        for log in await self.logs():
            period = log.partition("/")[2]
            (size, book), (_, requests) = await self._read(self._books.of(log), self._requests.of(f"appraisal/{period}"))
            due = views.due(book, requests, now)
            actor = self.service.settings.service
            if due.step:
                await self.close_self_assessment(period, actor, _timer(f"{periods.STEP}@{size}"))
            for request, agency in due.requests:
                command = _command(rules.CloseExplanation, request=request)
                await self._execute(period, agency, command, actor, _timer(f"request@{request}"))

    async def logs(self) -> list[str]:
        """The logs of all periods."""
        return [log for log in await self._ledger.heads() if log != self.service.register.log]

    async def agencies(self) -> set[str]:
        """The agencies of all periods."""
        books = await self._read(*(self._books.of(log) for log in await self.logs()))
        return {agency for _, book in books for agency in book.period.agencies}

    async def book(self, period: str) -> tuple[Book, dict[str, int]]:
        """The period's log, folded, and the heads that it rests on; Rejected `period-unknown`."""
        [(size, book)] = await self._read(self._books.of(_log(period)))
        book.period.the_opened()
        return book, {_log(period): size}

    async def self_assessment(self, period: str, agency: str) -> views.SelfAssessmentAnswer:
        """An agency's self-assessment with its words, read now so that erased ones are gone."""
        log, asked = _log(period), f"appraisal/{period}"
        (size, book), (seen, requests) = await self._read(self._books.of(log), self._requests.of(asked))
        book.dossier(agency)
        async with self.service.engine.connect() as connection:
            entries = await read_entries(connection, "entry", log, 0, size, [rules.stream(agency)])
        return views.answer(book, agency, requests, views.words(entries), {log: size, asked: seen})

    async def document(self, period: str, agency: str, sha256: str) -> tuple[views.Document, str | None]:
        """An agency's file and its name (None once erased); Rejected `evidence-unknown`."""
        answer = await self.self_assessment(period, agency)
        found = [each for each in answer.evidence if each.sha256 == sha256]
        if not found:
            raise Rejected("evidence-unknown", "the agency has no file with this SHA-256", "sha256")
        line = found[-1]
        return views.Document(line.position, line.sha256, line.size, line.media_type, tuple(line.items)), line.name

    async def _upload(self, agency: str, ask: RequestUpload) -> Upload:
        evidence.require_acceptable(ask.size, ask.sha256, ask.media_type)
        book, _ = await self.book(ask.period)
        book.dossier(agency)
        # places and ids of uploads are the store's matter and so go by the real clock, not by the deployment's
        name, now = secrets.token_hex(16), datetime.now(UTC)
        place = self.service.objects.presign_put(Bucket.INBOX, name, evidence.UPLOAD_TIME, ask.size)
        upload = evidence.upload_id(self.service.settings.service_secret, ask.period, agency, name, now)
        return Upload(upload=upload, url=place.url, headers=dict(place.headers), expires=now + evidence.UPLOAD_TIME)

    async def _confirmed(self, agency: str, ask: ConfirmEvidence) -> Callable[[Moment], rules.Command]:
        """The command that records the file once its bytes are checked and kept.

        A refusal on the way becomes a command that refuses: so a repeat of what was accepted gets its first answer.
        """
        own = ask.model_dump(exclude={"period", "upload"})
        try:
            evidence.require_acceptable(ask.size, ask.sha256, ask.media_type)
            book = await self._rehearse(agency, ask.period, _command(rules.RecordEvidence, **own))
            retain_until = book.period.the_opened().retain_until
            await self._keep(agency, ask, retain_until)
        except Rejected as refused:
            refusal = refused

            def refuse(_: Moment) -> rules.Command:
                raise refusal

            return refuse
        return _command(rules.RecordEvidence, **own)

    async def _rehearse(self, agency: str, period: str, command: Callable[[Moment], rules.Command]) -> Book:
        """Refuse what the rules will refuse before any byte is kept."""
        seen = self._sees(period)
        own, *others = await self._read(self._books.of(_log(period)), *seen)
        states = {prefix.log: state for prefix, (_, state) in zip(seen, others, strict=True)}
        book: Book = own[1]
        at = Moment(await self._ledger.now(), own[0], {**states, _AGENCY: agency})
        rules.decide(book.dossier(agency).assessment, command(at))
        return book

    async def _keep(self, agency: str, ask: ConfirmEvidence, retain_until: datetime) -> None:
        """Read the upload back, check it, and put the bytes that were checked under their hash."""
        now, objects = datetime.now(UTC), self.service.objects
        name = evidence.uploaded(self.service.settings.service_secret, ask.period, agency, ask.upload, now)
        async with self._confirming:
            data = bytearray()
            try:
                async for piece in objects.stream(Bucket.INBOX, name):
                    data += piece
                    if len(data) > ask.size:
                        break
                evidence.require_declared(bytes(data), ask.size, ask.sha256, ask.media_type)
                await objects.put_once(
                    Bucket.DATA,
                    evidence.place(ask.sha256),
                    bytes(data),
                    content_type=ask.media_type,
                    retain_until=retain_until if retain_until > now else None,
                    lock=Lock.GOVERNANCE,
                )
            except ObjectMissing:
                raise Rejected("evidence-missing", "nothing lies in this upload's place", "upload") from None
            except StoreUnavailable:
                raise Rejected("store-unavailable", "the object store cannot be reached; repeat") from None

    async def _execute(
        self, period: str, agency: str, command: Callable[[Moment], rules.Command], actor: str, terms: Terms
    ) -> Accepted:
        ...
