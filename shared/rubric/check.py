"""The faults of a rubric: errors where it cannot be computed, warnings where it says something doubtful."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from shared.rubric.check_rules import Fault, branch_faults, rule_faults, rule_labels
from shared.rubric.model import Band, Criterion, Leaf, LeastShare, PartName, Rubric, split
from shared.rubric.rules import Survey
from shared.rubric.values import RubricError, exact_text

MAX_ENTRY: Final = 250 * 1024
"""Bytes that a field or the head may take in a log: an entry has 256 KiB, and the event needs room around it."""
_NAMED = re.compile(r"(?:mục|tiêu chí|item|criterion)\s+((?:[IVX]+|\d+)(?:\.\d+)+)", re.IGNORECASE)


class Finding(NamedTuple):
    """One fault: `place` is an item's code or a part of the head."""

    severity: Literal["error", "warning"]
    place: str
    message: str


def check(rubric: Rubric) -> list[Finding]:
    """Every fault, errors first, in the order of the rubric; a rubric with an error is not to be opened."""
    findings = [Finding("error" if fault.fatal else "warning", fault.place, fault.message) for fault in _faults(rubric)]
    return sorted(findings, key=lambda finding: finding.severity != "error")


def require_computable(rubric: Rubric) -> None:
    """Raise `RubricError` `rubric-invalid` naming every error of `check`."""
    errors = [finding for finding in check(rubric) if finding.severity == "error"]
    if errors:
        listed = [{"field": each.place, "code": "rubric-invalid", "detail": each.message} for each in errors]
        raise RubricError("rubric-invalid", f"{errors[0].place}: {errors[0].message}", errors[0].place, listed)


def _faults(rubric: Rubric) -> Iterator[Fault]:
    yield from _codes(rubric)
    yield from _forms(rubric)
    for field in rubric.fields:
        yield from _printed(field.code, field.max, field.leaves)
        for node in field.criteria:
            if isinstance(node, Criterion):
                yield from _printed(node.code, node.max, node.items)
        for leaf in field.leaves:
            if leaf.part not in rubric.parts.names():
                yield Fault(True, leaf.code, f"the rubric has no part {leaf.part}")
            yield from rule_faults(rubric, leaf)
            yield from branch_faults(rubric, leaf)
    yield from _parts(rubric)
    yield from _bands(rubric)
    yield from _texts(rubric)
    yield from _sizes(rubric)


def _repeated(ids: Iterable[str], what: str, place: str | None = None) -> Iterator[Fault]:
    seen: set[str] = set()
    for each in ids:
        if each in seen:
            yield Fault(True, place or each, f"{what} {each} occurs twice")
        seen.add(each)


def _nodes(rubric: Rubric) -> list[str]:
    codes = []
    for field in rubric.fields:
        codes.append(field.code)
        for node in field.criteria:
            codes.append(node.code)
            if isinstance(node, Criterion):
                codes.extend(leaf.code for leaf in node.items)
    return codes


def _codes(rubric: Rubric) -> Iterator[Fault]:
    yield from _repeated(_nodes(rubric), "the code")
    yield from _repeated((reason.id for reason in rubric.reasons), "the reason", "reasons")
    yield from _repeated((gate.id for gate in rubric.gates), "the gate", "gates")


def _printed(code: str, maximum: Decimal | None, leaves: Iterable[Leaf]) -> Iterator[Fault]:
    total = sum((Fraction(leaf.max or 0) for leaf in leaves), Fraction(0))
    if maximum is not None and total != Fraction(maximum):
        yield Fault(False, code, f"its items' maxima sum to {exact_text(total)}, its printed maximum is {maximum}")


def _forms(rubric: Rubric) -> Iterator[Fault]:
    groups = [group.id for group in rubric.respondents]
    yield from _repeated(groups, "the respondent group", "respondents")
    yield from _repeated((form.id for form in rubric.forms), "the form", "forms")
    surveys = [leaf.rule for leaf in rubric.leaves.values() if isinstance(leaf.rule, Survey)]
    read = {(question.form, question.question) for rule in surveys for question in rule.questions}
    for form in rubric.forms:
        place = f"forms.{form.id}"
        if form.group not in groups:
            yield Fault(True, place, f"no respondent group has the id {form.group}")
        yield from _repeated((question.id for question in form.questions), "the question", place)
        for question in form.questions:
            options = [option.id for option in question.options]
            yield from _repeated(options, "the option", f"{place}.{question.id}")
            if "blank" in options:
                yield Fault(True, f"{place}.{question.id}", "blank is the word for unanswered and cannot be an option")
            if (form.id, question.id) not in read:
                yield Fault(False, f"{place}.{question.id}", "no item of the rubric reads this question")


def _parts(rubric: Rubric) -> Iterator[Fault]:
    sums = {name: Fraction(0) for name in PartName}
    for leaf in rubric.leaves.values():
        sums[leaf.part] += Fraction(leaf.max or 0)
    base = rubric.parts.base()
    if not base:
        yield Fault(True, "parts", "the rubric has neither an appraisal nor a survey part")
    for name, part in base.items():
        if not sums[name]:
            yield Fault(True, f"parts.{name}", "no item with a maximum belongs to this part")
        elif sums[name] != Fraction(part.max):
            message = f"the items' maxima sum to {exact_text(sums[name])}, the part's maximum is {part.max}"
            yield Fault(False, f"parts.{name}", message)
    whole = sum((Fraction(part.max) for part in base.values()), Fraction(0))
    extra_inside = _capped_bonus(rubric)
    if rubric.total.rule == "sum" and base and rubric.total.scale not in (whole, whole + extra_inside):
        yield Fault(False, "parts", f"the parts' maxima sum to {exact_text(whole)}, the scale is {rubric.total.scale}")
    for name in (PartName.BONUS, PartName.PENALTY):
        extra = rubric.parts.added(name)
        if extra is None:
            continue
        if extra.placement == "inside" and PartName(extra.into) not in base:
            yield Fault(True, f"parts.{name}", f"the rubric has no part {extra.into} to be inside of")
        if extra.cap is not None and name is PartName.BONUS and sums[name] < Fraction(extra.cap):
            yield Fault(False, f"parts.{name}", f"the items' maxima sum to {exact_text(sums[name])}, under the cap")


def _capped_bonus(rubric: Rubric) -> Fraction:
    bonus = rubric.parts.bonus
    return Fraction(0) if bonus is None or bonus.cap is None or bonus.placement == "inside" else Fraction(bonus.cap)


def _bands(rubric: Rubric) -> Iterator[Fault]:
    ids = [band.id for band in rubric.bands]
    yield from _repeated(ids, "the band", "bands")
    known = {*_nodes(rubric), *rubric.leaves}
    before: tuple[Fraction, bool] | None = None
    for band in rubric.bands:
        place = f"bands.{band.id}"
        lower = _lower(band)
        if before is not None and lower is not None and lower >= before:
            yield Fault(
                True, place, "bands are written from best to lowest; this one does not begin under the one before"
            )
        if band is not rubric.bands[-1] and lower is None:
            yield Fault(True, place, "only the lowest band may be without a lower end")
        before = lower or before
        for need in band.requires:
            if isinstance(need, LeastShare) and need.code is not None and need.code not in known:
                yield Fault(True, place, f"the rubric has no {need.code}")
    if rubric.bands and rubric.bands[-1].lower is not None:
        yield Fault(False, "bands", "a total under the last band's lower end has no band")
    if rubric.bands and rubric.bands[-1].requires:
        yield Fault(False, "bands", "the last band needs more than its total: some results have no band")
    if rubric.missing_self_assessment == "lowest-band" and not rubric.bands:
        yield Fault(True, "missing_self_assessment", "there is no lowest band: the rubric has no bands")
    for gate in rubric.gates:
        if gate.code not in rubric.leaves:
            yield Fault(True, f"gates.{gate.id}", f"the rubric has no item {gate.code}")
        if gate.best_band not in ids:
            yield Fault(True, f"gates.{gate.id}", f"the rubric has no band {gate.best_band}")


def _lower(band: Band) -> tuple[Fraction, bool] | None:
    """The lower end as something that orders: an exclusive end is over an inclusive one at the same value."""
    if band.lower is None:
        return None
    if band.lower.at_least is not None:
        return band.lower.at_least, False
    return band.lower.above or Fraction(0), True


def _texts(rubric: Rubric) -> Iterator[Fault]:
    """Texts that name an item which the rubric does not have."""
    known = set(_nodes(rubric))
    for place, texts in _said(rubric):
        for code in dict.fromkeys(code for text in texts for code in _NAMED.findall(text)):
            if code not in known:
                yield Fault(False, place, f"its text names {code}, which the rubric does not have")


def _said(rubric: Rubric) -> Iterator[tuple[str, list[str]]]:
    """Each place with the texts that an officer reads there."""
    for field in rubric.fields:
        yield field.code, [field.label.vi, field.label.en]
        for node in field.criteria:
            if isinstance(node, Criterion):
                yield node.code, [node.label.vi, node.label.en]
        for leaf in field.leaves:
            labels = [text for label in rule_labels(leaf.rule) for text in (label.vi, label.en)]
            yield leaf.code, [leaf.label.vi, leaf.label.en, leaf.guidance, leaf.evidence, *labels]
    for kind, heads in (("bands", rubric.bands), ("gates", rubric.gates)):
        for head in heads:
            yield f"{kind}.{head.id}", [head.label.vi, head.label.en]


def _sizes(rubric: Rubric) -> Iterator[Fault]:
    head, fields = split(rubric)
    for place, piece in (("head", head), *((field.code, field) for field in fields)):
        size = len(piece.model_dump_json(exclude_none=True).encode())
        if size > MAX_ENTRY:
            yield Fault(True, place, f"takes {size} bytes; an entry has room for {MAX_ENTRY}")
