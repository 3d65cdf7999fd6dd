"""The exact values that rubrics, declared data and results are written in.

No binary fraction exists here: a figure is a `Decimal` where it is recorded and a `Fraction` where it is computed, so
neither the decimal context nor the order of additions can change a digit.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact
from enum import StrEnum
from fractions import Fraction
from functools import reduce
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from shared.decider import Rejected

ID_PATTERN: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
CODE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
RECORDED_DIGITS: Final = 12
"""Most decimals of a recorded figure; a quotient without an end is rounded there (half-even) if no rule did before."""

BY_PEOPLE: Final[dict[str, Any]] = {"written": "by people"}
"""The validation context of a file: its figures may have a decimal comma (`0,5`)."""

_EXACT: Final = Context(prec=1000, traps=[Inexact])  # threads share it: nobody reads its flags
_CANONICAL = re.compile(r"-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?")
_PLAIN = re.compile(r"(?P<whole>[0-9]{1,12})([.,](?P<rest>[0-9]{1,12}))?")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(\.[0-9]{3}){1,3}(,[0-9]{1,12})?")
_AMBIGUOUS = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")


class RubricError(Rejected):
    """A datum or a file that the rubric refuses.

    `field` is the item's code or the place in the file; `errors` lists further faults (`field`, `code`, `detail`).
    """

    def at(self, field: str) -> "RubricError":
        """The same refusal, naming the item or place at fault."""
        return RubricError(self.code, self.message, field, self.errors)


class Frozen(BaseModel):
    """A value: immutable, compared by content, with no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def decimal_text(value: Decimal) -> str:
    """The decimal in plain digits with a point, all its written digits kept (`58.50`), never an exponent."""
    return format(value, "f")


def scaled(units: int, digits: int) -> Decimal:
    """`units` × 10^-`digits` exactly, whatever the decimal context."""
    return Decimal(units).scaleb(-digits, _EXACT)


def terminating_digits(value: Fraction) -> int | None:
    """How many decimals the value needs, or None when its decimal expansion has no end."""
    twos = fives = 0
    rest = value.denominator
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def exact_sum(values: Iterable[Decimal | None]) -> Fraction:
    """The sum of recorded figures, None counting nothing. Exact: a digit that does not fit would raise `Inexact`."""
    return Fraction(reduce(_EXACT.add, [value for value in values if value is not None], Decimal(0)))


def exact_text(value: Fraction) -> str:
    """The value as a decimal without trailing zeros (`7.5`), or as `n/d` in lowest terms where no decimal is exact."""
    digits = terminating_digits(value)
    if digits is None:
        return f"{value.numerator}/{value.denominator}"
    return decimal_text(scaled(int(value * 10**digits), digits))


def recorded(value: Fraction) -> Decimal:
    """The value as a decimal without trailing zeros, cut to `RECORDED_DIGITS` decimals (half-even) if it has no end."""
    digits = terminating_digits(value)
    if digits is None or digits > RECORDED_DIGITS:
        value = Fraction(round_to(value, RECORDED_DIGITS, RoundingMode.HALF_EVEN))
        digits = terminating_digits(value) or 0
    return scaled(int(value * 10**digits), digits)


def parse_number(text: str) -> Decimal:
    """Read a number from zero up as people here write it: `0,5`, `0.5`, `36525`, `1.234,56`, `1.234.567`.

    `36.525` is refused (`data-invalid`): it is 36525 to some and 36,525 to others. `canonical_number` never writes it.
    """
    text = text.strip()
    if _AMBIGUOUS.fullmatch(text):
        plain, comma = text.replace(".", ""), text.replace(".", ",")
        raise RubricError("data-invalid", f"{text!r} can be read in two ways: write {plain} or {comma}")
    if match := _PLAIN.fullmatch(text):
        return Decimal(f"{match['whole']}.{match['rest'] or 0}")
    if _GROUPED.fullmatch(text):
        return Decimal(text.replace(".", "").replace(",", "."))
    raise RubricError("data-invalid", f"{text[:40]!r} is not a number: write it like 92,57")


def canonical_number(value: Decimal) -> str:
    """The one text of a number: a point, no trailing zeros, no exponent; `36.5250` where `36.525` could be misread."""
    text = exact_text(Fraction(value))
    return text + "0" if _AMBIGUOUS.fullmatch(text) else text


def vietnamese(value: Decimal, *, grouped: bool = True) -> str:
    """The number as people here read it, all its written digits kept: `36.525,5`, `-0,50`, `90,05`.

    With `grouped` false it has no group marks (`36525,5`), which `parse_number` and every spreadsheet read in one way.
    """
    whole, point, rest = decimal_text(value).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    if grouped:
        digits = f"{int(digits):,}".replace(",", ".")
    return sign + digits + (f",{rest}" if point else "")


class RoundingMode(StrEnum):
    """What happens to the rest: half away from zero, half to the even digit, or cut towards zero."""

    HALF_UP = "half-up"
    HALF_EVEN = "half-even"
    DOWN = "down"


def round_to(value: Fraction, digits: int, mode: RoundingMode) -> Decimal:
    """The value with exactly `digits` decimals."""
    return scaled(_whole(value * 10**digits, mode), digits)


def _whole(value: Fraction, mode: RoundingMode) -> int:
    units, rest = divmod(abs(value.numerator), value.denominator)
    if mode == RoundingMode.HALF_UP:
        units += 2 * rest >= value.denominator
    elif mode == RoundingMode.HALF_EVEN:
        units += 2 * rest > value.denominator or (2 * rest == value.denominator and units % 2 == 1)
    return -units if value < 0 else units


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        if value.is_finite() and _fits(value):
            return value
        text = decimal_text(value) if value.is_finite() else "NaN"
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    elif isinstance(value, str):
        text = value
    else:
        raise ValueError('a figure is written as a string of digits, like "0.25"')
    if not _CANONICAL.fullmatch(text):
        raise ValueError('a figure has at most 12 digits before the point and 12 after it, like "0.25"')
    return Decimal(text)


def _fits(value: Decimal) -> bool:
    """Whether a finite decimal is written within the digits of a figure, in plain digits."""
    _, digits, exponent = value.as_tuple()
    return isinstance(exponent, int) and -12 <= exponent <= 0 and len(digits) + exponent <= 12


def _from_zero(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError("must not be below 0")
    return value


def _above_zero(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("must be above 0")
    return value


def _figure_of(value: Any, info: ValidationInfo) -> Decimal:
    """A figure; in a file that people write also with a decimal comma. What is recorded has a point."""
    if info.context is BY_PEOPLE and isinstance(value, str) and "," in value:
        try:
            return parse_number(value)
        except RubricError as error:
            raise ValueError(error.message) from None
    return _decimal(value)


def _fraction(value: Any, info: ValidationInfo) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,60}/[1-9][0-9]{0,59}", value):
        return Fraction(value)
    return Fraction(_figure_of(value, info))


def _nfc(value: str) -> str:
    return unicodedata.normalize("NFC", value)


def _strip_zone(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _figure(*validators: Callable[[Decimal], Decimal], pattern: str) -> Any:
    schema = WithJsonSchema({"type": "string", "pattern": pattern})
    serializer = PlainSerializer(decimal_text, return_type=str, when_used="json")
    return (PlainValidator(_figure_of), *(AfterValidator(check) for check in validators), serializer, schema)


_SIGNED = r"^-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$"
_UNSIGNED = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$"

Points = Annotated[Decimal, *_figure(pattern=_SIGNED)]
"""Exact points, a decimal string in JSON; a JSON number with a fraction is refused."""
FromZero = Annotated[Decimal, *_figure(_from_zero, pattern=_UNSIGNED)]
"""As `Points`, from 0 up."""
AboveZero = Annotated[Decimal, *_figure(_above_zero, pattern=_UNSIGNED)]
"""As `Points`, above 0."""
Exact = Annotated[
    Fraction,
    PlainValidator(_fraction),
    PlainSerializer(exact_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+|/[1-9][0-9]*)?$"}),
]
"""An exact quotient: `7.5`, or `120/17` where no decimal is exact."""
Whole = Annotated[
    int,
    BeforeValidator(
        lambda value: int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else value
    ),
    Field(strict=True, ge=0, le=999_999_999),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{1,9}$"}]}),
]
"""A whole number from 0 up; a file may write it as a string of digits."""
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN, max_length=48)]
"""Lower-case words joined by hyphens."""
Code = Annotated[str, StringConstraints(pattern=CODE_PATTERN, max_length=32)]
"""The code of a field, criterion or item as its instrument prints it: `1.2.3`, `I.2.1`."""
Text = Annotated[str, AfterValidator(_nfc), StringConstraints(max_length=4000)]
"""Text on a screen, in Unicode's composed form (NFC)."""
Instant = Annotated[AwareDatetime, AfterValidator(_strip_zone)]
"""A moment with its zone on input, UTC once read."""


class Label(Frozen):
    """A text in Vietnamese and, where there is one, in English."""

    vi: Annotated[Text, StringConstraints(min_length=1)]
    en: Text = ""


class Rounding(Frozen):
    """How a figure is rounded: to `digits` decimals, or to a multiple of `step` where that is given."""

    digits: Annotated[Whole, Field(le=10)] = 2
    mode: RoundingMode = RoundingMode.HALF_UP
    step: AboveZero | None = None

    def of(self, value: Fraction) -> Decimal:
        """The rounded value; with `digits` it has exactly that many decimals."""
        if self.step is None:
            return round_to(value, self.digits, self.mode)
        step = Fraction(self.step)
        return recorded(_whole(value / step, self.mode) * step)


class LowerEnd(Frozen):
    """One lower end, inclusive (`at_least`) or exclusive (`above`)."""

    at_least: Exact | None = None
    above: Exact | None = None

    @model_validator(mode="after")
    def _one_end(self) -> "LowerEnd":
        if (self.at_least is None) == (self.above is None):
            raise ValueError("write either at_least or above")
        return self

    def holds(self, value: Fraction) -> bool:
        """Whether the value is on or over this end."""
        return value >= self.at_least if self.at_least is not None else value > (self.above or 0)
