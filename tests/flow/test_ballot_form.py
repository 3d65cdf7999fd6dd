"""The survey as respondents and the survey officer meet it: tickets, the form behind a QR code, paper keyed in."""

import asyncio
import csv
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest_asyncio

from deploy.local.stack import Stack
from deploy.tickets import address
from shared.access import Role
from shared.rubric import Agency, Label
from tests.conftest import ROOT
from tests.flow.office import SMALL, Office, rubric

CITIZENS, BUSINESSES = "citizen-form", "business-form"
ONLINE: Final[Sequence[Mapping[str, str]]] = (
    {"attitude": "a", "content": "very"},
    {"attitude": "a", "content": "content"},
    {"attitude": "b", "content": ""},
    {"attitude": "c", "content": "neutral"},
    {"content": "not"},
    {"attitude": "dont-know"},
)
PAPER: Final[Sequence[tuple[str, str]]] = (("a", "Rất hài lòng"), ("B", "content"), ("d", ""), ("", "blank"))


@pytest_asyncio.fixture(scope="module")
async def office(stack: Stack) -> AsyncIterator[Office]:
    """A period with one agency whose survey has begun."""
    agencies = [Agency(id="north", name=Label(vi="Cục Thuế", en="Tax Department"))]
    async with await Office.plan(stack, "form", ("central", rubric(SMALL), agencies)) as office:
        await office.open()
        yield office


class Told(list[str]):
    """All that the commands of the survey officer have printed."""


async def run(office: Office, told: Told, *arguments: str, fails: bool = False) -> str:
    """A command of the survey officer; what it prints."""
    own = (
        "--period",
        office.period,
        "--token",
        office.token(Role.SURVEY_OFFICER),
        "--home",
        str(office.stack.home.path),
    )
    command = [sys.executable, "-m", "deploy.cli", "survey", *arguments, *own]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    told.append(done.stdout + done.stderr)
    return done.stdout + done.stderr


def tokens_in(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as table:
        return [row["token"] for row in csv.DictReader(table)]


async def fill(http: httpx.AsyncClient, url: str, answers: Mapping[str, str], lang: str) -> None:
    """Open the address of a QR code, tick what the page offers, and send the form where it says."""
    page = await http.get(url, params={"lang": lang})
    assert page.status_code == 200
    assert f'<html lang="{lang}">' in page.text
    offered = set(re.findall(r'name="([a-z-]+)" value="([a-z-]*)"', page.text))
    assert set(answers.items()) <= offered
    action = re.search(r'<form method="post" action="([^"]*)"', page.text)
    assert action is not None
    sent = await http.post(httpx.URL(url).join(action[1]), data=dict(answers))
    assert sent.status_code == 201, sent.text
    again = await http.get(url)
    assert again.status_code == 409


async def test_forms_behind_qr_codes_and_paper_are_counted_once_and_tokens_told_nowhere(
    office: Office, tmp_path: Path
) -> None:
    closes, told = await office.campaign("poll", "central", timedelta(minutes=30)), Told()
    citizens, businesses = tmp_path / "citizens.csv", tmp_path / "businesses.csv"
    await run(office, told, "invite", "poll", "north", CITIZENS, "12", "--out", str(citizens))
    await run(office, told, "invite", "poll", "north", BUSINESSES, "4", "--out", str(businesses))
    url, sheets = office.stack.services["survey"], tmp_path / "tickets.pdf"
    await run(office, told, "sheets", "poll", str(sheets), "--tokens", str(citizens), "--url", url)
    assert sheets.read_bytes().startswith(b"%PDF-")
    found, few = tokens_in(citizens), tokens_in(businesses)
    for number, answers in enumerate(ONLINE):
        await fill(office.http, address(url, found[number]), answers, ("vi", "en")[number % 2])
    for token in few[:3]:
        await fill(office.http, address(url, token), {"attitude": "a"}, "vi")

    table = tmp_path / "paper.csv"
    rows = [("token", "agency", "attitude", "content")]
    rows += [(token, "north", *answers) for token, answers in zip(found[6:10], PAPER, strict=True)]
    rows += [(found[10], "north", "five stars", "")]
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    first = await run(office, told, "paper", "poll", str(table), fails=True)
    assert "4 of 5 ballots counted" in first
    assert "option-unknown" in first
    assert "C6" in first
    again = await run(office, told, "paper", "poll", str(table), fails=True)
    assert "0 of 5 ballots counted" in again
    assert again.count("token-spent") == 4

    await office.forward(closes)
    await office.complete("poll")
    late = await office.http.get(address(url, found[11]))
    assert late.status_code == 409
    assert "Đợt khảo sát đã kết thúc" in late.text
    assert await shown(office) == [
        {
            "form": CITIZENS,
            "invitations": 12,
            "returned": 10,
            "counts": {
                "attitude": {"a": 3, "b": 2, "c": 1, "d": 1, "dont-know": 1, "blank": 2},
                "content": {"very": 2, "content": 2, "neutral": 1, "not": 1, "blank": 4},
            },
        },
        {"form": BUSINESSES, "invitations": 4, "returned": "fewer-than-five", "counts": None},
    ]
    progress = await run(office, told, "progress", "poll")
    assert "ít hơn 5" in progress
    said = told + [path.read_text(encoding="utf-8") for path in office.stack.home.path.glob("logs/*.log")]
    assert len(said) > len(told)
    for token in (*found, *few):
        assert not [text for text in said if token in text or token.lower() in text]


async def shown(office: Office) -> list[dict[str, Any]]:
    """What the campaign shows of each form about the agency."""
    officer = await office.by(Role.SURVEY_OFFICER)
    campaign = await officer.get("survey", office.here(rest="/campaigns/poll"))
    names = ("form", "invitations", "returned", "counts")
    return [{name: form[name] for name in names} for form in campaign["agencies"][0]["forms"]]
