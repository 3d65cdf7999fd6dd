"""What the scoring service records: consolidation, approval and publication of the index."""

from datetime import date
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from shared.events import Event, Id, Sha256
from shared.rubric import Card, Points

Actor = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Head(BaseModel):
    """What a result was computed from: the size of a log and its root (lower-case hex)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    root: Sha256


class Row(BaseModel):
    """A line of the published table. `rank` is absent where the group or agency is not ranked; `withdrawn` is true of
    an agency that left the period.

    `total` and `parts` have the digits that the rubric rounds to (`58.50`), as on the card.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: Id
    rank: int | None = None
    agency: Id
    name_vi: str
    name_en: str
    self_assessed: Points
    parts: dict[str, Points]
    total: Points
    band: str | None = None
    withdrawn: bool | None = None


Heads = dict[str, Head]


class ScoringStarted(Event):
    """The period's scoring log begins, in reaction to the period's opening; `of` is that entry's position."""

    type: ClassVar[str] = "scoring.scoring-started.v1"
    period: Id
    of: int


class ResultConsolidated(Event):
    """Sở Nội vụ consolidated the result: computed by `formula` from `heads`; `digest` names it to the byte.

    `by` is the entry's actor, so that the rule of two persons can be decided from events alone.
    """

    type: ClassVar[str] = "scoring.result-consolidated.v1"
    by: Actor
    formula: str
    heads: Heads
    digest: Sha256


class ResultApproved(Event):
    """Another person approved exactly that digest for the People's Committee."""

    type: ClassVar[str] = "scoring.result-approved.v1"
    digest: Sha256
    decision: Annotated[str, Field(min_length=1, max_length=64)]
    dated: date


class CardPublished(Event):
    """One agency's row of the published table and its card; the rows stand in the order of the table.

    It counts only under the manifest `index-published` that follows.
    """

    type: ClassVar[str] = "scoring.card-published.v1"
    agency: Id
    row: Row
    card: Card


class IndexPublished(Event):
    """The index of the period: the heads it was computed from, the decision, and the manifest of its rows and cards."""

    type: ClassVar[str] = "scoring.index-published.v1"
    period: Id
    formula: str
    heads: Heads
    digest: Sha256
    decision: str
    dated: date
    count: int
    first: int
    parts_digest: Sha256


EVENTS: tuple[type[Event], ...] = (ScoringStarted, ResultConsolidated, ResultApproved, CardPublished, IndexPublished)
