"""The faults of one item's score rule."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import NamedTuple

from shared.rubric.measures import Interval
from shared.rubric.model import Leaf, Rubric
from shared.rubric.rules import (
    Branch,
    ByHand,
    Count,
    Imported,
    LateDays,
    Levels,
    OptionShares,
    PlainRule,
    Proportional,
    Rule,
    Shares,
    Steps,
    Survey,
    SurveyQuestion,
    YesNo,
)
from shared.rubric.values import Label, exact_text


class Fault(NamedTuple):
    """A fault at a place; a fatal one leaves something that cannot be computed."""

    fatal: bool
    place: str
    message: str


def rule_faults(rubric: Rubric, leaf: Leaf) -> Iterator[Fault]:
    """The faults of the item's rule, other than those of its branches' references."""
    rule = leaf.rule
    if isinstance(rule, Survey):
        yield from _survey(rubric, leaf, rule)
    elif isinstance(rule, Branch):
        rules = [case.rule for case in rule.cases] + ([] if rule.otherwise is None else [rule.otherwise])
        for plain in rules:
            yield from _plain(leaf, plain)
        yield from _reach(leaf, rules)
    elif not isinstance(rule, Imported):
        yield from _plain(leaf, rule)
        yield from _reach(leaf, [rule])


def _plain(leaf: Leaf, rule: PlainRule) -> Iterator[Fault]:
    needs_maximum = isinstance(rule, Shares) or (
        (isinstance(rule, Proportional) and rule.of is None) or (isinstance(rule, YesNo) and rule.yes is None)
    )
    if leaf.max is None and needs_maximum:
        yield Fault(
            True, leaf.code, f"a rule of kind {rule.kind} starts from the maximum, which the item does not have"
        )
    if isinstance(rule, Levels | Shares):
        ids = [level.id for level in rule.levels]
        for each in sorted({each for each in ids if ids.count(each) > 1}):
            yield Fault(True, leaf.code, f"the level {each} occurs twice")
    if isinstance(rule, Steps):
        yield from _steps(leaf, rule)
    if isinstance(rule, LateDays) and rule.beyond is not None and rule.last_day is None:
        yield Fault(False, leaf.code, "beyond holds after last_day, which is not stated")
    if isinstance(rule, Proportional) and rule.of is not None and rule.rounding is not None:
        rounded = Fraction(rule.rounding.of(Fraction(rule.of)))
        if rounded > Fraction(rule.of) and (leaf.max is None or leaf.max > rule.of):
            yield Fault(False, leaf.code, f"its rounding takes points to {exact_text(rounded)}, above {rule.of}")
    if leaf.step is not None:
        for points in _stated(rule):
            if points % Fraction(leaf.step):
                yield Fault(False, leaf.code, f"{exact_text(points)} points is not a multiple of the step {leaf.step}")


def _stated(rule: PlainRule) -> list[Fraction]:
    """The points that a rule states by themselves."""
    match rule:
        case YesNo():
            return [Fraction(points) for points in (rule.yes, rule.no) if points is not None]
        case Levels():
            return [Fraction(level.points) for level in rule.levels]
        case Steps():
            return [Fraction(step.points) for step in rule.steps]
        case Count():
            return [Fraction(rule.unit)]
        case LateDays():
            return [Fraction(points) for points in (rule.first_points, rule.per_day)]
        case _:
            return []


def _best(rule: PlainRule, maximum: Fraction) -> Fraction:
    """The most points that the rule gives before the maximum cuts them."""
    match rule:
        case YesNo():
            return max(maximum if rule.yes is None else Fraction(rule.yes), Fraction(rule.no))
        case Levels() | Steps():
            return max(_stated(rule))
        case Shares():
            return max(maximum * Fraction(level.share) / 100 for level in rule.levels)
        case Proportional():
            whole = maximum if rule.of is None else Fraction(rule.of)
            top = rule.measure.top
            if top is None or (rule.full is not None and rule.full.holds(top)):
                return whole
            return min(whole, top / Fraction(rule.divisor) * whole)
        case Count():
            return maximum if rule.cap is None else Fraction(rule.cap)
        case LateDays() | ByHand():
            return maximum


def _reach(leaf: Leaf, rules: list[PlainRule]) -> Iterator[Fault]:
    if leaf.max is None:
        return
    maximum = Fraction(leaf.max)
    best = max(_best(rule, maximum) for rule in rules)
    if best < maximum:
        yield Fault(
            False, leaf.code, f"no datum reaches the maximum {leaf.max}: the rule gives at most {exact_text(best)}"
        )
    if best > maximum:
        yield Fault(False, leaf.code, f"the rule gives up to {exact_text(best)}, which the maximum {leaf.max} cuts")


class _Range(NamedTuple):
    """A step's range; `low` and `high` None where it is open, `low_in` and `high_in` whether the end is inside."""

    low: Fraction | None
    low_in: bool
    high: Fraction | None
    high_in: bool


def _range(step: Interval, whole: bool) -> _Range:
    low = step.at_least if step.at_least is not None else step.above
    high = step.at_most if step.at_most is not None else step.below
    low_in, high_in = step.above is None, step.below is None
    if whole:  # a count has no value between n and n + 1
        low = None if low is None else Fraction(ceil(low) if low_in else floor(low) + 1)
        high = None if high is None else Fraction(floor(high) if high_in else ceil(high) - 1)
        return _Range(low, True, high, True)
    return _Range(low, low_in, high, high_in)


def _empty(low: Fraction, high: Fraction, each: _Range) -> bool:
    return low > high or (low == high and not (each.low_in and each.high_in))


def _steps(leaf: Leaf, rule: Steps) -> Iterator[Fault]:
    """Every value from 0 to the measure's top is in exactly one step."""
    whole = rule.measure.kind == "count"
    ranges = sorted(
        (_range(step, whole) for step in rule.steps), key=lambda each: (each.low or Fraction(0), not each.low_in)
    )
    for each in ranges:
        if each.low is not None and each.high is not None and _empty(each.low, each.high, each):
            yield Fault(True, leaf.code, f"the step from {exact_text(each.low)} holds no value")
    first, last, top = ranges[0], ranges[-1], rule.measure.top
    if first.low is not None and (first.low > 0 or not first.low_in):
        yield Fault(True, leaf.code, f"no step covers 0: the first begins at {exact_text(first.low)}")
    for before, after in pairwise(ranges):
        if before.high is None or after.low is None:
            yield Fault(True, leaf.code, "two steps overlap")
            continue
        gap = after.low - before.high - (1 if whole else 0)
        shared = before.high_in + after.low_in
        if gap > 0 or (gap == 0 and not whole and shared == 0):
            yield Fault(True, leaf.code, f"no step covers what lies after {exact_text(before.high)}")
        if gap < 0 or (gap == 0 and not whole and shared == 2):
            yield Fault(True, leaf.code, f"two steps overlap at {exact_text(after.low)}")
    if last.high is not None and (top is None or last.high < top or (last.high == top and not last.high_in)):
        yield Fault(True, leaf.code, f"no step covers what lies after {exact_text(last.high)}")


def branch_faults(rubric: Rubric, leaf: Leaf) -> Iterator[Fault]:
    """The faults of what a branch hangs on."""
    rule = leaf.rule
    if not isinstance(rule, Branch):
        return
    if rule.on not in rubric.leaves:
        yield Fault(True, leaf.code, f"it hangs on item {rule.on}, which the rubric does not have")
        return
    if _circular(rubric, leaf.code):
        yield Fault(True, leaf.code, "its branch comes back to the item itself")
        return
    answers = _answers(rubric, rubric.leaves[rule.on])
    if answers is None:
        yield Fault(True, leaf.code, f"it hangs on item {rule.on}, which has neither levels nor yes and no")
        return
    named = [answer for case in rule.cases for answer in case.when]
    for each in sorted(set(named) - answers):
        yield Fault(True, leaf.code, f"item {rule.on} has no answer {each}")
    for each in sorted({each for each in named if named.count(each) > 1}):
        yield Fault(True, leaf.code, f"two cases hold for {each}")
    if rule.otherwise is None:
        for each in sorted(answers - set(named)):
            yield Fault(True, leaf.code, f"no case holds while item {rule.on} is {each}")


def rule_labels(rule: Rule) -> Iterator[Label]:
    """The labels of the rule's levels and steps, of all its branches."""
    match rule:
        case Levels() | Shares():
            yield from (level.label for level in rule.levels)
        case Steps():
            yield from (step.label for step in rule.steps if step.label is not None)
        case Branch():
            for plain in [case.rule for case in rule.cases] + ([] if rule.otherwise is None else [rule.otherwise]):
                yield from rule_labels(plain)


def _circular(rubric: Rubric, code: str) -> bool:
    seen: set[str] = set()
    at = code
    while at in rubric.leaves and at not in seen:
        seen.add(at)
        rule = rubric.leaves[at].rule
        if not isinstance(rule, Branch):
            return False
        at = rule.on
    return at in seen


def _answers(rubric: Rubric, leaf: Leaf) -> set[str] | None:
    """Every canonical datum that the item can have, None where they cannot be listed."""
    rules: Sequence[Rule] = [leaf.rule]
    if isinstance(leaf.rule, Branch):
        rules = [case.rule for case in leaf.rule.cases] + ([] if leaf.rule.otherwise is None else [leaf.rule.otherwise])
    answers: set[str] = set()
    for rule in rules:
        if isinstance(rule, Levels) and any(level.up_to for level in rule.levels):
            return None
        if isinstance(rule, Levels | Shares):
            answers.update(level.id for level in rule.levels)
        elif isinstance(rule, YesNo):
            answers.update(("yes", "no"))
        else:
            return None
    return answers


def _survey(rubric: Rubric, leaf: Leaf, rule: Survey) -> Iterator[Fault]:
    forms = {form.id: form for form in rubric.forms}
    asked = {question.group for question in rule.questions}
    seen: set[tuple[str, str]] = set()
    for question in rule.questions:
        place = f"form {question.form}, question {question.question}"
        form = forms.get(question.form)
        found = next((each for each in form.questions if each.id == question.question), None) if form else None
        if form is None or found is None:
            yield Fault(True, leaf.code, f"the rubric has no {place}")
            continue
        if form.group != question.group:
            yield Fault(True, leaf.code, f"{place} is put to {form.group}, not to {question.group}")
        if (question.form, question.question) in seen:
            yield Fault(True, leaf.code, f"{place} occurs twice")
        seen.add((question.form, question.question))
        yield from _options(leaf, rule, question, {option.id for option in found.options}, place)
    yield from _weights(leaf, rule, asked)


def _options(leaf: Leaf, rule: Survey, question: SurveyQuestion, options: set[str], place: str) -> Iterator[Fault]:
    aggregation = question.aggregation or rule.aggregation
    listed = set(aggregation.shares) if isinstance(aggregation, OptionShares) else set(aggregation.top)
    for each in sorted(listed - options):
        yield Fault(True, leaf.code, f"{place} has no option {each}")
    if isinstance(aggregation, OptionShares):
        for each in sorted(options - listed - set(rule.outside)):
            yield Fault(False, leaf.code, f"{place}: option {each} has no share and counts 0")
        if max(aggregation.shares.values()) != 100:
            yield Fault(False, leaf.code, f"{place}: the best share is {max(aggregation.shares.values())}, not 100")
        if max(aggregation.shares.values()) > 100:
            yield Fault(True, leaf.code, f"{place}: a share is above 100")
    for each in sorted(listed & set(rule.outside)):
        yield Fault(True, leaf.code, f"{place}: option {each} has a share and is outside the base")


def _weights(leaf: Leaf, rule: Survey, asked: set[str]) -> Iterator[Fault]:
    groups = [weight.group for weight in rule.weights]
    for each in sorted({each for each in groups if groups.count(each) > 1}):
        yield Fault(True, leaf.code, f"the group {each} has two weights")
    if rule.combine == "pooled":
        if groups:
            yield Fault(False, leaf.code, "pooled answers have no group weights")
        for name in sorted({question.question for question in rule.questions}):
            if len({question.weight for question in rule.questions if question.question == name}) > 1:
                yield Fault(True, leaf.code, f"the pooled question {name} has two weights")
        return
    if groups:
        for each in sorted(asked - set(groups)):
            yield Fault(True, leaf.code, f"the group {each} has no weight")
        for each in sorted(set(groups) - asked):
            yield Fault(True, leaf.code, f"the group {each} has a weight and no question")
        total = sum((Fraction(weight.weight) for weight in rule.weights), Fraction(0))
        if total != 100:
            yield Fault(False, leaf.code, f"the groups' weights sum to {exact_text(total)}, not to 100")
    for each in sorted(asked):
        total = sum((Fraction(question.weight) for question in rule.questions if question.group == each), Fraction(0))
        if total != 100 and 99 <= total <= 101:
            yield Fault(False, leaf.code, f"the weights of {each}'s questions sum to {exact_text(total)}, not to 100")
