"""Ballots and boxes: what a form allows, and that no entry speaks for fewer than five."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.survey.ballot import EMPTY, Box, cast, read, rest, token, token_hash, turn
from shared.decider import Rejected
from shared.returns import added
from shared.rubric import FormTally
from tests.services.survey.samples import FORM

ANSWERS = st.fixed_dictionaries(
    {"q1": st.sampled_from(["a", "b", "c", "blank"]), "q2": st.sampled_from(["a", "b", "blank"])}
)
STEPS = st.lists(st.one_of(ANSWERS, st.just("timer"), st.just("crash")), max_size=120)


def test_a_question_left_out_or_null_is_blank() -> None:
    assert read(FORM, {"q1": "b"}) == {"q1": "b", "q2": "blank"}
    assert read(FORM, {"q1": None, "q2": "a"}) == {"q1": "blank", "q2": "a"}
    assert read(FORM, {}) == {"q1": "blank", "q2": "blank"}


def test_an_answer_is_to_a_question_of_the_form_and_one_of_its_options() -> None:
    with pytest.raises(Rejected, match="question-unknown") as refusal:
        read(FORM, {"q1": "a", "q9": "a"})
    assert refusal.value.field == "answers.q9"
    with pytest.raises(Rejected, match="option-unknown") as refusal:
        read(FORM, {"q1": "a", "q2": "c"})
    assert refusal.value.field == "answers.q2"


def test_a_ballot_adds_one_to_the_option_of_each_question() -> None:
    box = cast(cast(Box(), read(FORM, {"q1": "b"})), read(FORM, {"q1": "b", "q2": "a"}))
    assert box.current == FormTally(2, {"q1": {"b": 2}, "q2": {"blank": 1, "a": 1}})
    assert box.waiting == EMPTY


def filled(current: int, waiting: int) -> Box:
    return Box(FormTally(current, {"q1": {"a": current}}), FormTally(waiting, {"q1": {"b": waiting}}))


def test_with_fewer_than_five_current_ballots_nothing_moves() -> None:
    assert turn(filled(4, 9)) == (EMPTY, filled(4, 9))


def test_with_five_current_ballots_the_waiting_ones_go_and_the_current_ones_wait() -> None:
    box = filled(5, 9)
    assert turn(box) == (box.waiting, Box(EMPTY, box.current))


def test_the_first_five_ballots_only_begin_to_wait() -> None:
    box = Box(filled(5, 0).current)
    assert turn(box) == (EMPTY, Box(EMPTY, box.current))


def test_at_closing_the_rest_joins_the_waiting_ballots() -> None:
    assert rest(filled(2, 9)) == FormTally(11, {"q1": {"a": 2, "b": 9}})


@given(STEPS)
def test_every_ballot_is_recorded_waiting_or_current_and_no_entry_speaks_for_fewer_than_five(
    steps: list[dict[str, str] | str],
) -> None:
    box, log, votes = Box(), EMPTY, EMPTY
    for step in steps:
        if isinstance(step, dict):
            box = cast(box, step)
            votes = added(votes, FormTally(1, {question: {option: 1} for question, option in step.items()}))
        else:
            taken, after = turn(box)
            assert taken == EMPTY or taken.ballots >= 5
            if step == "timer":  # a crash keeps what was before: entry and box are one transaction
                log, box = added(log, taken), after
        assert box.waiting.ballots == 0 or box.waiting.ballots >= 5
        assert added(log, rest(box)) == votes
        for tally in (log, box.waiting, box.current):
            assert all(sum(options.values()) == tally.ballots for options in tally.counts.values())
    # fewer than five at closing means fewer than five in all
    assert rest(box).ballots >= 5 or log == EMPTY


@given(st.binary(min_size=16, max_size=16))
def test_a_token_is_known_however_it_is_typed(random: bytes) -> None:
    text = token(random)
    assert len(text) == 26
    assert token_hash(text) == hashlib.sha256(text.encode()).digest()
    typed = "-".join(text[at : at + 5] for at in range(0, 26, 5)).lower().replace("0", "o").replace("1", "l")
    assert token_hash(f" {typed} ") == token_hash(text)


def test_tokens_of_different_bytes_differ() -> None:
    assert token(bytes(16)) == "0" * 26
    assert token(b"\xff" * 16) == "7" + "Z" * 25
    assert token(bytes(15) + b"\x01") == "0" * 25 + "1"


@pytest.mark.parametrize("text", ["", "0" * 25, "0" * 27, "U" * 26, "é" * 26])
def test_what_is_no_token_is_unknown(text: str) -> None:
    with pytest.raises(Rejected, match="token-unknown"):
        token_hash(text)


def test_a_token_is_made_of_sixteen_bytes() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        token(bytes(15))
