"""What score rules measure, and the ranges that they cut it into."""

from fractions import Fraction
from typing import Literal

from pydantic import model_validator

from shared.rubric.values import Exact, FromZero, Frozen, RubricError, canonical_number, exact_text, parse_number

_HUNDRED = Fraction(100)


def read_whole(text: str) -> int:
    """The whole number from zero up that was written; `data-invalid` otherwise."""
    number = parse_number(text)
    if number != int(number):
        raise RubricError("data-invalid", f"{text.strip()!r} is not a whole number")
    return int(number)


class Measure(Frozen):
    """What is measured: a `rate` in per cent (`92,57`, `92,57%` or the exact `45/50`), a whole `count`, or a `number`.

    `highest` is the largest value that is taken; a rate that may exceed 100 % says so.
    """

    kind: Literal["rate", "count", "number"] = "rate"
    highest: FromZero | None = None

    @property
    def top(self) -> Fraction | None:
        """The largest value taken, None where there is no limit."""
        if self.highest is not None:
            return Fraction(self.highest)
        return _HUNDRED if self.kind == "rate" else None

    def read(self, text: str) -> str:
        """The canonical text of what was written; a rate given as a fraction stays one."""
        canonical = self._read(text.strip())
        if self.top is not None and self.value(canonical) > self.top:
            raise RubricError("data-invalid", f"{text.strip()!r} is above {exact_text(self.top)}")
        return canonical

    def _read(self, text: str) -> str:
        if self.kind == "count":
            return str(read_whole(text))
        if self.kind == "number":
            return canonical_number(parse_number(text))
        part, slash, whole = text.partition("/")
        if not slash:
            return canonical_number(parse_number(text.removesuffix("%")))
        numerator, denominator = parse_number(part), parse_number(whole)
        if denominator == 0:
            raise RubricError("data-invalid", f"{text!r} divides by zero; claim not applicable where there was none")
        return f"{canonical_number(numerator)}/{canonical_number(denominator)}"

    def value(self, canonical: str) -> Fraction:
        """The measured value; a rate in per cent."""
        part, slash, whole = canonical.partition("/")
        number = Fraction(parse_number(part))
        return number / Fraction(parse_number(whole)) * 100 if slash else number


class Interval(Frozen):
    """A range with stated ends: `at_least` and `at_most` include their end, `above` and `below` exclude it."""

    at_least: Exact | None = None
    above: Exact | None = None
    at_most: Exact | None = None
    below: Exact | None = None

    @model_validator(mode="after")
    def _one_end_each(self) -> "Interval":
        if self.at_least is not None and self.above is not None:
            raise ValueError("write at_least or above, not both")
        if self.at_most is not None and self.below is not None:
            raise ValueError("write at_most or below, not both")
        return self

    def holds(self, value: Fraction) -> bool:
        """Whether the value is inside."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )
