"""The archive of a published period is audited from its files alone, and one changed byte is found."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.conftest import ROOT
from tests.flow.office import Office, until


class Exported(NamedTuple):
    """An archive as a folder, and the policy file with the keys of its logs."""

    folder: Path
    policy: Path


async def parindex(*words: str) -> tuple[int, str, str]:
    """Run the command line in a process of its own: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.cli", *words, cwd=ROOT, stdout=-1, stderr=-1, stdin=asyncio.subprocess.DEVNULL
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def audited(exported: Exported, period: str) -> tuple[int, dict[str, Any]]:
    """The audit's exit code and its verdict."""
    code, output, errors = await parindex(
        "audit", str(exported.folder), "--policy", str(exported.policy), "--period", period, "--json"
    )
    assert errors == ""
    return code, json.loads(output)


@pytest_asyncio.fixture(scope="module")
async def exported(published: Office, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exported]:
    """The archive, copied out once it holds the whole published period, and something of every log of the stack: the
    policy names them all."""
    entry = (await published.published())["entry"]

    async def archived() -> bool:
        sizes: dict[str, int] = {}
        for url in published.stack.services.values():
            logs = (await published.http.get(f"{url}/health/progress")).json()["logs"]
            sizes |= {each["log"]: each["archived"] for each in logs if each["size"]}
        return sizes[entry["log"]] > entry["position"] and all(sizes.values())

    await until(archived)
    folder = tmp_path_factory.mktemp("archive")
    home = ("--home", str(published.stack.home.path))
    code, _, errors = await parindex("archive", "export", str(folder / "export"), *home)
    assert code == 0, errors
    code, policy, errors = await parindex("keys", "policy", *home)
    assert code == 0, errors
    (folder / "policy").write_text(policy, encoding="utf-8")
    yield Exported(folder / "export", folder / "policy")


async def test_the_archive_of_a_published_period_is_computed_again_digit_by_digit(
    published: Office, exported: Exported
) -> None:
    code, verdict = await audited(exported, published.period)
    assert (code, verdict["findings"]) == (0, [])
    assert published.period in verdict["periods"]


@pytest.mark.parametrize(
    "place", ["submission/{}/tile/entries/000.p/*", "appraisal/{}/data/000.p/*", "scoring/{}/checkpoint"]
)
async def test_one_changed_byte_of_the_archive_is_named_by_its_file(
    published: Office, exported: Exported, place: str
) -> None:
    [file] = exported.folder.glob(place.format(published.period))
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    try:
        code, verdict = await audited(exported, published.period)
    finally:
        file.write_bytes(whole)
    assert code == 1
    assert str(file.relative_to(exported.folder)) in {finding["file"] for finding in verdict["findings"]}
