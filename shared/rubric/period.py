"""A period of the index as an officer writes it: what is assessed, who, with which rubric, until when."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, model_validator
from pydantic import Field as Limits

from shared.rubric.model import Rubric
from shared.rubric.values import Frozen, Id, Instant, Label, LowerEnd, RubricError, Whole

ZONE: Final = ZoneInfo("Asia/Ho_Chi_Minh")
"""The time zone of every deadline."""
Publication = Literal["everything", "points-only", "totals-only", "nothing"]


class Span(Frozen):
    """The days that are assessed, both included."""

    from_: Annotated[date, Limits(alias="from")]
    to: date

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.to < self.from_:
            raise ValueError("the span ends before it begins")
        return self


class Deadline(Frozen):
    """A step's due time and, where lateness is tolerated, its last time; both instants are exclusive."""

    due: Instant
    last: Instant | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last is not None and self.last < self.due:
            raise ValueError("last is before due")
        return self

    @property
    def closes(self) -> datetime:
        """When the step closes by itself."""
        return self.last or self.due


class Council(Frozen):
    """The Appraisal Council: how many members, and the share of all of them that a decision needs.

    `decides_result`: the appraisal becomes final only after the council has accepted the result by a decision.
    """

    members: Annotated[Whole, Limits(ge=1, le=99)]
    majority: LowerEnd = LowerEnd(above=Fraction(1, 2))
    decides_result: bool | None = None

    def carries(self, in_favour: int) -> bool:
        """Whether so many votes in favour carry a decision."""
        return self.majority.holds(Fraction(in_favour, self.members))


class Agency(Frozen):
    """An agency under the name that is valid in this period. `publication` replaces the period's policy for it."""

    id: Id
    name: Label
    publication: Publication | None = None


class AgencyGroup(Frozen):
    """Agencies under one rubric; ranks are inside a group, and a group may be scored without ranks.

    `rubric` is a file's path, relative to the period's file, in a `PeriodFile`; a rubric's id in a `PeriodOpening`.
    """

    id: Id
    name: Label
    rubric: Annotated[str, Limits(min_length=1, max_length=200)]
    ranked: bool = True
    agencies: Annotated[tuple[Agency, ...], Limits(min_length=1, max_length=5000)]


class PeriodFile(Frozen):
    """A period's file.

    `deadlines`: steps of the process, among them `self-assessment`; `explanation_days`: days to answer a request for
    explanation; `appraised_points_visible_from`: from when an agency sees appraised points on its own card;
    `retain_until`: until when the proof is locked; `publication`: the policy where an agency has none of its own.
    """

    period: Id
    kind: Literal["six-month", "year"]
    name: Label
    span: Span
    deadlines: Annotated[dict[Id, Deadline], Limits(min_length=1, max_length=12)]
    explanation_days: Annotated[Whole, Limits(ge=1, le=90)]
    appraised_points_visible_from: Instant
    retain_until: date
    publication: Publication = "everything"
    council: Council
    groups: Annotated[tuple[AgencyGroup, ...], Limits(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.period == "register":
            raise ValueError("the period's id cannot be register")
        if "self-assessment" not in self.deadlines:
            raise ValueError("deadlines lacks self-assessment")
        _once("group", [group.id for group in self.groups])
        _once("agency", [agency.id for group in self.groups for agency in group.agencies])
        return self


class PeriodOpening(PeriodFile):
    """What opens a period: its file with the rubrics themselves."""

    rubrics: Annotated[tuple[Rubric, ...], Limits(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _rubrics_fit(self) -> Self:
        known = [rubric.id for rubric in self.rubrics]
        _once("rubric", known)
        used = {group.rubric for group in self.groups}
        if unknown := sorted(used - set(known)):
            raise ValueError(f"no rubric has the id {unknown[0]}")
        if idle := sorted(set(known) - used):
            raise ValueError(f"no group uses the rubric {idle[0]}")
        return self

    def rubric_of(self, group: str) -> Rubric:
        """The rubric of a group."""
        wanted = next(each.rubric for each in self.groups if each.id == group)
        return next(rubric for rubric in self.rubrics if rubric.id == wanted)


def opening(period: PeriodFile, rubrics: Mapping[str, Rubric]) -> PeriodOpening:
    """The opening of a period whose groups' rubric files were read (path → rubric).

    `period-invalid` where one lacks.
    """
    if missing := sorted({group.rubric for group in period.groups} - set(rubrics)):
        raise RubricError("period-invalid", f"the rubric {missing[0]} was not read", "groups")
    groups = tuple(group.model_copy(update={"rubric": rubrics[group.rubric].id}) for group in period.groups)
    used = {rubrics[group.rubric].id: rubrics[group.rubric] for group in period.groups}
    own = {name: getattr(period, name) for name in PeriodFile.model_fields}
    return PeriodOpening.model_validate({**own, "groups": groups, "rubrics": tuple(used.values())})


def days_late(due: datetime, at: datetime) -> int:
    """Calendar days in Asia/Ho_Chi_Minh from the last day that was in time to `at`; 0 before `due`, else at least 1."""
    if at < due:
        return 0
    in_time = (due - timedelta(microseconds=1)).astimezone(ZONE).date()
    return max(1, (at.astimezone(ZONE).date() - in_time).days)


def _once(what: str, ids: list[str]) -> None:
    seen: set[str] = set()
    for each in ids:
        if each in seen:
            raise ValueError(f"{what} {each} occurs twice")
        seen.add(each)
