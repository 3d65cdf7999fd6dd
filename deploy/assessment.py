"""A self-assessment in a file: the CSV that an officer of an agency fills in, read whole before anything is sent."""

import csv
import hashlib
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.client import Client, key_of
from deploy.fault import Fault

COLUMNS: Final = ("code", "data", "evidence", "explanation")
NOT_APPLICABLE: Final = frozenset({"không áp dụng", "not applicable", "n/a"})
KINDS: Final = {
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}


@dataclass(frozen=True)
class Row:
    """One item: its data or that it does not apply, its evidence files, its explanation or the claim's reason."""

    code: str
    data: str
    not_applicable: bool
    evidence: tuple[Path, ...]
    explanation: str


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV file with the columns `code`, `data`, `evidence` and, if wanted, `explanation`.

    `evidence` holds paths relative to the file, joined by `;`. `data` reading "không áp dụng" claims that the item does
    not apply, and `explanation` is then the reason. Commas and semicolons both serve as separators of columns. Raises
    Fault naming the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"{path} cannot be read ({type(error).__name__}); give a CSV file in UTF-8") from None
    first = text.partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    reader = csv.DictReader(io.StringIO(text), delimiter=separator)
    names = [name.strip().lower() for name in reader.fieldnames or ()]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or names[:2] != ["code", "data"]:
        raise Fault(f"{path}: the first line must name the columns code,data,evidence,explanation")
    reader.fieldnames = names
    rows = [_row(path, number, line) for number, line in enumerate(reader, 2) if any(line.values())]
    twice = [row.code for number, row in enumerate(rows) if row.code in {before.code for before in rows[:number]}]
    if twice:
        raise Fault(f"{path}: item {twice[0]} stands twice; keep one line")
    if not rows:
        raise Fault(f"{path} has no item; write a line for each")
    return rows


def _row(path: Path, number: int, line: Mapping[str, Any]) -> Row:
    if None in line:
        raise Fault(f"{path}:{number}: more fields than columns; put text with the separator in quotes")
    cells = {name: (value or "").strip() for name, value in line.items()}
    code, data, explanation = cells["code"], cells["data"], cells.get("explanation", "")
    claimed = unicodedata.normalize("NFC", data).lower() in NOT_APPLICABLE
    if not code or not data:
        raise Fault(f"{path}:{number}: code and data are both needed")
    if claimed and not explanation:
        raise Fault(f"{path}:{number}: item {code} does not apply: say why in the column explanation")
    files = tuple(path.parent / name.strip() for name in cells.get("evidence", "").split(";") if name.strip())
    for file in files:
        if not file.is_file():
            raise Fault(f"{path}:{number}: there is no file {file}")
        if file.suffix.lower() not in KINDS:
            raise Fault(f"{path}:{number}: {file.name} is not one of {', '.join(sorted(KINDS))}")
    return Row(code, data, claimed, files, explanation)


async def send_rows(client: Client, period: str, agency: str, rows: list[Row]) -> dict[str, Any]:
    """Declare every row, upload each file once, explain; returns the self-assessment as it then stands.

    A repeat with the same file changes nothing. The codes are checked against the rubric before anything is sent.
    """
    here = f"/periods/{period}/agencies/{agency}"
    known: dict[str, Any] = await client.get("submission", here)
    codes = {line["item"] for line in known["items"]}
    unknown = [row.code for row in rows if row.code not in codes]
    if unknown:
        raise Fault(f"the rubric has no self-assessed item {unknown[0]}; see `parindex period show {period}`")
    for row in rows:
        if row.not_applicable:
            body: dict[str, Any] = {"not_applicable": True, "reason": row.explanation}
        else:
            body = {"data": row.data}
        await client.put("submission", f"{here}/items/{row.code}", body, key_of("declare", period, agency, repr(row)))
    for file in dict.fromkeys(file for row in rows for file in row.evidence):
        items = [row.code for row in rows if file in row.evidence]
        await send_file(client, here, file.name, file.read_bytes(), KINDS[file.suffix.lower()], items)
    for row in rows:
        if row.explanation and not row.not_applicable:
            body = {"text": row.explanation}
            key = key_of("explain", period, agency, row.code, row.explanation)
            await client.put("submission", f"{here}/items/{row.code}/explanation", body, key)
    after: dict[str, Any] = await client.get("submission", here)
    return after


async def send_file(client: Client, here: str, name: str, data: bytes, media_type: str, items: list[str]) -> None:
    """Upload one file to a presigned place and confirm it as evidence of these items; `here` is the agency's path."""
    sha256 = hashlib.sha256(data).hexdigest()
    file = {"size": len(data), "sha256": sha256, "media_type": media_type}
    place = await client.post("submission", f"{here}/uploads", file)
    await client.upload(place["url"], place["headers"], data)
    confirmation = {**file, "upload": place["upload"], "name": unicodedata.normalize("NFC", name), "items": items}
    await client.post("submission", f"{here}/evidence", confirmation, key_of("evidence", here, sha256, repr(items)))
