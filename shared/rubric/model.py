"""The rubric: the tree of fields, criteria and items of one instrument, and its rules for totals, bands and ranks."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, model_validator
from pydantic import Field as Limits

from shared.rubric.rules import Imported, Rule, Survey
from shared.rubric.values import (
    AboveZero,
    Code,
    FromZero,
    Frozen,
    Id,
    Label,
    LowerEnd,
    Points,
    Rounding,
    RoundingMode,
    RubricError,
    Text,
    Whole,
)


class Mode(StrEnum):
    """How an item gets its points. Only a self-assessed item is declared by the agency and needs evidence."""

    SELF_ASSESSED = "self-assessed"
    APPRAISED = "appraised"
    SURVEY = "survey"


class PartName(StrEnum):
    """What an item counts towards, independently of its field."""

    APPRAISAL = "appraisal"
    SURVEY = "survey"
    BONUS = "bonus"
    PENALTY = "penalty"


BASE_PARTS = (PartName.APPRAISAL, PartName.SURVEY)


class Leaf(Frozen):
    """A scored item. `max` is in points; only a penalty may have none. `step`: what typed points are multiples of.

    A penalty's points are written from 0 up; the total subtracts them. `may_not_apply`: whether "không áp dụng" may be
    claimed or set. `monitor`: who follows it (cơ quan theo dõi), as the instrument names them.
    """

    code: Code
    label: Label
    max: FromZero | None = None
    part: PartName = PartName.APPRAISAL
    mode: Mode = Mode.SELF_ASSESSED
    rule: Rule
    step: AboveZero | None = None
    may_not_apply: bool = True
    guidance: Text = ""
    evidence: Text = ""
    monitor: Text | None = None

    @model_validator(mode="after")
    def _mode_fits_rule(self) -> "Leaf":
        if isinstance(self.rule, Survey | Imported) != (self.mode is Mode.SURVEY):
            raise ValueError("a rule of kind survey or imported belongs to mode survey, and mode survey to such a rule")
        if self.max is None and self.part is not PartName.PENALTY:
            raise ValueError("only a penalty may be without a maximum")
        return self


class Criterion(Frozen):
    """A criterion with its sub-criteria. `max` is the maximum that the instrument prints; the items' count."""

    code: Code
    label: Label
    max: FromZero | None = None
    items: Annotated[tuple[Leaf, ...], Limits(min_length=1, max_length=100)]


def _kind_of_node(value: Any) -> str:
    if isinstance(value, Mapping):
        return "criterion" if "items" in value else "leaf"
    return "criterion" if isinstance(value, Criterion) else "leaf"


Node = Annotated[Annotated[Criterion, Tag("criterion")] | Annotated[Leaf, Tag("leaf")], Discriminator(_kind_of_node)]
"""Under a field: a criterion with items, or a criterion that is itself scored."""


class Field(Frozen):
    """A field (lĩnh vực, nội dung): one entry of a period's log carries one. `max` is as for a criterion."""

    code: Code
    label: Label
    max: FromZero | None = None
    criteria: Annotated[tuple[Node, ...], Limits(min_length=1, max_length=100)]

    @property
    def leaves(self) -> Iterator[Leaf]:
        """Its items in the order of the instrument."""
        for node in self.criteria:
            yield from (node,) if isinstance(node, Leaf) else node.items


class NotHeld(StrEnum):
    """What stands in for a part that is not held: the others scaled up, nothing (its maximum stays), or no maximum."""

    RESCALE = "rescale"
    ZERO = "zero"
    DROP = "drop"


class BasePart(Frozen):
    """A part of the scale. `max` caps its points."""

    label: Label
    max: AboveZero
    if_not_held: NotHeld = NotHeld.RESCALE


class ExtraPart(Frozen):
    """Bonus or penalty. `cap` limits the sum of its items.

    `placement`: `inside` adds to (or subtracts from) the part `into`, which stays between 0 and its maximum; `outside`
    adds to the total; `capped` adds to the total, which a bonus then cannot lift above the scale nor a penalty take
    below 0.
    """

    label: Label
    cap: FromZero | None = None
    placement: Literal["inside", "outside", "capped"] = "outside"
    into: Literal["appraisal", "survey"] = "appraisal"


class Parts(Frozen):
    """The parts that items may belong to."""

    appraisal: BasePart | None = None
    survey: BasePart | None = None
    bonus: ExtraPart | None = None
    penalty: ExtraPart | None = None

    def base(self) -> dict[PartName, BasePart]:
        """The parts that make up the scale."""
        both = {PartName.APPRAISAL: self.appraisal, PartName.SURVEY: self.survey}
        return {name: part for name, part in both.items() if part is not None}

    def names(self) -> set[PartName]:
        """The parts that the rubric has."""
        return {*self.base(), *(name for name in (PartName.BONUS, PartName.PENALTY) if self.added(name) is not None)}

    def added(self, name: PartName) -> ExtraPart | None:
        """Bonus or penalty, where the rubric has it."""
        return {PartName.BONUS: self.bonus, PartName.PENALTY: self.penalty}.get(name)


class NotApplicable(StrEnum):
    """What an item that does not apply does to the scale.

    `shrink`: its maximum leaves the whole maximum. `scale-part`, `scale-field`, `scale-criterion`: what remains of the
    part (within the whole rubric, the field or the criterion) is scaled up to the maximum before; where nothing
    remains, that maximum leaves the whole.
    """

    SHRINK = "shrink"
    SCALE_PART = "scale-part"
    SCALE_FIELD = "scale-field"
    SCALE_CRITERION = "scale-criterion"


class TotalRule(Frozen):
    """`sum`: the parts' points added up. `ratio`: achieved ÷ applicable maximum × `scale`, then bonus and penalty.

    `lowest` and `highest` limit the total after everything else.
    """

    rule: Literal["sum", "ratio"] = "sum"
    scale: AboveZero = Decimal(100)
    lowest: Points | None = None
    highest: Points | None = None


class StagedRounding(Frozen):
    """From which stage on figures are rounded, and how.

    `leaf`: each item's points, then parts and total; `part`: each part's points, then the total;
    `total`: the total only.
    """

    digits: Annotated[Whole, Limits(le=10)] = 2
    mode: RoundingMode = RoundingMode.HALF_UP
    stage: Literal["leaf", "part", "total"] = "total"

    @property
    def figure(self) -> Rounding:
        """How one figure is rounded."""
        return Rounding(digits=self.digits, mode=self.mode)


class NoZero(Frozen):
    """No applicable item, criterion or field may be at 0 points."""

    kind: Literal["no-zero"] = "no-zero"
    level: Literal["item", "criterion", "field"] = "criterion"


class LeastShare(Frozen):
    """A least share, in per cent of the applicable maximum, of a part or of the node with that code."""

    kind: Literal["least-share"] = "least-share"
    part: Literal["appraisal", "survey"] | None = None
    code: Code | None = None
    share: LowerEnd

    @model_validator(mode="after")
    def _one_place(self) -> "LeastShare":
        if (self.part is None) == (self.code is None):
            raise ValueError("write either part or code")
        return self


class Band(Frozen):
    """A class of results: its lower end on the published total (none for the lowest band) and what else it needs."""

    id: Id
    label: Label
    lower: LowerEnd | None = None
    requires: tuple[Annotated[NoZero | LeastShare, Limits(discriminator="kind")], ...] = ()


class Gate(Frozen):
    """While item `code` has achieved points in `when` (default: above 0), the band is at most `best_band`."""

    id: Id
    label: Label
    code: Code
    when: LowerEnd = LowerEnd(above=Fraction(0))
    best_band: Id


class Ranking(Frozen):
    """The tie rule: totals are compared at `decimals` decimals (all of them if absent); equal ones share a rank, and
    the next ranks are skipped (17, 17, 19) or not (17, 17, 18)."""

    skip: bool = True
    decimals: Annotated[Whole, Limits(le=10)] | None = None
    mode: RoundingMode = RoundingMode.HALF_UP


class Source(Frozen):
    """Where a rubric comes from: the instrument's number and date (`2013` or `2024-10-30`), the publisher, a note."""

    instrument: Annotated[Text, Limits(min_length=1)]
    dated: Annotated[str, Limits(pattern=r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$")]
    publisher: Text = ""
    note: Text = ""


class Reason(Frozen):
    """A reason code for a decision of appraiser or council."""

    id: Id
    label: Label


class Option(Frozen):
    """An answer that can be ticked."""

    id: Id
    label: Label


class Question(Frozen):
    """A question with its options; exactly one may be ticked."""

    id: Id
    text: Label
    options: Annotated[tuple[Option, ...], Limits(min_length=2, max_length=20)]


class Form(Frozen):
    """The form that one respondent group fills in."""

    id: Id
    group: Id
    title: Label
    questions: Annotated[tuple[Question, ...], Limits(min_length=1, max_length=200)]


class RespondentGroup(Frozen):
    """Who is asked."""

    id: Id
    label: Label


class RubricHead(Frozen):
    """A rubric without its fields. `note` says what it is on every screen that shows it."""

    id: Id
    title: Label
    official: bool
    source: Source
    note: Label
    parts: Parts
    not_applicable: NotApplicable = NotApplicable.SCALE_PART
    total: TotalRule = TotalRule()
    rounding: StagedRounding = StagedRounding()
    ranking: Ranking = Ranking()
    bands: Annotated[tuple[Band, ...], Limits(max_length=20)] = ()
    gates: Annotated[tuple[Gate, ...], Limits(max_length=20)] = ()
    missing_self_assessment: Literal["appraise", "zero", "lowest-band"] = "appraise"
    reasons: Annotated[tuple[Reason, ...], Limits(min_length=1, max_length=50)]
    respondents: Annotated[tuple[RespondentGroup, ...], Limits(max_length=20)] = ()
    forms: Annotated[tuple[Form, ...], Limits(max_length=20)] = ()


class Rubric(RubricHead):
    """A whole rubric.

    `missing_self_assessment`: the council appraises without it (`appraise`), every self-assessed item has 0 (`zero`),
    or the agency is appraised and put in the lowest band (`lowest-band`). Bands are written from best to lowest.
    """

    fields: Annotated[tuple[Field, ...], Limits(min_length=1, max_length=50)]

    @cached_property
    def leaves(self) -> Mapping[str, Leaf]:
        """Every item by its code, in the order of the instrument."""
        return {leaf.code: leaf for field in self.fields for leaf in field.leaves}

    def leaf(self, code: str) -> Leaf:
        """The item of that code; `item-unknown` where there is none."""
        if code not in self.leaves:
            raise RubricError("item-unknown", f"the rubric {self.id} has no item {code[:40]!r}", code[:40])
        return self.leaves[code]

    @property
    def has_survey(self) -> bool:
        """Whether any item is scored by survey."""
        return any(leaf.mode is Mode.SURVEY for leaf in self.leaves.values())


def split(rubric: Rubric) -> tuple[RubricHead, tuple[Field, ...]]:
    """The rubric as a log carries it: its head, and its fields one by one."""
    own = {name: getattr(rubric, name) for name in RubricHead.model_fields}
    return RubricHead.model_construct(**own), rubric.fields


def join(head: RubricHead, fields: tuple[Field, ...] | list[Field]) -> Rubric:
    """The rubric that `split` took apart."""
    own = {name: getattr(head, name) for name in RubricHead.model_fields}
    return Rubric.model_validate({**own, "fields": tuple(fields)})
