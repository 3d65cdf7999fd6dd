"""The end of the demonstration: the published table, the archive taken out, the audit of the folder alone."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from deploy.commands.archive import archive_export, keys_policy
from deploy.commands.officer import index_table
from deploy.local.compose import ROOT
from deploy.local.stack import Stack
from shared.rubric import PeriodOpening
from shared.tlog.checkpoint import Policy

ARCHIVE: Final = "archive-export"
POLICY: Final = "policy.txt"
OFFLINE: Final = ("-m", "deploy.demo.offline")


def show_published(console: Console, published: dict[str, Any], opening: PeriodOpening) -> None:
    """The published table, one for each group, bands by their labels, and the heads that anyone can compute it from."""
    dated = date.fromisoformat(published["dated"])
    title = f"{published['name_vi']} – {published['decision']} {dated:%d-%m-%Y}"
    for group in opening.groups:
        bands = {band.id: f"{band.label.vi} / {band.label.en}" for band in opening.rubric_of(group.id).bands}
        own = [row for row in published["table"] if row["group"] == group.id]
        rows = [row | {"band": bands.get(row.get("band", ""), "")} for row in own]
        console.print(index_table(rows, title if len(opening.groups) == 1 else f"{title}\n{group.name.vi}"))
    note = opening.rubric_of(opening.groups[0].id).note
    console.print(f"[dim]{note.vi} / {note.en}.  digest {published['digest']}[/]", highlight=False, soft_wrap=True)
    for log, head in published["heads"].items():
        console.print(f"[dim]{log:>22} {head['size']:>5}  {head['root']}[/]", highlight=False, soft_wrap=True)


def show_written(console: Console, folder: Path, files: Sequence[Path]) -> None:
    """The files that were written, a line for each place and name with the kinds that there are."""
    kinds: dict[str, list[str]] = {}
    for file in files:
        kinds.setdefault(str(file.relative_to(folder).with_suffix("")), []).append(file.suffix)
    size = sum(file.stat().st_size for file in files)
    console.print(f"\n[bold]{_short(folder)}: {len(files)} tệp / files, {size // 1024} KiB[/]", highlight=False)
    for name, suffixes in kinds.items():
        console.print(f"  {name} ({' '.join(suffixes)})", highlight=False, soft_wrap=True)


def take_out(stack: Stack) -> tuple[Path, Path]:
    """The archive as a fresh folder, and the policy file with the keys of its logs; both in the stack's home."""
    archive, policy = stack.home.path / ARCHIVE, stack.home.path / POLICY
    archive_export(archive, stack.home.path)
    printed = io.StringIO()
    with redirect_stdout(printed):
        keys_policy(stack.home.path)
    policy.write_text(printed.getvalue(), encoding="utf-8")
    return archive, policy


def audit(console: Console, archive: Path, policy: Path, period: str) -> int:
    """Audit the exported folder in a process without a network, a home and any address; its exit code."""
    words = [sys.executable, *OFFLINE, "audit", str(archive), "--policy", str(policy), "--period", period]
    console.print(f"\n[bold]parindex {' '.join(_short(Path(word)) for word in words[3:])}[/]", highlight=False)
    return subprocess.run(words, cwd=ROOT, env=_bare(), check=False).returncode  # noqa: S603 - this package's own words


def farewell(console: Console, stack: Stack, period: str, trace: str) -> None:
    """How to look further: the trace of one decision, a byte changed by hand, the running stack."""
    home = _short(stack.home.path)
    archive, policy = f"{home}/{ARCHIVE}", f"{home}/{POLICY}"
    lines = [
        "",
        "[bold]Vết của một quyết định / one decision from its request to the new index:[/]",
        f"  {stack.zipkin}/zipkin/traces/{trace}",
        "[bold]Sửa một byte rồi kiểm toán lại / change one byte and audit again:[/]",
        f"  printf X | dd of={archive}/submission/{period}/data/000 bs=1 seek=90 conv=notrunc",
        f"  parindex audit {archive} --policy {policy}",
        "[bold]Đi tiếp / go on:[/]",
        f"  export PARINDEX_HOME={home}",
        "  parindex status",
        "  parindex token auditor-1 --role auditor",
        *(f"  {name:<10} {url}/openapi.json" for name, url in stack.services.items()),
        "  parindex down",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def is_all_there(home: Path, suffix: str, *others: str) -> bool:
    """Whether nothing is in the folder but what a demonstration takes out of a deployment whose name ends so."""
    if not {file.name for file in home.iterdir()} <= {ARCHIVE, POLICY, *others}:
        return False
    if not (home / POLICY).exists():
        return not (home / ARCHIVE).exists()
    origins = Policy.parse((home / POLICY).read_text(encoding="utf-8")).keys
    return all(origin.partition("/")[0].endswith(suffix) for origin in origins)


def clear(home: Path) -> None:
    """Delete what an earlier demonstration took out."""
    shutil.rmtree(home / ARCHIVE, ignore_errors=True)
    (home / POLICY).unlink(missing_ok=True)


def _bare() -> dict[str, str]:
    """An environment without any address, home or secret."""
    kept = ("PATH", "LANG", "TERM", "COLUMNS")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONUTF8": "1"}


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
