"""What the scoring service records: consolidation, approval and publication of the index."""

from datetime import date
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from shared.events import Event, Id, Sha256, Text
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


class RevisionOpened(Event):
    """The published index at the position `of` is to be revised under a decision: commands that a score rests on are
    taken again until a revised index is published. The published one stays readable."""

    type: ClassVar[str] = "scoring.revision-opened.v1"
    of: int
    decision: Annotated[str, Field(min_length=1, max_length=64)]
    dated: date


class RevisionReasoned(Event):
    """The words of a revision's reason; `of` is the position of its opening."""

    type: ClassVar[str] = "scoring.revision-reasoned.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    of: int
    reason: Text


class IndexRevised(IndexPublished):
    """The revised index of the period, as `index-published` in everything; `revises` is the position of that which it
    takes the place of."""

    type: ClassVar[str] = "scoring.index-revised.v1"
    revises: int


EVENTS: tuple[type[Event], ...] = (
    ScoringStarted,
    ResultConsolidated,
    ResultApproved,
    CardPublished,
    IndexPublished,
    RevisionOpened,
    RevisionReasoned,
    IndexRevised,
)
