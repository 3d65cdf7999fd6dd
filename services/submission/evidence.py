"""Evidence: which files are taken, how an upload is bound to its agency, and whether bytes are what was declared."""

import base64
import hashlib
import hmac
import re
import unicodedata
from datetime import datetime, timedelta
from typing import Final

from shared.decider import Rejected

MAX_SIZE: Final = 50 * 1024 * 1024
"""Largest file, in bytes."""
MAX_FILES: Final = 20
"""Files of one item."""
MAX_NAME: Final = 255
UPLOAD_TIME: Final = timedelta(hours=1)
"""How long an upload place takes bytes."""
CONFIRM_TIME: Final = timedelta(hours=12)
"""How long an upload may be confirmed; the inbox forgets it after a day."""

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_ZIP: Final = b"PK\x03\x04"
MAGIC: Final[dict[str, bytes]] = {
    "application/pdf": b"%PDF-",
    f"{_OFFICE}.wordprocessingml.document": _ZIP,
    f"{_OFFICE}.spreadsheetml.sheet": _ZIP,
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
}
"""The media types that are taken, each with the bytes that such a file begins with."""


def require_acceptable(size: int, sha256: str, media_type: str) -> None:
    """Refuse a file by what is said of it: `evidence-kind-refused`, `evidence-too-large`, `evidence-differs`."""
    if media_type not in MAGIC:
        raise Rejected("evidence-kind-refused", f"taken are: {', '.join(sorted(MAGIC))}", "media_type")
    if not 1 <= size <= MAX_SIZE:
        raise Rejected("evidence-too-large", f"a file has 1 to {MAX_SIZE} bytes", "size")
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise Rejected("evidence-differs", "a SHA-256 is 64 lower-case hex digits", "sha256")


def require_declared(data: bytes, size: int, sha256: str, media_type: str) -> None:
    """Refuse bytes that are not what was declared: `evidence-differs` in size or hash, `evidence-kind-refused`."""
    if len(data) != size:
        raise Rejected("evidence-differs", f"the store holds {len(data)} bytes, declared are {size}", "size")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Rejected("evidence-differs", "the SHA-256 of the stored bytes is not the declared one", "sha256")
    if not data.startswith(MAGIC[media_type]):
        raise Rejected("evidence-kind-refused", f"the content is not {media_type}", "media_type")


def file_name(name: str) -> str:
    """The file's name in NFC without the folders of the sender's machine; `name-invalid` where none is left."""
    last = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1]).strip()
    if not last or len(last) > MAX_NAME or any(unicodedata.category(each) in {"Cc", "Cs"} for each in last):
        raise Rejected("name-invalid", f"a file name has 1 to {MAX_NAME} printable characters", "name")
    return last


def place(sha256: str) -> str:
    """The name in the data bucket of the file with this hash."""
    return f"evidence/sha256/{sha256}"


def upload_id(secret: bytes, period: str, agency: str, name: str, now: datetime) -> str:
    """The id of an upload to the inbox object `name`: good for this agency and period only, and for `CONFIRM_TIME`."""
    until = int((now + CONFIRM_TIME).timestamp())
    return f"{name}.{until}.{_seal(secret, period, agency, name, until)}"


def uploaded(secret: bytes, period: str, agency: str, upload: str, now: datetime) -> str:
    """The inbox object that an upload id names; `upload-unknown` for an id of another agency or period, or too old."""
    found = re.fullmatch(r"([0-9a-f]{32})\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})", upload)
    if found is None:
        raise Rejected("upload-unknown", "this is no id of an upload", "upload")
    name, until, seal = found[1], int(found[2]), found[3]
    known = hmac.compare_digest(seal, _seal(secret, period, agency, name, until))
    if not known or now.timestamp() >= until:
        raise Rejected("upload-unknown", "no upload of this agency has this id, or it is too old", "upload")
    return name


def _seal(secret: bytes, period: str, agency: str, name: str, until: int) -> str:
    message = "\0".join(("upload", period, agency, name, str(until))).encode()
    return base64.urlsafe_b64encode(hmac.digest(secret, message, "sha256")).decode().rstrip("=")
