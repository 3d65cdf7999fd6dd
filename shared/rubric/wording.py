"""A score rule as one line that an officer reads: `Ban hành kịp thời: 1 | Không ban hành: 0`."""

from decimal import Decimal
from fractions import Fraction
from typing import Final

from shared.rubric.measures import Measure
from shared.rubric.rules import (
    Branch,
    ByHand,
    Count,
    Imported,
    LateDays,
    Levels,
    Proportional,
    Rule,
    Shares,
    Step,
    Steps,
    Survey,
    YesNo,
)
from shared.rubric.values import Rounding, RoundingMode, recorded, terminating_digits, vietnamese

BAR: Final = " | "
ARROW: Final = " → "
WHOLE: Final = "điểm tối đa"
MEASURES: Final = {"rate": "", "count": "đo bằng số lượng", "number": "đo bằng số"}
MODES: Final = {RoundingMode.HALF_UP: "", RoundingMode.HALF_EVEN: ", nửa về số chẵn", RoundingMode.DOWN: ", cắt bỏ"}


def described(rule: Rule) -> str:
    match rule:
        case YesNo():
            yes = WHOLE if rule.yes is None else _number(rule.yes)
            return f"Có: {yes} | Không: {_number(rule.no)}"
        case Levels():
            most = {True: "tối đa ", None: ""}
            return BAR.join(f"{each.label.vi}: {most[each.up_to]}{_number(each.points)}" for each in rule.levels)
        case Shares():
            entries = [f"{each.label.vi}: {_number(each.share)}%" for each in rule.levels]
            return BAR.join([*entries, *_rounding_text(rule.rounding)])
        case Steps():
            entries = [_step_text(step, rule.measure) for step in rule.steps]
            return BAR.join([*entries, *_measure_text(rule.measure)])
        case Proportional():
            return BAR.join(_proportional_text(rule))
        case Count():
            return f"{_number(rule.unit)} mỗi đơn vị" + ("" if rule.cap is None else f" | tối đa {_number(rule.cap)}")
        case LateDays():
            return BAR.join(_late_text(rule))
        case ByHand():
            return "Chấm trực tiếp"
        case Branch():
            lines = [f"Khi {rule.on} là {' hoặc '.join(case.when)}{ARROW}{described(case.rule)}" for case in rule.cases]
            return "\n".join(lines + ([] if rule.otherwise is None else [f"Còn lại{ARROW}{described(rule.otherwise)}"]))
        case Survey():
            forms = ", ".join(dict.fromkeys(question.form for question in rule.questions))
            return f"Điều tra xã hội học: {len(rule.questions)} câu hỏi, phiếu {forms}"
        case Imported():
            return "Kết quả của một cuộc điều tra có sẵn"


def _number(value: Decimal) -> str:
    return vietnamese(value, grouped=False)


def _exact(value: Fraction) -> str:
    if terminating_digits(value) is None:
        return f"{value.numerator}/{value.denominator}"
    return _number(recorded(value))


def unit_of(measure: Measure) -> str:
    """The sign behind a measured value."""
    return "%" if measure.kind == "rate" else ""


def _range_text(step: Step, unit: str) -> str:
    if step.at_least is not None and step.at_least == step.at_most:
        return f"= {_exact(step.at_least)}{unit}"
    ends = (("≥", step.at_least), (">", step.above), ("≤", step.at_most), ("<", step.below))
    return " và ".join(f"{sign} {_exact(end)}{unit}" for sign, end in ends if end is not None) or "mọi giá trị"


def _step_text(step: Step, measure: Measure) -> str:
    held = _range_text(step, unit_of(measure))
    return (
        f"{held}: {_number(step.points)}" if step.label is None else f"{step.label.vi} [{held}]: {_number(step.points)}"
    )


def _measure_text(measure: Measure) -> list[str]:
    texts = [f"[{MEASURES[measure.kind]}]"] if measure.kind != "rate" else []
    return texts + ([] if measure.highest is None else [f"[cao nhất {_number(measure.highest)}{unit_of(measure)}]"])


def _rounding_text(rounding: Rounding | None) -> list[str]:
    if rounding is None:
        return []
    mode = MODES[rounding.mode]
    if rounding.step is not None:
        return [f"[làm tròn đến bội của {_number(rounding.step)}{mode}]"]
    return [f"[làm tròn {rounding.digits} chữ số{mode}]"]


def _proportional_text(rule: Proportional) -> list[str]:
    unit = unit_of(rule.measure)
    of = WHOLE if rule.of is None else _number(rule.of)
    texts = [f"(số đo ÷ {_number(rule.divisor)}{unit}) × {of}"]
    if rule.floor is not None:
        sign, end = ("<", rule.floor.at_least) if rule.floor.at_least is not None else ("≤", rule.floor.above)
        texts.append(f"{sign} {_exact(end or Fraction(0))}{unit}: {_number(rule.under)}")
    if rule.full is not None:
        sign, end = ("≥", rule.full.at_least) if rule.full.at_least is not None else (">", rule.full.above)
        texts.append(f"{sign} {_exact(end or Fraction(0))}{unit}: trọn điểm")
    return [*texts, *_measure_text(rule.measure), *_rounding_text(rule.rounding)]


def _late_text(rule: LateDays) -> list[str]:
    texts = [
        f"trễ đến {rule.first_days} ngày: {_number(rule.first_points)}",
        f"mỗi ngày tiếp theo: {_number(rule.per_day)}",
    ]
    if rule.last_day is not None:
        beyond = "không nhận" if rule.beyond is None else _number(rule.beyond)
        texts.append(f"sau ngày thứ {rule.last_day}: {beyond}")
    return texts
