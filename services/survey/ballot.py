"""Ballots: reading one against its form, and the two boxes that keep any entry from speaking for fewer than five."""

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from shared.decider import Rejected
from shared.returns import added
from shared.rubric import Form, FormTally
from shared.rubric.survey import BLANK, FEWEST

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Of tokens: base 32 without the letters that paper confuses with digits (Crockford's)."""
TOKEN_BYTES: Final = 16
TOKEN_LENGTH: Final = 26
EMPTY: Final = FormTally(0, {})

_READ = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})


class Box(NamedTuple):
    """The ballots of one campaign, agency and form that the log does not have yet: `waiting` holds none or at least
    five, `current` those that came after them."""

    current: FormTally = EMPTY
    waiting: FormTally = EMPTY


def token(random: bytes) -> str:
    """The token that 16 random bytes make: 26 characters, 128 bits."""
    if len(random) != TOKEN_BYTES:
        raise ValueError(f"a token is made of {TOKEN_BYTES} bytes")
    number = int.from_bytes(random, "big")
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(TOKEN_LENGTH)))


def hash_or_none(text: str) -> bytes | None:
    """SHA-256 of a token as a person may type it, in any case and grouping; None if it is none."""
    plain = text.upper().translate(_READ)
    if len(plain) != TOKEN_LENGTH or not set(plain) <= set(ALPHABET):
        return None
    return hashlib.sha256(plain.encode()).digest()


def token_hash(text: str) -> bytes:
    """As `hash_or_none`; Rejected `token-unknown` if the text is no token."""
    found = hash_or_none(text)
    if found is None:
        raise Rejected("token-unknown", "there is no such invitation", "token")
    return found


def read(form: Form, answers: Mapping[str, str | None]) -> dict[str, str]:
    """The option ticked for each question of the form, `blank` where none is.

    Rejected `question-unknown`, `option-unknown`.
    """
    known = {question.id: {option.id for option in question.options} for question in form.questions}
    for question, option in answers.items():
        if question not in known:
            raise Rejected("question-unknown", f"the form {form.id} has no such question", f"answers.{question[:48]}")
        if option is not None and option not in known[question]:
            message = f"question {question} has no such option"
            raise Rejected("option-unknown", message, f"answers.{question}")
    return {question: answers.get(question) or BLANK for question in known}


def cast(box: Box, answers: Mapping[str, str]) -> Box:
    """The box with one ballot more, whose answers were `read`."""
    ballot = FormTally(1, {question: {option: 1} for question, option in answers.items()})
    return box._replace(current=added(box.current, ballot))


def turn(box: Box) -> tuple[FormTally, Box]:
    """What a timer takes out of the box (nothing, or at least five ballots), and the box after it.

    Once the current ballots are five or more, the waiting ones go and the current ones wait.
    """
    if box.current.ballots < FEWEST:
        return EMPTY, box
    return box.waiting, Box(waiting=box.current)


def rest(box: Box) -> FormTally:
    """All that the box holds: what is taken out when its campaign closes."""
    return added(box.waiting, box.current)
