"""The end of the demonstration: the published table, the archive taken out, the audit of the folder alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from deploy.commands.officer import index_table
from deploy.fault import Fault
from deploy.local.compose import ROOT
from deploy.local.stack import Stack
from shared.rubric import PeriodOpening

ARCHIVE: Final = "archive-export"
POLICY: Final = "policy.txt"
OFFLINE: Final = ("-m", "deploy.demo.offline")
ONLINE: Final = ("-m", "deploy.cli")


def show_published(console: Console, published: dict[str, Any], opening: PeriodOpening) -> None:
    """The published table, bands by their labels, and the heads that anyone can compute it from."""
    rubric = opening.rubric_of(opening.groups[0].id)
    bands = {band.id: f"{band.label.vi} / {band.label.en}" for band in rubric.bands}
    rows = [row | {"band": bands.get(row.get("band", ""), "")} for row in published["table"]]
    console.print(index_table(rows, f"{published['name_vi']} – {published['decision']}, {published['dated']}"))
    console.print(f"[dim]{rubric.note.vi} / {rubric.note.en}.  digest {published['digest']}[/]", highlight=False)
    for log, head in published["heads"].items():
        console.print(f"[dim]{log:>22} {head['size']:>5}  {head['root']}[/]", highlight=False)


def take_out(stack: Stack) -> tuple[Path, Path]:
    """The archive as a fresh folder, and the policy file with the keys of its logs; both in the stack's home."""
    archive, policy = stack.home.path / ARCHIVE, stack.home.path / POLICY
    home = ("--home", str(stack.home.path))
    _run(*ONLINE, "archive", "export", str(archive), *home)
    policy.write_text(_run(*ONLINE, "keys", "policy", *home), encoding="utf-8")
    return archive, policy


def audit(console: Console, archive: Path, policy: Path) -> int:
    """Audit the exported folder in a process without a network, a home and any address; its exit code."""
    words = [sys.executable, *OFFLINE, "audit", str(archive), "--policy", str(policy)]
    console.print(f"\n[bold]parindex audit {_short(archive)} --policy {_short(policy)}[/]", highlight=False)
    return subprocess.run(words, cwd=ROOT, env=_bare(), check=False).returncode  # noqa: S603 - this package's own words


def farewell(console: Console, stack: Stack, trace: str | None, archive: Path, policy: Path) -> None:
    """How to look further: the trace of one decision, a byte changed by hand, the running stack."""
    home, bundle = _short(stack.home.path), _short(next(iter(sorted(archive.glob("**/tile/entries/**/*")))))
    lines = [
        "",
        "[bold]Vết của một quyết định / one decision from its request to the new index:[/]",
        f"  {stack.zipkin}/zipkin/traces/{trace}",
        "[bold]Sửa một byte rồi kiểm toán lại / change one byte and audit again:[/]",
        f"  printf X | dd of={bundle} bs=1 seek=9 conv=notrunc",
        f"  parindex audit {_short(archive)} --policy {_short(policy)}",
        "[bold]Đi tiếp / go on:[/]",
        f"  export PARINDEX_HOME={home}",
        "  parindex status",
        "  parindex token auditor-1 --role auditor",
        *(f"  {name:<10} {url}/openapi.json" for name, url in stack.services.items()),
        "  parindex down",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def clear(home: Path) -> None:
    """Delete what an earlier demonstration took out."""
    shutil.rmtree(home / ARCHIVE, ignore_errors=True)
    (home / POLICY).unlink(missing_ok=True)


def _run(*words: str) -> str:
    done = subprocess.run(  # noqa: S603 - this package's own words
        [sys.executable, *words], cwd=ROOT, env=_bare(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Fault((done.stderr or done.stdout).strip().removeprefix("parindex: "))
    return done.stdout


def _bare() -> dict[str, str]:
    """An environment without any address, home or secret."""
    kept = ("PATH", "LANG", "TERM", "COLUMNS")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONUTF8": "1"}


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
