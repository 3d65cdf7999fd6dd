"""The council's HTTP door: its sessions, proposals, each member's vote, and what the council decides."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from services.appraisal import council, proposals
from services.appraisal.bodies import (
    DecisionBody,
    ProposalBody,
    SessionBody,
    SessionClosingBody,
    SettlingBody,
    VoteBody,
)
from services.appraisal.desk import Desk
from services.appraisal.minutes import minutes, paper
from services.appraisal.proposals import Cast, Propose, Settle
from services.appraisal.views import Appraised
from shared.access import Caller, Role, require
from shared.decider import Rejected
from shared.documents import DOCX_TYPE, PDF_TYPE, Document, docx_bytes, pdf_bytes
from shared.events import Id
from shared.ledger import Moment
from shared.period import Period
from shared.web import Terms, terms

Form = Literal["json", "docx", "pdf"]
PAPERS: Final[Mapping[str, tuple[Callable[[Document], bytes], str]]] = {
    "docx": (docx_bytes, DOCX_TYPE),
    "pdf": (pdf_bytes, PDF_TYPE),
}
OnTerms = Annotated[Terms, Depends(terms)]
Member = Annotated[Caller, Depends(require(Role.COUNCIL, Role.COUNCIL_CHAIR))]
Caretaker = Annotated[Caller, Depends(require(Role.OFFICER, Role.COUNCIL, Role.COUNCIL_CHAIR))]
Witness = Annotated[
    Caller, Depends(require(Role.OFFICER, Role.COUNCIL, Role.COUNCIL_CHAIR, Role.APPROVER, Role.AUDITOR))
]


def sittings(desk: Desk) -> APIRouter:
    """All routes of the council's sessions."""
    routes = APIRouter(tags=["council"])
    _sessions(desk, routes)
    _decision(desk, routes)
    _proposals(desk, routes)
    _reads(desk, routes)
    _papers(desk, routes)
    return routes


def _sessions(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/council/sessions")
    async def open_session(period: Id, body: SessionBody, caller: Caretaker, on: OnTerms) -> Response:
        """Call a session of the council: a meeting on a day, or a vote in writing."""
        secretary = caller.has(Role.OFFICER)

        def build(moment: Moment, known: Period, published: bool) -> council.OpenSession:
            return council.OpenSession(
                known,
                published,
                caller.actor,
                secretary,
                moment.position,
                body.session,
                body.held_on,
                body.in_writing,
                body.place,
            )

        return await desk.decide_on_period(period, caller, on, build)

    @routes.post("/periods/{period}/council/sessions/{session}/closing")
    async def close_session(
        period: Id, session: Id, body: SessionClosingBody, caller: Caretaker, on: OnTerms
    ) -> Response:
        """End a session; refused while one of its proposals is not decided, each by name."""
        secretary, present = caller.has(Role.OFFICER), tuple(desk.actor(each) for each in body.present)
        return await desk.decide_on_period(
            period,
            caller,
            on,
            lambda _, known, out: council.CloseSession(
                known, out, caller.actor, secretary, session, body.resolution, present
            ),
        )


def _decision(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/council/sessions/{session}/decision")
    async def accept_result(period: Id, session: Id, body: DecisionBody, caller: Member, on: OnTerms) -> Response:
        """Enter that the council accepts the result of appraisal and survey; refused while anything is open."""

        def build(moment: Moment, known: Period, published: bool) -> council.AcceptResult:
            cases, surveyed = desk.whole(moment, period, known, caller.actor)
            return council.AcceptResult(
                known,
                published,
                caller.actor,
                session,
                body.resolution,
                body.dated,
                body.tally,
                cases,
                surveyed,
            )

        return await desk.decide_on_period(period, caller, on, build, (desk.returns.of(f"survey/{period}"),))


def _proposals(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/agencies/{agency}/proposals")
    async def propose(period: Id, agency: Id, body: ProposalBody, caller: Caretaker, on: OnTerms) -> Response:
        """Put another value of an item before a session; the answer's position names the proposal."""
        secretary = caller.has(Role.OFFICER)
        return await desk.decide_on_agency(
            period,
            agency,
            caller,
            on,
            lambda case: Propose(
                case,
                secretary,
                body.session,
                body.item,
                body.data,
                body.not_applicable,
                body.reason_code,
                body.reason,
            ),
            proposals.DECIDER,
        )

    @routes.put("/periods/{period}/agencies/{agency}/proposals/{proposal}/vote")
    async def vote(period: Id, agency: Id, proposal: int, body: VoteBody, caller: Member, on: OnTerms) -> Response:
        """Vote on a proposal, present or in writing; the vote may change until the proposal is decided."""
        return await desk.decide_on_agency(
            period,
            agency,
            caller,
            on,
            lambda case: Cast(case, proposal, body.choice, body.in_writing),
            proposals.DECIDER,
        )

    @routes.post("/periods/{period}/agencies/{agency}/proposals/{proposal}/decision")
    async def settle(
        period: Id, agency: Id, proposal: int, body: SettlingBody, caller: Member, on: OnTerms
    ) -> Response:
        """Close the vote: more than half of all members in favour carry the proposal, else the item keeps its value."""
        return await desk.decide_on_agency(
            period,
            agency,
            caller,
            on,
            lambda case: Settle(case, proposal, body.resolution, body.reason),
            proposals.DECIDER,
        )


def _reads(desk: Desk, routes: APIRouter) -> None:
    @routes.get("/periods/{period}/council/sessions")
    async def show_sessions(period: Id, caller: Witness) -> dict[str, Any]:
        """The council's sessions."""
        _, own, heads = await desk.read(period)
        witnessed(own, caller)
        sessions = [held.json() for _, held in sorted(own.record.sessions.items())]
        return {"period": period, "sessions": sessions, "heads": heads}

    @routes.get("/periods/{period}/council/sessions/{session}")
    async def show_session(period: Id, session: Id, caller: Witness) -> dict[str, Any]:
        """A session with its proposals; who sits on the council sees how each member voted, others the tally."""
        _, own, heads = await desk.read(period)
        seated = witnessed(own, caller)
        held = own.record.sessions.get(session)
        if held is None:
            raise Rejected("session-unknown", f"the council has no session {session}", "session")
        motions = [
            motion.json(caller.actor, seated)
            for _, motion in sorted(own.record.motions.items())
            if motion.proposed.session == session
        ]
        return {"period": period, **held.json(), "proposals": motions, "heads": heads}


def _papers(desk: Desk, routes: APIRouter) -> None:
    @routes.get("/periods/{period}/council/sessions/{session}/minutes")
    async def show_minutes(
        period: Id, session: Id, caller: Witness, form: Annotated[Form, Query(alias="format")] = "json"
    ) -> Response:
        """A session's minutes, as data or as the paper that is signed; a draft until the session is closed."""
        filed, own, heads = await desk.read(period)
        witnessed(own, caller)
        told = minutes(filed, own, session)
        if form == "json":
            return JSONResponse({**told.json(), "heads": heads})
        make, media_type = PAPERS[form]
        name = f'attachment; filename="bien-ban-{period}-{session}.{form}"'
        content = await asyncio.to_thread(make, paper(told))
        return Response(content, media_type=media_type, headers={"Content-Disposition": name})


def witnessed(own: Appraised, caller: Caller) -> bool:
    """Whether the caller sits on the council; Rejected `not-seated` if that alone would let the caller in."""
    seated = own.council is not None and caller.actor in own.council.members
    if not seated and not caller.has(Role.OFFICER, Role.APPROVER, Role.AUDITOR):
        raise Rejected("not-seated", "you do not sit on the period's Appraisal Council")
    return seated
