"""An integrator takes the kit of an agency and runs it as it is: a whole self-assessment by Kafka, and by curl."""

import csv
import json
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from tests.conftest import ROOT
from tests.flow.office import SMALL, Office, rubric

NAMES = ("by-kafka", "by-curl", "unready")


@pytest_asyncio.fixture(scope="module")
async def office(stack: Stack) -> AsyncIterator[Office]:
    """A fresh period with an agency for each way."""
    mark = secrets.token_hex(3)
    agencies = [Agency(id=f"{name}-{mark}", name=Label(vi=name)) for name in NAMES]
    async with await Office.plan(stack, "kit", ("central", rubric(SMALL), agencies)) as office:
        await office.open()
        yield office


def run(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)


def kit(office: Office, agency: str, out: Path, period: str = "") -> subprocess.CompletedProcess[str]:
    """The command, as it is typed."""
    home = office.stack.home.path
    words = ("agency-kit", agency, out, "--period", period or office.period, "--home", home)
    return run(sys.executable, "-m", "deploy.cli", *words)


def agency(office: Office, name: str) -> str:
    return next(each for each in office.groups if each.startswith(name))


def written(office: Office, name: str, out: Path) -> Path:
    done = kit(office, agency(office, name), out)
    assert done.returncode == 0, done.stderr
    return out


async def stands(office: Office, name: str) -> dict[str, Any]:
    own = agency(office, name)
    clerk = await office.by(Role.AGENCY, own)
    answer: dict[str, Any] = await clerk.get("submission", office.here(own))
    return answer


async def submitted(office: Office, name: str) -> None:
    """The agency has submitted, everything declared with the most points and proven by one document."""
    found = await stands(office, name)
    assert found["submitted"] is not None
    assert {line["item"]: line["points"] for line in found["items"]} == {"1.1": "30", "1.2": "20"}
    assert [line["items"] for line in found["evidence"]] == [["1.1", "1.2"]]
    assert found["faults"] == []


async def test_the_script_sends_a_whole_self_assessment_by_kafka(office: Office, tmp_path: Path) -> None:
    folder = written(office, "by-kafka", tmp_path / "kit")
    done = run(sys.executable, "send.py", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    await submitted(office, "by-kafka")
    for said in ("declare", "confirm-evidence", "submit", "accepted", "place", "self-assessed 50"):
        assert said in done.stdout
    looked = run(sys.executable, "send.py", "--follow", cwd=folder)
    assert (looked.returncode, "declare" in looked.stdout) == (0, False), looked.stderr


async def test_the_curl_lines_send_a_whole_self_assessment_over_http(office: Office, tmp_path: Path) -> None:
    assert shutil.which("curl"), "this machine has no curl: install it, the kit's lines need it"
    folder = written(office, "by-curl", tmp_path / "kit")
    done = run("bash", "send.sh", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    await submitted(office, "by-curl")
    assert '"status":"accepted"' in done.stdout
    assert '"faults":[]' in done.stdout
    token = (folder / "credentials" / "agency.token").read_text().strip()
    assert token not in done.stdout + done.stderr


async def test_the_script_names_each_obstacle_and_submits_nothing(office: Office, tmp_path: Path) -> None:
    folder = written(office, "unready", tmp_path / "kit")
    table = folder / "self-assessment.csv"
    with table.open(encoding="utf-8", newline="") as stream:
        [head, *rows] = list(csv.reader(stream))
    changed = [[code, "31", "", ""] if code == "1.1" else [code, data, *rest] for code, data, *rest in rows]
    with table.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([head, *changed])
    done = run(sys.executable, "send.py", cwd=folder)
    assert done.returncode == 1, done.stdout
    for said in ("points-above-maximum", "declaration-missing", "evidence-or-explanation-missing"):
        assert said in done.stdout
    found = await stands(office, "unready")
    assert (found["approved"], found["submitted"]) == (False, None)


def test_the_kit_has_contracts_and_keeps_tokens_to_its_owner(office: Office, tmp_path: Path) -> None:
    folder = written(office, "unready", tmp_path / "kit")
    tokens = sorted((folder / "credentials").iterdir())
    assert [path.name for path in tokens] == ["agency-head.token", "agency.token"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tokens} == {0o600}
    assert stat.S_IMODE((folder / "credentials").stat().st_mode) == 0o700
    for name in ("asyncapi.json", "openapi/submission.json", "schemas/intake/parindex.intake.declare.v1.schema.json"):
        assert json.loads((folder / "contracts" / name).read_text(encoding="utf-8"))
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert f"parindex.intake-receipts.{agency(office, 'unready')}" in page
    assert "@" not in page.replace("@UPLOAD@", "")


@pytest.mark.parametrize(
    ("name", "period", "said"), [("nobody", "", "is not in the period"), ("unready", "no-such", "period-unknown")]
)
def test_a_kit_that_cannot_be_is_refused_with_one_line_and_leaves_nothing(
    office: Office, tmp_path: Path, name: str, period: str, said: str
) -> None:
    own = agency(office, name) if name != "nobody" else name
    done = kit(office, own, tmp_path / "kit", period)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_kit_never_writes_over_what_is_there(office: Office, tmp_path: Path) -> None:
    (tmp_path / "kit").mkdir()
    done = kit(office, agency(office, "unready"), tmp_path / "kit")
    assert (done.returncode, "is there already" in done.stderr) == (1, True)
    assert list((tmp_path / "kit").iterdir()) == []
