"""What an agency may ask for, in the same words through every door."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from shared.events import Id, Instant
from shared.events.submission import Source


class Ask(BaseModel):
    """What an agency asks for in a period. The agency is never in it: the door knows who asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period: Id


class Declare(Ask):
    """Declare an item's data; `estimated`: a figure to be replaced or confirmed later; `taken_from`: the entry of an
    earlier period that is taken over with its evidence."""

    item: str
    data: str
    estimated: bool | None = None
    taken_from: Source | None = None


class ClaimNotApplicable(Ask):
    """Claim that an item does not apply."""

    item: str
    reason: str = ""


class Explain(Ask):
    """Explain an item; `request` is the position of the request that is answered."""

    item: str
    text: str = ""
    request: StrictInt | None = None


class RequestUpload(Ask):
    """Ask for a place to put a file of exactly these bytes."""

    size: StrictInt
    sha256: str
    media_type: str


class ConfirmEvidence(Ask):
    """Say that the file lies in its place and which items it serves."""

    upload: str
    size: StrictInt
    sha256: str
    media_type: str
    name: str
    items: Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]


class WithdrawEvidence(Ask):
    """Withdraw a file from these items, or from all that it serves."""

    sha256: str
    items: Annotated[tuple[str, ...], Field(max_length=200)] = ()


class Submit(Ask):
    """Submit the self-assessment; with a digest only if that is still what stands."""

    digest: str | None = None


class Upload(BaseModel):
    """A place for a file: PUT the bytes to `url` with exactly these headers before `expires`, then confirm `upload`."""

    upload: str
    url: str
    headers: dict[str, str]
    expires: Instant
