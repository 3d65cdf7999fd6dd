"""`parindex agencies`: changes among the agencies of a period, each by a decision."""

from typing import Annotated, Any

import typer

from deploy.commands.officer import DEFAULT_HOME, Home, Period, Token, run, told

agencies = typer.Typer(help="Changes among the agencies of a period, by a decision.", no_args_is_help=True)

Decision = Annotated[str, typer.Option("--decision", help="Number of the decision, 12/QĐ-UBND.")]
Dated = Annotated[str, typer.Option("--dated", help="Its date, 2025-01-20.")]
NameVi = Annotated[str, typer.Option("--name", help="The name in Vietnamese.")]
NameEn = Annotated[str, typer.Option("--name-en", help="The name in English; by default the Vietnamese one.")]


@agencies.command("join")
def join(
    agency: str,
    group: str,
    name: NameVi,
    decision: Decision,
    dated: Dated,
    period: Period,
    token: Token,
    name_en: NameEn = "",
    predecessor: Annotated[str | None, typer.Option(help="The agency that it follows upon.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Take an agency into a group of a period that has started (role officer)."""
    body: dict[str, Any] = {"agency": agency, "group": group, "name": {"vi": name, "en": name_en}}
    body |= {"decision": decision, "dated": dated} | ({} if predecessor is None else {"predecessor": predecessor})
    told(run(home, token, lambda client: client.post("submission", f"/periods/{period}/agencies", body)))


@agencies.command("rename")
def rename(
    agency: str,
    name: NameVi,
    decision: Decision,
    dated: Dated,
    period: Period,
    token: Token,
    name_en: NameEn = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Give an agency another name from now on (role officer); what was published keeps the old one."""
    body = {"name": {"vi": name, "en": name_en}, "decision": decision, "dated": dated}
    path = f"/periods/{period}/agencies/{agency}/renaming"
    told(run(home, token, lambda client: client.post("submission", path, body)))


@agencies.command("withdraw")
def withdraw(
    agency: str,
    decision: Decision,
    dated: Dated,
    period: Period,
    token: Token,
    successor: Annotated[str | None, typer.Option(help="The agency that follows upon it.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """End an agency's part in the period (role officer): its card is kept and not ranked."""
    body = {"decision": decision, "dated": dated} | ({} if successor is None else {"successor": successor})
    path = f"/periods/{period}/agencies/{agency}/withdrawal"
    told(run(home, token, lambda client: client.post("submission", path, body)))
