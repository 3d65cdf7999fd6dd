"""Commands of the proof: copy the archive out, print the keys of its logs, audit a copy of it."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from deploy.fault import Fault
from deploy.local.stack import Stack, default_home
from services.scoring.audit import AuditError, audit, opened_logs
from services.scoring.findings import TITLES, Check, Verdict
from shared.archive import ArchiveError, ArchiveReader, export
from shared.events import SERVICES
from shared.objects import Bucket, ObjectMissing, Objects, StoreError
from shared.tlog.checkpoint import CheckpointError, Policy, PolicyError, unverified_checkpoint
from shared.tlog.tiles import CHECKPOINT, paths

SHOWN: Final = 100  # findings that are printed; `--json` has all
ATTEMPTS: Final = 5
UNVERIFIED: Final = (Check.ERASED, Check.WITHHELD)

app = typer.Typer()
archive = typer.Typer(help="The archive: the logs as static files.", no_args_is_help=True)
keys = typer.Typer(help="The keys that the logs are signed with.", no_args_is_help=True)

HomeOption = Annotated[
    Path | None, typer.Option("--home", envvar="PARINDEX_HOME", help="Folder of the stack.", show_default=".parindex")
]


@archive.command("export")
def archive_export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder, or an older export.")],
    home: HomeOption = None,
) -> None:
    """Copy the archive out of the object store: proof, data and evidence of all logs."""
    stack = Stack.load(home or default_home())

    async def copy() -> None:
        with _progress("files") as progress:
            async with _objects(stack) as objects:
                await export(objects, folder, progress)

    try:
        asyncio.run(copy())
    except (ArchiveError, CheckpointError, StoreError, OSError) as error:
        raise Fault(f"the archive was not exported: {error}") from error
    sys.stdout.write(f"{folder}: {sum(file.is_file() for file in folder.rglob('*'))} files\n")


@keys.command("policy")
def keys_policy(home: HomeOption = None) -> None:
    """Print the policy file: one `log <vkey>` line for each log that the registers have opened.

    The keys are read from the archived registers, verified with the registers' own keys that were made with the stack.
    Hand the file to auditors by another way than the archive. A log appears once its register is archived.
    """
    stack = Stack.load(home or default_home())
    try:
        registers = Policy.parse(stack.registers.read_text(encoding="utf-8"))
        policy, verdict = asyncio.run(_opened(stack, registers))
    except (PolicyError, AuditError, ArchiveError, CheckpointError, StoreError, OSError) as error:
        raise Fault(f"the registers cannot be read from the archive: {error}; is the stack up?") from error
    for finding in verdict.findings:
        raise Fault(f"the archived registers do not hold: {finding.place}: {finding.name}: {finding.message}")
    sys.stdout.write(policy.text())


@app.command("audit")
def audit_archive(
    folder: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="The folder of an exported archive.")],
    policy: Annotated[Path, typer.Option("--policy", help="Policy file; not one that came with the archive.")],
    period: Annotated[str | None, typer.Option("--period", help="A period that must be published.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Verify an exported archive from its files alone, and compute each published result again.

    Exit code 0: everything holds. 1: findings, each by name and place. 2: archive or policy cannot be read.
    """
    try:
        read = Policy.parse(policy.read_text(encoding="utf-8"))
        with _progress("entries") as progress:
            verdict = audit(ArchiveReader(folder), read, period, progress)
    except (AuditError, ArchiveError, OSError) as error:
        raise _unreadable(str(error)) from error
    except (PolicyError, UnicodeDecodeError) as error:
        raise _unreadable(f"{policy}: {error}; `parindex keys policy` prints a policy file") from error
    if as_json:
        sys.stdout.write(json.dumps(_as_json(verdict), ensure_ascii=False, indent=1) + "\n")
    else:
        _print(verdict)
    raise typer.Exit(0 if verdict.holds else 1)


def _unreadable(why: str) -> typer.Exit:
    sys.stderr.write(f"parindex: không kiểm toán được / cannot audit: {why}\n")
    return typer.Exit(2)


def _objects(stack: Stack) -> Objects:
    return Objects(stack.s3_endpoint, stack.s3_access_key, stack.s3_secret_key)


async def _opened(stack: Stack, registers: Policy) -> tuple[Policy, Verdict]:
    with TemporaryDirectory() as folder:
        async with _objects(stack) as objects:
            for service in SERVICES:
                await _copy(objects, f"{service}/register", Path(folder))
        return opened_logs(ArchiveReader(Path(folder)), registers)


async def _copy(objects: Objects, log: str, folder: Path) -> None:
    """Copy one log under its newest checkpoint; again if it was archived further meanwhile."""
    for attempt in range(1, ATTEMPTS + 1):
        note = await objects.get(Bucket.PROOF, f"{log}/{CHECKPOINT}")
        contents = {CHECKPOINT: note}
        try:
            for path in paths(unverified_checkpoint(note).size):
                bucket = Bucket.DATA if path.startswith("data/") else Bucket.PROOF
                contents[path] = await objects.get(bucket, f"{log}/{path}")
        except ObjectMissing:
            if attempt == ATTEMPTS:
                raise
            continue
        break
    for path, content in contents.items():
        file = folder / log / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "holds": verdict.holds,
        "logs": verdict.logs,
        "entries": verdict.entries,
        "periods": verdict.periods,
        "findings": [
            {"name": each.name, "file": each.file, "position": each.position, "message": each.message}
            for each in verdict.findings
        ],
        "checks": [
            {**line._asdict(), "vi": TITLES[line.check][0], "en": TITLES[line.check][1]} for line in verdict.checks
        ],
        "erased": verdict.erased,
    }


def _print(verdict: Verdict) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(verdict_line(verdict), style="bold green" if verdict.holds else "bold red")
    table = Table("kiểm tra / check", "số lượng / number", "lỗi / findings")
    for line in verdict.checks:
        vi, en = TITLES[line.check]
        colour = "red" if line.findings else "yellow" if line.check in UNVERIFIED and line.checked else "green"
        table.add_row(f"{vi}\n[dim]{en}", str(line.checked), f"[{colour}]{line.findings}")
    console.print(table)
    for place in verdict.erased[:SHOWN]:
        console.print(f"đã xóa / erased: {escape(place)}")
    for each in verdict.findings[:SHOWN]:
        console.print(f"[red]{each.name}[/] {escape(each.place)}: {escape(each.message)}")
    if len(verdict.findings) > SHOWN:
        rest = len(verdict.findings) - SHOWN
        console.print(f"… và {rest} lỗi nữa; --json ghi đủ / and {rest} more; --json has all")


def verdict_line(verdict: Verdict) -> str:
    """The verdict in one line, Vietnamese and English."""
    periods = ", ".join(verdict.periods)
    if not verdict.holds:
        places = len({finding.file for finding in verdict.findings})
        found = len(verdict.findings)
        return f"KHÔNG HỢP LỆ: {found} lỗi tại {places} tệp / DOES NOT HOLD: {found} findings in {places} files"
    vi = f"tính lại đúng từng chữ số: {periods}" if periods else "chưa có kỳ nào được công bố"
    en = f"computed again digit by digit: {periods}" if periods else "no period is published"
    return (
        f"HỢP LỆ: {verdict.logs} sổ, {verdict.entries} bản ghi; {vi} / "
        f"HOLDS: {verdict.logs} logs, {verdict.entries} entries; {en}"
    )


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on standard error that shows how much is done; nothing where that is no terminal."""
    columns = (TextColumn("{task.fields[at]}"), BarColumn(), MofNCompleteColumn(), TextColumn(what))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, at="")

        def progress(done: int, total: int, at: str) -> None:
            bar.update(task, completed=done, total=total, at=at)

        yield progress
