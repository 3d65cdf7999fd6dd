"""What a result looks like: the values of an agency's items, and the card that is computed from them."""

from decimal import Decimal

from shared.rubric.model import PartName
from shared.rubric.values import Code, Exact, Frozen, Id, Points


class LeafValue(Frozen):
    """The numbers of one item, kept apart. `appraised` is the last appraisal round's, or the survey's points.

    `not_applicable` is what appraiser, council or the survey's too-few rule settled, never an agency's claim.
    """

    self_assessed: Points | None = None
    appraised: Points | None = None
    council: Points | None = None
    not_applicable: bool = False

    @property
    def achieved(self) -> Decimal | None:
        """The council's points, else the appraised ones; the self-assessed ones are never achieved by themselves."""
        return self.council if self.council is not None else self.appraised


class LeafLine(Frozen):
    """An item on the card. `achieved` is None while it is `open` or does not apply."""

    code: Code
    part: PartName
    maximum: Points | None = None
    not_applicable: bool = False
    self_assessed: Points | None = None
    appraised: Points | None = None
    council: Points | None = None
    achieved: Points | None = None
    open: bool = False


class NodeLine(Frozen):
    """A criterion or field. Maxima, achieved points and `index` (achieved ÷ applicable × 100) are over the items of the
    scale; `extra` is bonus less penalty. `open` counts items that have no points yet."""

    code: Code
    maximum: Points
    applicable: Points
    self_assessed: Points
    achieved: Points
    extra: Points
    open: int
    index: Points | None = None


class PartLine(Frozen):
    """A part. `achieved` is the plain sum of its items; `exact` is what it adds to the total (a penalty's is negative)
    after the rules for not applicable, caps and parts not held; `points` is that as the rubric prints it."""

    part: PartName
    maximum: Points | None = None
    applicable: Points
    held: bool = True
    self_assessed: Points
    achieved: Points
    open: int
    points: Points
    exact: Exact


class Card(Frozen):
    """One agency's result under one rubric. While not `final`, open items count nothing and the card is provisional:
    `self_assessed`, `appraised` (all but the survey, with `appraised_open` items open) and `survey` stand side by side.

    `total` is rounded as the rubric says, `exact` is the total before that, `ranked_by` what ranks compare.
    """

    rubric: Id
    final: bool
    maximum: Points
    applicable: Points
    self_assessed: Points
    appraised: Points
    appraised_open: int
    survey: Points
    survey_open: int
    total: Points
    exact: Exact
    ranked_by: Exact
    index: Points | None = None
    band: Id | None = None
    parts: tuple[PartLine, ...]
    fields: tuple[NodeLine, ...]
    criteria: tuple[NodeLine, ...]
    leaves: tuple[LeafLine, ...]
