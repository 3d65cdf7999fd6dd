"""The line of a score rule, read back: `Ban hành kịp thời: 1 | Không ban hành: 0`.

The line holds everything of a rule but the ids of levels and English labels, which reading takes from the rule before.
A rule that a line cannot hold whole (a survey, a label with a bar in it) is described behind `KEPT` and never read.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from shared.rubric.measures import Measure
from shared.rubric.rules import (
    Branch,
    ByHand,
    Case,
    Count,
    Imported,
    LateDays,
    Level,
    Levels,
    PlainRule,
    Proportional,
    Rule,
    Share,
    Shares,
    Steps,
    Survey,
    YesNo,
)
from shared.rubric.values import Label, LowerEnd, Rounding, RubricError, parse_number
from shared.rubric.wording import ARROW, MEASURES, MODES, WHOLE, described, unit_of

KEPT: Final = "[giữ theo tệp gốc] "
"""What stands before a rule that is only described: it is changed in the rubric's file."""

_NUMBER: Final = r"[0-9][0-9.,/]*"
_RANGE: Final = rf"(?:= {_NUMBER}%?|(?:[≥>] {_NUMBER}%?)?(?: và )?(?:[≤<] {_NUMBER}%?)?|mọi giá trị)"
L = TypeVar("L", Level, Share)


def rule_text(rule: Rule) -> str:
    """The rule in one line (a branch: one line a case); behind `KEPT` where reading it would not give it back."""
    text = described(rule)
    try:
        if not isinstance(rule, Survey | Imported) and read_rule(text, rule) == rule:
            return text
    except RubricError:
        return KEPT + text
    return KEPT + text


def read_rule(text: str, before: Rule) -> Rule:
    """The rule that the line says, of the kind that it was before; `rule-unreadable` where the line says none.

    A level keeps its id and English label by its label, else by its place; a new level's id is made of its label.
    """
    text = unicodedata.normalize("NFC", text.strip())
    if text.startswith(KEPT.strip()):
        raise RubricError("rule-unreadable", "this rule is too rich for a cell: change it in the rubric's file")
    try:
        match before:
            case Survey() | Imported():
                raise _unreadable(text, "a survey's rule is changed in the rubric's file")
            case Branch():
                return _branch(text, before)
            case _:
                return _plain(text, before)
    except ValidationError as error:
        raise _unreadable(text, error.errors(include_url=False)[0]["msg"]) from None


def _plain(text: str, before: PlainRule) -> PlainRule:
    readers: dict[str, Callable[[str, Any], PlainRule]] = {
        "yes-no": _yes_no,
        "levels": _levels,
        "share": _shares,
        "steps": _steps,
        "proportional": _proportional,
        "count": _count,
        "late-days": _late,
        "by-hand": _by_hand,
    }
    return readers[before.kind](text, before)


def _unreadable(text: str, why: str) -> RubricError:
    return RubricError("rule-unreadable", f"{text[:60]!r} is not read: {why}")


def _read_exact(text: str) -> str:
    part, slash, whole = text.partition("/")
    return f"{int(part)}/{int(whole)}" if slash and part.isdigit() and whole.isdigit() else _plain_number(text)


def _plain_number(text: str) -> str:
    """A number as it is written here, as a rubric's file has it; its written digits are kept."""
    try:
        return format(_kept_digits(text), "f")
    except RubricError as error:
        raise _unreadable(text, error.message) from None


def _kept_digits(text: str) -> Decimal:
    number = parse_number(text)
    return number if re.search("[.,]", text) else number.quantize(Decimal(1))


def _entries(text: str) -> tuple[list[str], list[str]]:
    """The entries between bars, and the options among them, which stand in square brackets."""
    entries = [entry.strip() for entry in text.split("|")]
    options = [entry[1:-1] for entry in entries if re.fullmatch(r"\[[^\[\]]*\]", entry)]
    return [entry for entry in entries if not re.fullmatch(r"\[[^\[\]]*\]", entry)], options


def _valued(entry: str) -> tuple[str, str]:
    label, colon, value = entry.rpartition(":")
    if not colon or not label.strip():
        raise _unreadable(entry, "write a label, a colon and the points, like “Ban hành kịp thời: 1”")
    return label.strip(), value.strip()


def _no_options(options: Sequence[str], text: str) -> None:
    if options:
        raise _unreadable(text, f"[{options[0]}] belongs to no rule of this kind")


def _yes_no(text: str, before: YesNo) -> YesNo:
    entries, options = _entries(text)
    _no_options(options, text)
    found = dict(_valued(entry) for entry in entries)
    if set(found) != {"Có", "Không"} or len(entries) != 2:
        raise _unreadable(text, "write “Có: 1 | Không: 0”")
    yes = None if found["Có"] == WHOLE else _plain_number(found["Có"])
    return YesNo.model_validate({"yes": yes, "no": _plain_number(found["Không"])})


def _levels(text: str, before: Levels) -> Levels:
    entries, options = _entries(text)
    _no_options(options, text)
    levels = []
    for (label, value), (name, kept) in _named([_valued(entry) for entry in entries], before.levels):
        most = value.removeprefix("tối đa ")
        up_to = True if most != value else None
        levels.append({"id": name, "label": kept, "points": _plain_number(most), "up_to": up_to})
        assert kept.vi == label
    return Levels.model_validate({"levels": levels})


def _shares(text: str, before: Shares) -> Shares:
    entries, options = _entries(text)
    levels = []
    for (_, value), (name, kept) in _named([_valued(entry) for entry in entries], before.levels):
        if not value.endswith("%"):
            raise _unreadable(value, "a share is written in per cent, like 75%")
        levels.append({"id": name, "label": kept, "share": _plain_number(value.removesuffix("%").strip())})
    return Shares.model_validate({"levels": levels, "rounding": _read_rounding(options, text)})


def _named(entries: Sequence[tuple[str, str]], before: Sequence[L]) -> list[tuple[tuple[str, str], tuple[str, Label]]]:
    """Each entry with the id and label that it has: of the level with its label, else of one that is left, else new."""
    labels = {label for label, _ in entries}
    same: dict[str, list[L]] = {}
    for level in before:
        same.setdefault(level.label.vi, []).append(level)
    left = [level for level in before if level.label.vi not in labels]
    taken = {level.id for level in before}
    named = []
    for label, value in entries:
        if same.get(label):
            level = same[label].pop(0)
        elif left:
            level = left.pop(0)
        else:
            name = _slug(label, taken)
            taken.add(name)
            named.append(((label, value), (name, Label(vi=label))))
            continue
        named.append(((label, value), (level.id, Label(vi=label, en=level.label.en))))
    return named


def _slug(label: str, taken: set[str]) -> str:
    plain = unicodedata.normalize("NFD", label.casefold().replace("đ", "d"))
    words = "-".join(re.findall("[a-z0-9]+", "".join(c for c in plain if not unicodedata.combining(c))))
    name = words[:40].strip("-") or "level"
    return next(each for each in [name, *(f"{name}-{n}" for n in range(2, 100))] if each not in taken)


def _steps(text: str, before: Steps) -> Steps:
    entries, options = _entries(text)
    measure = _read_measure(options, text)
    english = {step.label.vi: step.label.en for step in before.steps if step.label is not None}
    placed = [step.label.en if step.label is not None else "" for step in before.steps]
    steps = []
    for place, entry in enumerate(entries):
        held, value = _valued(entry)
        labelled = re.fullmatch(rf"(?P<label>.+) \[(?P<range>{_RANGE})\]", held)
        ends = _read_range(labelled["range"] if labelled else held, unit_of(measure))
        label = None
        if labelled:
            kept = placed[place] if len(placed) == len(entries) else ""
            label = Label(vi=labelled["label"], en=english.get(labelled["label"], kept))
        steps.append({**ends, "points": _plain_number(value), "label": label})
    return Steps.model_validate({"measure": measure, "steps": steps})


def _read_range(text: str, unit: str) -> dict[str, str]:
    if text == "mọi giá trị":
        return {}
    names = {"≥": "at_least", ">": "above", "≤": "at_most", "<": "below", ">=": "at_least", "<=": "at_most"}
    ends: dict[str, str] = {}
    for each in text.split(" và "):
        match = re.fullmatch(rf"(?P<sign>≥|>=|>|≤|<=|<|=)\s*(?P<end>{_NUMBER})\s*(?P<unit>%?)", each.strip())
        if match is None:
            raise _unreadable(text, "write the ends like “≥ 70% và < 90%”")
        if match["unit"] != unit:
            raise _unreadable(text, "a rate has a per cent sign, a count or number has none")
        for name in ("at_least", "at_most") if match["sign"] == "=" else (names[match["sign"]],):
            if name in ends:
                raise _unreadable(text, "the same end is written twice")
            ends[name] = _read_exact(match["end"])
    return ends


def _read_measure(options: Sequence[str], text: str) -> Measure:
    kinds = {words: kind for kind, words in MEASURES.items() if words}
    kind, highest = "rate", None
    for option in options:
        if option in kinds:
            kind = kinds[option]
        elif option.startswith("cao nhất "):
            highest = _plain_number(option.removeprefix("cao nhất ").removesuffix("%").strip())
        elif _rounded(option) is None:
            raise _unreadable(text, f"[{option}] is not known")
    return Measure.model_validate({"kind": kind, "highest": highest})


def _rounded(option: str) -> Rounding | None:
    modes = {words: mode for mode, words in MODES.items()}
    tails = "|".join(words for words in modes if words)
    if match := re.fullmatch(rf"làm tròn (?P<digits>[0-9]{{1,2}}) chữ số(?P<mode>{tails})?", option):
        return Rounding.model_validate({"digits": match["digits"], "mode": modes[match["mode"] or ""]})
    if match := re.fullmatch(rf"làm tròn đến bội của (?P<step>{_NUMBER}?)(?P<mode>{tails})?", option):
        return Rounding.model_validate({"step": _plain_number(match["step"]), "mode": modes[match["mode"] or ""]})
    return None


def _read_rounding(options: Sequence[str], text: str) -> Rounding | None:
    found = [(option, _rounded(option)) for option in options]
    for option, rounding in found:
        if rounding is None:
            raise _unreadable(text, f"[{option}] is not known")
    if len(found) > 1:
        raise _unreadable(text, "it is rounded in two ways")
    return found[0][1] if found else None


def _proportional(text: str, before: Proportional) -> Proportional:
    entries, options = _entries(text)
    measure = _read_measure(options, text)
    rounding = _read_rounding([option for option in options if _rounded(option) is not None], text)
    unit = unit_of(measure)
    match = re.fullmatch(rf"\(số đo ÷ (?P<divisor>{_NUMBER}){unit}\) × (?P<of>.+)", entries[0] if entries else "")
    if match is None:
        raise _unreadable(text, f"write “(số đo ÷ 85{unit}) × {WHOLE}” first")
    of = None if match["of"] == WHOLE else _plain_number(match["of"])
    more: dict[str, Any] = {}
    for entry in entries[1:]:
        held, value = _valued(entry)
        ends = _read_range(held, unit)
        if len(ends) != 1:
            raise _unreadable(entry, "one end is written here, like “< 60%: 0” or “≥ 85%: trọn điểm”")
        (name, end) = next(iter(ends.items()))
        which = "full" if value == "trọn điểm" else "floor"
        if which in more or (name in {"at_most", "below"}) != (which == "floor"):
            raise _unreadable(entry, "write “< 60%: 0” for what lies under, “≥ 85%: trọn điểm” for what lies over")
        more[which] = LowerEnd.model_validate({"at_least" if name in {"at_least", "below"} else "above": end})
        if which == "floor":
            more["under"] = _plain_number(value)
    return Proportional.model_validate(
        {"measure": measure, "divisor": _plain_number(match["divisor"]), "of": of, "rounding": rounding, **more}
    )


def _count(text: str, before: Count) -> Count:
    match = re.fullmatch(rf"(?P<unit>{_NUMBER}) mỗi đơn vị(?: \| tối đa (?P<cap>{_NUMBER}))?", text)
    if match is None:
        raise _unreadable(text, "write “0,5 mỗi đơn vị | tối đa 2”")
    cap = None if match["cap"] is None else _plain_number(match["cap"])
    return Count.model_validate({"unit": _plain_number(match["unit"]), "cap": cap})


def _late(text: str, before: LateDays) -> LateDays:
    match = re.fullmatch(
        rf"trễ đến (?P<days>[0-9]+) ngày: (?P<first>{_NUMBER}) \| mỗi ngày tiếp theo: (?P<day>{_NUMBER})"
        rf"(?: \| sau ngày thứ (?P<last>[0-9]+): (?P<beyond>không nhận|{_NUMBER}))?",
        text,
    )
    if match is None:
        raise _unreadable(text, "write “trễ đến 2 ngày: 1 | mỗi ngày tiếp theo: 1 | sau ngày thứ 6: không nhận”")
    beyond = None if match["beyond"] in {None, "không nhận"} else _plain_number(match["beyond"])
    return LateDays.model_validate(
        {
            "first_days": match["days"],
            "first_points": _plain_number(match["first"]),
            "per_day": _plain_number(match["day"]),
            "last_day": match["last"],
            "beyond": beyond,
        }
    )


def _by_hand(text: str, before: ByHand) -> ByHand:
    if text != described(before):
        raise _unreadable(text, f"an item that is scored by hand says “{described(before)}”")
    return before


def _branch(text: str, before: Branch) -> Branch:
    """The rules of its cases; what the cases hang on is the rubric's file's to change."""
    lines = text.splitlines()
    rules = [case.rule for case in before.cases] + ([] if before.otherwise is None else [before.otherwise])
    heads = [line.partition(ARROW)[0] for line in described(before).splitlines()]
    if [line.partition(ARROW)[0].strip() for line in lines] != heads:
        raise _unreadable(text, "its lines begin as they did: what a branch hangs on is changed in the rubric's file")
    read = [_plain(line.partition(ARROW)[2].strip(), rule) for line, rule in zip(lines, rules, strict=True)]
    cases = tuple(Case(when=case.when, rule=rule) for case, rule in zip(before.cases, read, strict=False))
    return Branch(on=before.on, cases=cases, otherwise=None if before.otherwise is None else read[-1])
