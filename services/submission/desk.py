"""The desk: takes what is asked of a period or for an agency, through whichever door, and has the ledger decide it."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from services.submission import book as books
from services.submission import evidence, reminders, takeover, views
from services.submission import period as periods
from services.submission import self_assessment as rules
from services.submission.asks import (
    Ask,
    ClaimNotApplicable,
    ConfirmEvidence,
    Declare,
    Explain,
    RequestUpload,
    Submit,
    Upload,
    WithdrawEvidence,
)
from services.submission.assessment import Requests, stream
from services.submission.book import Book
from services.submission.report import Report, report
from shared.decider import Rejected
from shared.events.submission import Source
from shared.ledger import EVERY, Accepted, Moment, Prefix, Projection, read_entries
from shared.objects import Bucket, Lock, ObjectLocked, ObjectMissing, StoreUnavailable
from shared.period import fold_published
from shared.rubric import PeriodOpening
from shared.service import Service
from shared.web import Terms

Draft = Callable[..., rules.Command]
"""A command but for its agency and what the moment adds to it."""
CONFIRMATIONS: Final = 2
"""Files that are read back at one time; each is held in memory."""


_COMMANDS: Final[dict[type[Ask], Callable[..., rules.Command]]] = {
    Declare: rules.Declare,
    ClaimNotApplicable: rules.ClaimNotApplicable,
    Explain: rules.Explain,
    WithdrawEvidence: rules.WithdrawEvidence,
    Submit: rules.Submit,
}


class Desk:
    """Turns what is asked into commands. `actor` is who the entries name; `terms` are the door's, key and digest."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._ledger = service.ledger
        self._books: Projection[Book] = Projection(Book(), books.fold, "entry")
        self._requests: Projection[Requests] = Projection({}, books.fold_requests, "followed")
        self._monitors: Projection[books.Monitors] = Projection({}, books.fold_monitors, "followed")
        self._published: Projection[bool] = Projection(False, fold_published, "followed")
        self._confirming = asyncio.Semaphore(CONFIRMATIONS)

    async def open_period(self, opening: PeriodOpening, actor: str, terms: Terms) -> Accepted:
        """Open a period with its log; everything is checked before the log exists."""
        periods.decide(periods.Standing(), periods.OpenPeriod(opening, 0))
        await self.service.register.open(_log(opening.period))
        return await self._decide_period(
            opening.period, lambda at: periods.OpenPeriod(opening, at.position), actor, terms
        )

    async def close_self_assessment(self, period: str, actor: str, terms: Terms) -> Accepted:
        """End the step of self-assessment."""
        return await self._decide_period(period, lambda at: periods.CloseSelfAssessment(at.time), actor, terms)

    async def change_agencies(
        self, period: str, change: Callable[..., periods.Command], actor: str, terms: Terms
    ) -> Accepted:
        """Join, rename or withdraw an agency; `change` lacks only whether the index is published."""
        return await self._decide_period(
            period,
            lambda at: change(published=at.seen[_scoring(period)]),
            actor,
            terms,
            self._sees(period, answers=False),
        )

    async def approve(self, period: str, agency: str, digest: str, actor: str, terms: Terms) -> Accepted:
        """The head's approval; no request of a system ever becomes one."""
        return await self._decide(period, agency, partial(rules.Approve, digest=digest), actor, terms)

    async def reopen(
        self, period: str, agency: str, until: datetime, reason_code: str, reason: str, actor: str, terms: Terms
    ) -> Accepted:
        """Reopen an agency's self-assessment until a new last time."""
        command = partial(rules.Reopen, until=until, reason_code=reason_code, reason=reason)
        return await self._decide(period, agency, command, actor, terms)

    async def ask(self, agency: str, ask: Ask, actor: str, terms: Terms) -> Accepted | Upload:
        """Answer what an agency asks, whichever door it came through."""
        match ask:
            case RequestUpload():
                return await self._upload(agency, ask)
            case Declare(taken_from=Source() as source):
                command = await self._taken(agency, ask, source)
            case ConfirmEvidence():
                command = await self._confirmed(agency, ask)
            case _:
                command = partial(_COMMANDS[type(ask)], **ask.model_dump(exclude={"period"}, exclude_none=True))
        answers = isinstance(ask, ConfirmEvidence) or (isinstance(ask, Explain) and ask.request is not None)
        return await self._decide(ask.period, agency, command, actor, terms, answers=answers)

    async def close_due(self) -> None:
        """Close what the clock has closed: the step of self-assessment, requests without an answer, reopenings.

        A published period is left as it is: nothing is closed there any more.
        """
        now, actor = await self._ledger.now(), self.service.settings.service
        for log in await self.logs():
            period = log.partition("/")[2]
            [(size, book), (_, requests), (_, published)] = await self.service.read(
                self._books.of(log), self._requests.of(_appraisal(period)), self._published.of(_scoring(period))
            )
            if published:
                continue
            due = books.due(book, requests, now)
            if due.step:
                await self.close_self_assessment(period, actor, _timer(f"{periods.STEP}@{size}"))
            for request, agency in due.requests:
                command = partial(rules.CloseExplanation, request=request)
                await self._decide(period, agency, command, actor, _timer(f"request@{request}"), answers=True)
            for agency, version in due.reopenings:
                await self._decide(period, agency, rules.CloseReopening, actor, _timer(f"reopening/{agency}@{version}"))

    async def logs(self) -> list[str]:
        """The logs of all periods."""
        return [log for log in await self._ledger.heads() if log != self.service.register.log]

    async def agencies(self) -> set[str]:
        """The agencies of all periods."""
        books = await self.service.read(*(self._books.of(log) for log in await self.logs()))
        return {agency for _, book in books for agency in book.period.agencies}

    async def book(self, period: str) -> tuple[Book, dict[str, int]]:
        """The period's log, folded, and the heads that it rests on; Rejected `period-unknown`."""
        [(size, book)] = await self.service.read(self._books.of(_log(period)))
        book.period.the_opened()
        return book, {_log(period): size}

    async def self_assessment(self, period: str, agency: str) -> views.SelfAssessmentAnswer:
        """An agency's self-assessment with its words, read now so that erased ones are gone."""
        log, asked = _log(period), _appraisal(period)
        [(size, book), (seen, requests), (_, monitors)] = await self.service.read(
            self._books.of(log), self._requests.of(asked), self._monitors.of(asked)
        )
        book.dossier(agency)
        texts = await self._words(period, agency, size)
        return views.answer(book, agency, requests, texts, {log: size, asked: seen}, monitors)

    async def report(self, period: str, agency: str) -> Report:
        """An agency's self-assessment report as its log stands."""
        answer, (book, _) = await self.self_assessment(period, agency), await self.book(period)
        return report(answer, book.period.rubric_of(agency), book.period.the_opened())

    async def reminders(self, period: str, days: int, only: str | None) -> reminders.RemindersAnswer:
        """What is due within so many days by the deployment's clock, for one agency or for all."""
        now, log, asked = await self._ledger.now(), _log(period), _appraisal(period)
        [(size, book), (seen, requests), (_, published)] = await self.service.read(
            self._books.of(log), self._requests.of(asked), self._published.of(_scoring(period))
        )
        due = [] if published else reminders.due(book, requests, now, timedelta(days=days))
        lines = [each for each in due if only in (None, each.agency)]
        return reminders.answer(book, now, days, lines, {log: size, asked: seen})

    async def document(self, period: str, agency: str, sha256: str) -> views.DocumentLine:
        """An agency's file as it was last recorded; Rejected `evidence-unknown`."""
        answer = await self.self_assessment(period, agency)
        for line in reversed(answer.evidence):
            if line.sha256 == sha256:
                return line
        raise Rejected("evidence-unknown", "the agency has no file with this SHA-256", "sha256")

    async def drafts(self, period: str, earlier: str, agency: str) -> takeover.DraftsAnswer:
        """What an earlier period's self-assessment of the agency offers to be taken over."""
        [(size, book), (old_size, old)] = await self.service.read(
            self._books.of(_log(period)), self._books.of(_log(earlier))
        )
        takeover.require_earlier(book, old)
        names = await self._words(earlier, agency, old_size)
        return takeover.drafts(book, old, agency, names, {_log(period): size, _log(earlier): old_size})

    async def _words(self, period: str, agency: str, size: int) -> dict[int, str]:
        """The words of an agency's stream, read now so that erased ones are gone."""
        async with self.service.engine.connect() as connection:
            entries = await read_entries(connection, "entry", _log(period), 0, size, [stream(agency)])
        return books.words(entries)

    async def _taken(self, agency: str, ask: Declare, source: Source) -> Draft:
        """The command that takes a draft over, its files locked for as long as this period's are.

        What an earlier period's entry says never changes, so it is read before the decision.
        """
        command = partial(rules.Declare, item=ask.item, data=ask.data, estimated=bool(ask.estimated))
        earlier = source.log.partition("/")[2]
        try:
            [(_, book), (size, old)] = await self.service.read(
                self._books.of(_log(ask.period)), self._books.of(source.log)
            )
            takeover.require_earlier(book, old)
            names = await self._words(earlier, agency, size)
            command = partial(command, taken=takeover.taken(old, agency, ask.item, source.position, names))
            book = await self._rehearse(ask.period, agency, command, answers=False)
            for file in command.keywords["taken"].files:
                await self._lock(evidence.place(file.sha256), book.period.the_opened().retain_until)
        except Rejected as refused:
            return partial(_refuse, refused)
        return command

    async def _lock(self, name: str, until: datetime) -> None:
        """Lock a kept file for longer, if it is not yet."""
        try:
            if until > datetime.now(UTC):
                with suppress(ObjectLocked):
                    await self.service.objects.retain(Bucket.DATA, name, until, Lock.GOVERNANCE)
        except ObjectMissing:
            raise Rejected("evidence-missing", "the file of this draft is not kept any more", "taken_from") from None
        except StoreUnavailable:
            raise Rejected("store-unavailable", "the object store cannot be reached; repeat") from None

    async def _upload(self, agency: str, ask: RequestUpload) -> Upload:
        evidence.require_acceptable(ask.size, ask.sha256, ask.media_type)
        book, _ = await self.book(ask.period)
        book.dossier(agency)
        # places and ids of uploads are the store's matter and so go by the real clock, not by the deployment's
        name, now = secrets.token_hex(16), datetime.now(UTC)
        place = self.service.objects.presign_put(Bucket.INBOX, name, evidence.UPLOAD_TIME, ask.size)
        upload = evidence.upload_id(self.service.settings.service_secret, ask.period, agency, name, now)
        return Upload(upload=upload, url=place.url, headers=dict(place.headers), expires=now + evidence.UPLOAD_TIME)

    async def _confirmed(self, agency: str, ask: ConfirmEvidence) -> Draft:
        """The command that records the file once its bytes are checked and kept.

        A refusal on the way becomes a command that refuses: a repeat of what was accepted still gets its first answer.
        """
        command = partial(rules.RecordEvidence, **ask.model_dump(exclude={"period", "upload"}))
        try:
            evidence.require_acceptable(ask.size, ask.sha256, ask.media_type)
            book = await self._rehearse(ask.period, agency, command)
            await self._keep(agency, ask, book.period.the_opened().retain_until)
        except Rejected as refused:
            return partial(_refuse, refused)
        return command

    async def _rehearse(self, period: str, agency: str, command: Draft, *, answers: bool = True) -> Book:
        """Refuse what the rules will refuse before any byte is kept; returns the period's book."""
        log, seen = _log(period), self._sees(period, answers=answers)
        book: Book
        [(size, book), *others] = await self.service.read(self._books.of(log), *seen)
        states = {prefix.log: state for prefix, (_, state) in zip(seen, others, strict=True)}
        at = Moment(await self._ledger.now(), size, states)
        rules.decide(book.dossier(agency).assessment, command(**_case(period, agency, at)))
        return book

    async def _keep(self, agency: str, ask: ConfirmEvidence, retain_until: datetime) -> None:
        """Read the upload back, check it, and put the bytes that were checked under their hash."""
        now, objects, data = datetime.now(UTC), self.service.objects, bytearray()
        name = evidence.uploaded(self.service.settings.service_secret, ask.period, agency, ask.upload, now)
        async with self._confirming:
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

    async def _decide(
        self, period: str, agency: str, command: Draft, actor: str, terms: Terms, *, answers: bool = False
    ) -> Accepted:
        """Have an agency's command decided; `answers` where it rests on the requests of the appraisal."""
        return await self.service.decide(
            rules.DECIDER,
            period,
            stream(agency),
            lambda at: command(**_case(period, agency, at)),
            actor=actor,
            reads=rules.READS,
            sees=self._sees(period, answers=answers),
            **terms,
        )

    async def _decide_period(
        self,
        period: str,
        command: Callable[[Moment], periods.Command],
        actor: str,
        terms: Terms,
        sees: Sequence[Prefix[Any]] = (),
    ) -> Accepted:
        return await self.service.decide(
            periods.DECIDER, period, periods.STREAM, command, actor=actor, reads=(EVERY,), sees=sees, **terms
        )

    def _sees(self, period: str, *, answers: bool) -> list[Prefix[Any]]:
        published = self._published.of(_scoring(period))
        return [self._requests.of(_appraisal(period)), published] if answers else [published]


def _log(period: str) -> str:
    return f"submission/{period}"


def _appraisal(period: str) -> str:
    return f"appraisal/{period}"


def _scoring(period: str) -> str:
    return f"scoring/{period}"


def _case(period: str, agency: str, at: Moment) -> dict[str, Any]:
    """What the moment adds to an agency's command."""
    case = {"agency": agency, "time": at.time, "position": at.position, "published": at.seen[_scoring(period)]}
    requests = at.seen.get(_appraisal(period))
    return case if requests is None else {**case, "requests": requests}


def _refuse(refusal: Rejected, **_: Any) -> rules.Command:
    raise refusal


def _timer(key: str) -> Terms:
    """The terms of what the clock asks for; the same closing is asked for once."""
    digest = hashlib.sha256(key.encode()).digest()
    return Terms(door="timer", key=key, digest=digest, traceparent=None, expected_version=None)
