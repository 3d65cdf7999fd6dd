"""Ballots of the demonstration that are filled in by hand: on the page behind a QR code, and on paper, keyed in."""

import csv
import io
import re
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.commands.survey import asked
from deploy.demo.ballots import Ballot
from deploy.fault import Fault
from deploy.tickets import Ticket, tickets
from shared.sheet import CSV_TYPE

FIELD: Final = re.compile(r'<input type="radio" name="([^"]*)" value="([^"]*)">')
WRONG: Final = "rất tốt rồi"
"""What a clerk keys in that is no option of any question."""


async def fill_in(url: str, ballot: Ballot) -> None:
    """Open the invitation's page, tick what the ballot says among what the page offers, send it as a browser does."""
    async with httpx.AsyncClient(timeout=30) as browser:
        page = await browser.get(f"{url}/b/{ballot.token}?lang=vi")
        offered = {(unescape(name), unescape(value)) for name, value in FIELD.findall(page.text)}
        ticked = {question: option or "" for question, option in ballot.answers.items()}
        if page.is_error or not offered >= ticked.items():
            raise Fault(f"the page of an invitation does not offer the ballot's answers (status {page.status_code})")
        sent = await browser.post(f"{url}/b/{ballot.token}?lang=vi", data=ticked)
        if sent.is_error:
            raise Fault(f"the page of an invitation does not take the ballot (status {sent.status_code})")


class Papers:
    """The paper ballots about one agency: tickets to print, and the tables that come back, written to `folder`."""

    def __init__(self, folder: Path, agency: str, form: str, ballots: Sequence[Ballot]) -> None:
        self._folder, self._agency, self._form, self._ballots = folder, agency, form, ballots

    def print_tickets(self, campaign: dict[str, Any], url: str) -> None:
        """A PDF with a ticket and its QR code for each ballot."""
        wanted = [Ticket(ballot.token, self._agency, self._form) for ballot in self._ballots]
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "phieu-moi.pdf").write_bytes(tickets(wanted, asked(campaign), url))

    def keyed_in(self, fault: int) -> tuple[bytes, str]:
        """The table of all ballots, of which that one has an answer that was keyed in wrong; and its media type."""
        rows = [dict(ballot.answers) for ballot in self._ballots]
        rows[fault][next(iter(rows[fault]))] = WRONG
        return self._table("phieu-giay.csv", list(zip(self._ballots, rows, strict=True)))

    def mended(self, fault: int) -> tuple[bytes, str]:
        """The table of the ballot that was at fault."""
        ballot = self._ballots[fault]
        return self._table("phieu-giay-sua.csv", [(ballot, dict(ballot.answers))])

    def _table(self, name: str, rows: Sequence[tuple[Ballot, dict[str, str | None]]]) -> tuple[bytes, str]:
        table = io.StringIO()
        questions = list(self._ballots[0].answers)
        writer = csv.writer(table)
        writer.writerow(["token", "agency", *questions])
        for ballot, answers in rows:
            writer.writerow([ballot.token, self._agency, *(answers[question] or "" for question in questions)])
        content = table.getvalue().encode()
        (self._folder / name).write_bytes(content)
        return content, CSV_TYPE
