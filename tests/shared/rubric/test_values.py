"""Numbers as people here write them, and how they are rounded."""

from decimal import Context, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.decider import Rejected
from shared.rubric import Exact, Points, Rounding, RubricError, canonical_number, parse_number, vietnamese
from shared.rubric.values import RoundingMode, exact_text, recorded, round_to


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0,5", "0.5"),
        ("0.5", "0.5"),
        ("0,50", "0.5"),
        ("92,57", "92.57"),
        ("36525", "36525"),
        (" 7 ", "7"),
        ("1.234,56", "1234.56"),
        ("1.234.567", "1234567"),
        ("0.125", "0.125"),
        ("36,525", "36.5250"),
        ("36.5250", "36.5250"),
        ("007", "7"),
        ("0", "0"),
    ],
)
def test_a_number_has_one_canonical_text(text: str, canonical: str) -> None:
    assert canonical_number(parse_number(text)) == canonical
    assert canonical_number(parse_number(canonical)) == canonical


@pytest.mark.parametrize(
    "text", ["36.525", "1.000", "", "abc", "-1", "1e3", "1,2,3", "1.23.4", "½", "١", "9" * 13, "NaN"]
)
def test_what_is_no_number_or_can_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(RubricError) as refused:
        parse_number(text)
    assert refused.value.code == "data-invalid"
    assert isinstance(refused.value, Rejected)


@pytest.mark.parametrize(
    ("value", "grouped", "plain"),
    [
        ("36525.5", "36.525,5", "36525,5"),
        ("90.05", "90,05", "90,05"),
        ("58.50", "58,50", "58,50"),
        ("-0.50", "-0,50", "-0,50"),
        ("0", "0", "0"),
        ("1234567", "1.234.567", "1234567"),
        ("1E+3", "1.000", "1000"),
    ],
)
def test_a_number_is_shown_as_people_here_write_it(value: str, grouped: str, plain: str) -> None:
    assert vietnamese(Decimal(value)) == grouped
    assert vietnamese(Decimal(value), grouped=False) == plain


@given(st.decimals(min_value=0, max_value=10**9, places=6))
def test_a_number_without_group_marks_is_read_again(value: Decimal) -> None:
    assert parse_number(vietnamese(value, grouped=False)) == value


def test_a_refused_number_says_how_to_write_it() -> None:
    with pytest.raises(RubricError, match="write 36525 or 36,525"):
        parse_number("36.525")


@given(st.decimals(min_value=0, max_value=10**9, places=6))
def test_reading_a_canonical_number_gives_the_number(value: Decimal) -> None:
    assert parse_number(canonical_number(value)) == value


@pytest.mark.parametrize("value", [0.5, float("nan"), True, None, "0,5", "1e2", "+1", "1.", "1234567890123"])
def test_points_are_decimal_strings(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Points).validate_python(value)


def test_points_keep_their_digits_in_json() -> None:
    assert TypeAdapter(Points).dump_json(TypeAdapter(Points).validate_json('"58.50"')) == b'"58.50"'
    with pytest.raises(ValidationError):
        TypeAdapter(Points).validate_json("58.50")


@pytest.mark.parametrize(("value", "text"), [("7.5", "7.5"), ("120/17", "120/17"), ("45/50", "0.9"), ("-1/3", "-1/3")])
def test_an_exact_quotient_is_a_decimal_where_one_is_exact(value: str, text: str) -> None:
    assert exact_text(TypeAdapter(Exact).validate_python(value)) == text


@pytest.mark.parametrize(
    ("value", "digits", "half_up", "half_even", "down"),
    [
        ("43.7747", 1, "43.8", "43.8", "43.7"),
        ("0.125", 2, "0.13", "0.12", "0.12"),
        ("0.135", 2, "0.14", "0.14", "0.13"),
        ("-0.125", 2, "-0.13", "-0.12", "-0.12"),
        ("-0.129", 2, "-0.13", "-0.13", "-0.12"),
        ("58.5", 2, "58.50", "58.50", "58.50"),
        ("2.5", 0, "3", "2", "2"),
        ("3.5", 0, "4", "4", "3"),
    ],
)
def test_rounding_modes(value: str, digits: int, half_up: str, half_even: str, down: str) -> None:
    found = [str(round_to(Fraction(value), digits, mode)) for mode in RoundingMode]
    assert found == [half_up, half_even, down]


def test_rounding_to_a_step() -> None:
    quarter = Rounding(step=Decimal("0.25"))
    assert [quarter.of(Fraction(text)) for text in ("1.124", "1.125", "1.3")] == [1, Decimal("1.25"), Decimal("1.25")]
    down = Rounding(step=Decimal("0.25"), mode=RoundingMode.DOWN)
    assert down.of(Fraction("1.2499")) == 1


def test_a_quotient_without_end_is_recorded_with_twelve_decimals() -> None:
    assert recorded(Fraction(2, 3)) == Decimal("0.666666666667")
    assert str(recorded(Fraction(3, 4))) == "0.75"


def test_no_decimal_context_changes_a_digit() -> None:
    with localcontext(Context(prec=2)):
        assert str(round_to(Fraction("12345.678"), 2, RoundingMode.HALF_UP)) == "12345.68"
        assert str(recorded(Fraction("12345.678"))) == "12345.678"
