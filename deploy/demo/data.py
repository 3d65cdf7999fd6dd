"""What the agencies of the demonstration declare: data for every kind of score rule, from how strong an agency is.

Everything follows from a seed, so each run declares the same. Strengths and qualities are whole per cents.
"""

import hashlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final, NamedTuple

from shared.rubric import Leaf, Mode, PartName, Rubric, declare, points
from shared.rubric.rules import (
    Branch,
    ByHand,
    Count,
    LateDays,
    Level,
    Levels,
    Proportional,
    Shares,
    Step,
    Steps,
    YesNo,
)

SEED: Final = "hanoi-2024"
STRENGTHS: Final = {
    "agency-01": 80,
    "agency-02": 91,
    "agency-03": 72,
    "agency-04": 83,
    "agency-05": 86,
    "agency-06": 78,
    "agency-07": 82,
    "agency-08": 70,
    "agency-09": 88,
    "agency-10": 74,
    "agency-11": 84,
}
"""How well each agency does what it declares."""
LEANINGS: Final = {
    "agency-01": 84,
    "agency-02": 68,
    "agency-03": 77,
    "agency-04": 73,
    "agency-05": 82,
    "agency-06": 71,
    "agency-07": 76,
    "agency-08": 66,
    "agency-09": 80,
    "agency-10": 69,
    "agency-11": 87,
}
"""How content the respondents are with each agency."""
CLAIMS: Final = {
    ("agency-01", "3.3.2"): "Trong kỳ đánh giá không có hồ sơ quá hạn nên không phát sinh thư xin lỗi.",
    ("agency-03", "6.2.2"): "Trong năm không có kiến nghị mới của thanh tra, kiểm toán.",
}
"""Claims that an item does not apply, each with its reason. The appraisers accept the first and refuse the second."""
REFUSED: Final = ("agency-03", "6.2.2")
REFUSED_DATA: Final = "75"
"""What the appraisers find where the claim does not hold, in per cent."""
EXPLAINED: Final = 4
"""Every so manieth item has no document but an explanation."""
SPREAD: Final = 36
"""Widest distance, in per cent, of an item's quality from its agency's strength, half of it to each side."""
NEAR: Final = 24
"""Of the values of a step, so many of the highest are taken: who falls short falls short by little."""


class Line(NamedTuple):
    """What an agency says of one item: data, or a claim with its reason; an explanation where there is no document."""

    code: str
    data: str
    claim: str = ""
    explanation: str = ""


def chance(*parts: object, below: int) -> int:
    """A whole number from 0 to `below` - 1 that these parts always give."""
    text = "\0".join((SEED, *map(str, parts))).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % below


def quality(agency: str, code: str, shift: int = 0) -> int:
    """How well the agency does on an item, 0 to 100: its strength, spread, and shifted."""
    return max(0, min(100, STRENGTHS[agency] + shift + chance(agency, code, below=SPREAD) - SPREAD // 2))


def datum(leaf: Leaf, grade: int, answers: Mapping[str, str]) -> str:
    """The datum, as a person writes it, of an item on which an agency does so well; ValueError for a surveyed item.

    `answers` are the other items' canonical data. The points of a penalty fall with the grade.
    """
    rule = leaf.rule
    if isinstance(rule, Branch):
        rule = rule.chosen(answers)
    if leaf.part is PartName.PENALTY:
        grade = 100 - grade if grade < 70 else 0
    match rule:
        case YesNo():
            return "Có" if grade >= 60 else "Không"
        case Levels() | Shares():
            return _level(rule, grade)
        case Steps():
            return _stepped(rule, leaf, grade)
        case Proportional():
            return _comma(min(Fraction(100), grade + Fraction(chance(leaf.code, grade, below=10), 10)))
        case Count():
            most = rule.cap if rule.cap is not None else leaf.max
            return str(round(Fraction(most or 1) / Fraction(rule.unit) * grade / 100))
        case LateDays():
            return str(grade // 20)
        case ByHand():
            step = Fraction(leaf.step or 1)
            return _comma(round(Fraction(leaf.max or 1) / step * grade / 100) * step)
    raise ValueError(f"a survey scores {leaf.code}")


def lines(rubric: Rubric, agency: str, shift: int = 0) -> Iterator[Line]:
    """What the agency says of every item that it assesses itself; an item that chooses another's rule comes first.

    `shift`: how much better, in per cent, than its strength it does in the period, here and below.
    """
    answers: dict[str, str] = {}
    own = [leaf for leaf in rubric.leaves.values() if leaf.mode is Mode.SELF_ASSESSED]
    for number, leaf in enumerate(sorted(own, key=lambda leaf: isinstance(leaf.rule, Branch))):
        if claim := CLAIMS.get((agency, leaf.code)):
            yield Line(leaf.code, "", claim=claim)
            continue
        data = datum(leaf, quality(agency, leaf.code, shift), answers)
        answers[leaf.code], _ = declare(rubric, leaf.code, data, answers)
        yield Line(leaf.code, data, explanation=_explanation(leaf, data) if number % EXPLAINED == 0 else "")


def direct(rubric: Rubric, agency: str, shift: int = 0) -> Iterator[tuple[str, str]]:
    """The data that appraisers set by themselves: the items of mode `appraised`, penalties among them."""
    for leaf in rubric.leaves.values():
        if leaf.mode is Mode.APPRAISED:
            yield leaf.code, datum(leaf, quality(agency, leaf.code, shift), {})


def corrections(rubric: Rubric, agency: str, count: int, shift: int = 0) -> dict[str, str]:
    """Items that the documents do not bear out, each with the data that the appraisers find and fewer points."""
    found = {}
    held = {line.code: line.data for line in lines(rubric, agency, shift) if not line.claim}
    codes = [code for code in held if isinstance(rubric.leaf(code).rule, Steps | Proportional)]
    for code in sorted(codes, key=lambda code: chance("correct", agency, code, below=10**9)):
        leaf = rubric.leaf(code)
        lower = datum(leaf, quality(agency, code, shift - 20), {})
        if leaf.part is PartName.APPRAISAL and points(leaf, lower) < points(leaf, held[code]):
            found[code] = lower
        if len(found) == count:
            break
    return found


def _level(rule: Levels | Shares, grade: int) -> str:
    worth = {level.id: level.points if isinstance(level, Level) else level.share for level in rule.levels}
    best_first = sorted(worth, key=lambda level: -worth[level])
    place = 0 if grade >= 78 else 1 if grade >= 40 else 2
    return best_first[min(len(best_first) - 1, place)]


def _stepped(rule: Steps, leaf: Leaf, grade: int) -> str:
    """A value in the step that the grade deserves: the best from 80 up, the last below 50."""
    best_first = sorted(rule.steps, key=lambda step: -step.points)
    place = 0 if grade >= 80 else 1 if grade >= 62 else len(best_first) - 1 if grade < 50 else len(best_first) // 2
    step = best_first[min(place, len(best_first) - 1)]
    values = _values(rule, step)[-NEAR:]
    return _comma(values[chance(leaf.code, grade, below=len(values))])


def _values(rule: Steps, step: Step) -> list[Fraction]:
    """Values that lie in a step: whole counts, rates in halves of a per cent."""
    if rule.measure.kind == "count":
        return [value for number in range(13) if step.holds(value := Fraction(number))]
    top = min(rule.measure.top or Fraction(150), Fraction(150))
    return [value for half in range(int(top) * 2 + 1) if step.holds(value := Fraction(half, 2))]


def _comma(value: Fraction) -> str:
    text = f"{value.numerator // value.denominator}"
    rest = value - int(value)
    return text if not rest else f"{text},{int(rest * 100):02d}".rstrip("0")


def _explanation(leaf: Leaf, data: str) -> str:
    return f"{leaf.label.vi}: số liệu {data} lấy từ sổ theo dõi nội bộ, có thể kiểm tra tại cơ quan."
