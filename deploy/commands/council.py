"""`parindex council`: sessions, proposals, votes and minutes of the Appraisal Council, with one's own token."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from deploy.commands.officer import DEFAULT_HOME, Home, Period, Token, run, told
from deploy.fault import Fault

council = typer.Typer(help="The Appraisal Council: sessions, proposals, votes, minutes.", no_args_is_help=True)

FORMATS: Final = ("docx", "pdf")
DAY: Final = ["%Y-%m-%d"]
Session = Annotated[str, typer.Argument(help="Name of the session, first.")]
Agency = Annotated[str, typer.Argument(help="Id of the agency.")]
Proposal = Annotated[int, typer.Argument(help="Position of the proposal.")]
Resolution = Annotated[str, typer.Option(help="Number of the council's resolution.")]
Reason = Annotated[str, typer.Option(help="Why.")]


def _send(home: Path, token: str, method: str, path: str, body: Any) -> None:
    async def sent(client: Any) -> Any:
        return (await client.send("appraisal", method, path, body)).json()

    told(run(home, token, sent))


@council.command("session")
def council_session(
    session: Session,
    name: Period,
    token: Token,
    on: Annotated[datetime, typer.Option(formats=DAY, help="Day of the session.")],
    place: Annotated[str, typer.Option(help="Where it is held, or what it is about.")],
    in_writing: Annotated[bool, typer.Option("--in-writing", help="The members vote in writing.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Call a session (role officer; the chair or the deputy)."""
    body = {"session": session, "held_on": f"{on:%Y-%m-%d}", "in_writing": in_writing, "place": place}
    _send(home, token, "POST", f"/periods/{name}/council/sessions", body)


@council.command("propose")
def council_propose(
    session: Session,
    agency: Agency,
    item: str,
    name: Period,
    token: Token,
    reason_code: Annotated[str, typer.Option(help="A reason code of the rubric.")],
    reason: Reason,
    data: Annotated[str | None, typer.Option(help="The proposed data; left out: the item does not apply.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Put another value of an item before a session (role officer; a seated member); prints its position."""
    body = {"session": session, "item": item, "data": data, "not_applicable": data is None}
    reasons = {"reason_code": reason_code, "reason": reason}
    _send(home, token, "POST", f"/periods/{name}/agencies/{agency}/proposals", body | reasons)


@council.command("vote")
def council_vote(
    agency: Agency,
    proposal: Proposal,
    choice: Annotated[str, typer.Argument(help="for, against or abstained.")],
    name: Period,
    token: Token,
    in_writing: Annotated[bool, typer.Option("--in-writing", help="The vote is given in writing.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Vote on a proposal, or vote anew while it is open (a seated member)."""
    path = f"/periods/{name}/agencies/{agency}/proposals/{proposal}/vote"
    _send(home, token, "PUT", path, {"choice": choice, "in_writing": in_writing})


@council.command("decide")
def council_decide(
    agency: Agency,
    proposal: Proposal,
    name: Period,
    token: Token,
    resolution: Resolution,
    reason: Annotated[str, typer.Option(help="Why; needed where the proposal is carried.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Close the vote on a proposal (the chair or the deputy)."""
    path = f"/periods/{name}/agencies/{agency}/proposals/{proposal}/decision"
    _send(home, token, "POST", path, {"resolution": resolution, "reason": reason})


@council.command("accept")
def council_accept(
    session: Session,
    name: Period,
    token: Token,
    resolution: Resolution,
    dated: Annotated[datetime, typer.Option(formats=DAY, help="Day of the resolution.")],
    votes: Annotated[tuple[int, int, int], typer.Option(help="In favour, against, abstained.")],
    members: Annotated[int, typer.Option(help="Members of the council.")] = 10,
    in_writing: Annotated[int, typer.Option(help="Votes given in writing.")] = 0,
    home: Home = DEFAULT_HOME,
) -> None:
    """Enter that the council accepts the result of appraisal and survey (the chair or the deputy)."""
    tally = dict(zip(("in_favour", "against", "abstained"), votes, strict=True))
    body = {
        "resolution": resolution,
        "dated": f"{dated:%Y-%m-%d}",
        "tally": {"members": members, "in_writing": in_writing, **tally},
    }
    _send(home, token, "POST", f"/periods/{name}/council/sessions/{session}/decision", body)


@council.command("end")
def council_end(
    session: Session,
    name: Period,
    token: Token,
    resolution: Resolution,
    present: Annotated[list[str] | None, typer.Option(help="A member who was there (the token's sub); repeat.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """End a session whose proposals are decided (role officer; the chair or the deputy)."""
    body = {"resolution": resolution, "present": present or []}
    _send(home, token, "POST", f"/periods/{name}/council/sessions/{session}/closing", body)


@council.command("minutes")
def council_minutes(
    session: Session,
    name: Period,
    token: Token,
    out: Annotated[
        Path | None, typer.Option(help="A .docx or .pdf file; left out: prints the minutes as data.")
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """A session's minutes: as data, or as the paper to be signed (officer, approver, auditor; a seated member)."""
    path = f"/periods/{name}/council/sessions/{session}/minutes"
    if out is None:
        told(run(home, token, lambda client: client.get("appraisal", path)))
        return
    form = out.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise Fault(f"{out} says no format; name a file that ends in .docx or .pdf")
    answer = run(home, token, lambda client: client.send("appraisal", "GET", f"{path}?format={form}"))
    try:
        out.write_bytes(answer.content)
    except OSError as error:
        raise Fault(f"{out} cannot be written ({type(error).__name__}); name another file") from None
    typer.echo(f"{out}: {len(answer.content)} bytes")


@council.command("conflict")
def council_conflict(agency: Agency, name: Period, token: Token, reason: Reason, home: Home = DEFAULT_HOME) -> None:
    """Declare one's own conflict of interest with an agency (role appraiser; a seated member)."""
    _send(home, token, "POST", f"/periods/{name}/agencies/{agency}/conflict", {"reason": reason})


@council.command("remark")
def council_remark(
    agency: Agency, about: str, remark: str, name: Period, token: Token, home: Home = DEFAULT_HOME
) -> None:
    """Remark on an item or a field that one follows (role monitor); it scores nothing."""
    _send(home, token, "POST", f"/periods/{name}/agencies/{agency}/remarks", {"about": about, "remark": remark})
