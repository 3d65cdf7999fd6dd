"""`parindex rubric`: rubric files checked, compared, and taken to a workbook and back. No service is needed."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.fault import Fault
from deploy.files import bytes_of, text_of, write_whole, wrong
from deploy.rubric_book import BookFaults, exported, imported
from shared.rubric import Finding, Rubric, RubricError, check, load_rubric
from shared.rubric.compare import ASPECTS, differences
from shared.rubric.files import places

rubric = typer.Typer(help="Rubric files: check, diff, export to Excel and import from it.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A rubric's YAML file.")]
_SEVERITY: Final = {"error": "lỗi / error", "warning": "cảnh báo / warning"}
_KIND: Final = {"added": "thêm / added", "removed": "bỏ / removed", "changed": "đổi / changed"}


@rubric.command("check")
def rubric_check(file: File) -> None:
    """Name each fault of a rubric file with its line and path: errors (cannot be computed) and warnings."""
    text = text_of(file)
    table = Table("", "dòng / line", "nơi / place", "đường dẫn / path", "nội dung / finding", title=str(file))
    try:
        findings = check(load_rubric(text))
        where = places(text)
    except RubricError as error:
        if not error.errors:
            raise wrong(file, error) from None
        for each in error.errors:
            line, _, detail = each["detail"].partition(": ")
            _row(table, _SEVERITY["error"], line.removeprefix("line "), "", each["field"], detail)
        Console().print(table)
        raise Fault(f"{file} is no rubric: {len(error.errors)} errors, the first at {error.message}") from None
    for finding in findings:
        line, path = _where(finding, where)
        _row(table, _SEVERITY[finding.severity], line, finding.place, path, finding.message)
    if findings:
        Console().print(table)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        line, path = _where(errors[0], where)
        raise Fault(f"{file} cannot be computed: {len(errors)} errors, the first in line {line} at {errors[0].place}")
    typer.echo(f"{file}: can be computed, {len(findings)} warnings")


def _where(finding: Finding, where: dict[str, tuple[int, str]]) -> tuple[str, str]:
    """The line and path of what is at fault; for what the file leaves out, of the nearest that holds it."""
    place = finding.place
    while place not in where and "." in place:
        place = place.rpartition(".")[0]
    line, path = where.get(place, (1, "(whole file)"))
    return str(line), path


@rubric.command("export")
def rubric_export(
    file: File, out: Annotated[Path, typer.Argument(metavar="OUT.xlsx", help="The workbook that is written.")]
) -> None:
    """Write the rubric as the table that an officer knows: code, label, maximum, rule, guidance, evidence, monitor."""
    data = exported(_read(file))
    write_whole(out, data)
    typer.echo(f"{out}: {len(data)} bytes")


@rubric.command("import")
def rubric_import(
    book: Annotated[Path, typer.Argument(metavar="IN.xlsx", help="A workbook of `parindex rubric export`.")],
    base: Annotated[Path, typer.Argument(metavar="BASE.yaml", help="The rubric that it was exported from.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.yaml", help="The rubric that is written.")],
) -> None:
    """Take labels, maxima, rules, guidance, evidence and monitors from a workbook; all else stays as in BASE."""
    try:
        taken = imported(bytes_of(book), text_of(base))
    except RubricError as error:
        raise wrong(base, error) from None
    except BookFaults as refused:
        faults = Table("ô / cell", "mã / code", "nội dung / finding", title=str(book))
        for fault in refused.faults:
            _row(faults, fault.cell or "", fault.code, fault.message)
        Console().print(faults)
        raise
    changes = Table("mã / code", "cột / column", "trước / before", "sau / after", title=str(book))
    for change in taken.changes:
        _row(changes, *change)
    if taken.changes:
        Console().print(changes)
    for note in taken.notes:
        typer.echo(f"{out}: {note}")
    write_whole(out, taken.text.encode())
    typer.echo(f"{out}: {len(taken.changes)} changes")


@rubric.command("diff")
def rubric_diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A rubric's file.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The rubric's file that it is compared with.")],
) -> None:
    """Every item, rule, maximum, label and total rule that was changed, added or removed; exit code 1 if any was."""
    found = differences(_read(before), _read(after))
    if not found:
        typer.echo(f"{before} và {after} giống nhau / are equal")
        return
    table = Table("", "mã / place", "mục / aspect", "trước / before", "sau / after", title=f"{before} → {after}")
    for each in found:
        aspect = f"{ASPECTS[each.aspect]} / {each.aspect}"
        _row(table, _KIND[each.kind], each.place, aspect, each.before, each.after)
    Console().print(table)
    typer.echo(f"{len(found)} khác biệt / differences")
    raise typer.Exit(1)


def _row(table: Table, *cells: str) -> None:
    """A row whose cells are shown as they are written: brackets are no markup, nothing is cut."""
    table.add_row(*(Text(cell, overflow="fold") for cell in cells))


def _read(path: Path) -> Rubric:
    try:
        return load_rubric(text_of(path))
    except RubricError as error:
        raise wrong(path, error) from None
