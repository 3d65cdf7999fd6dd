"""Files that a command is given, and how it says what is wrong with one."""

from pathlib import Path

from deploy.fault import Fault
from shared.rubric import RubricError


def text_of(path: Path) -> str:
    """The text of a file; Fault where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"{path} cannot be read ({type(error).__name__}); give a file in UTF-8") from None


def bytes_of(path: Path) -> bytes:
    """The bytes of a file; Fault where there are none."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Fault(f"{path} cannot be read ({type(error).__name__})") from None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; Fault where it cannot be written."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        raise Fault(f"{path} cannot be written ({type(error).__name__}); give another place") from None


def wrong(path: Path, error: RubricError) -> Fault:
    """What is wrong in a rubric's or period's file."""
    where = f"{error.field}: " if error.field else ""
    return Fault(f"{path}: {where}{error.message} ({error.code})")
