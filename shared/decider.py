"""The shape of every rule: an initial state, a decision, and how history folds into the state."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E")


class Rejected(Exception):
    """A command that the rules refuse.

    `code` is stable and documented; it maps to one problem type (RFC 9457) for HTTP and intake alike. `field` names the
    part of the request at fault. `errors` names further faults, one mapping each (`item` or `field`, `code`, `detail`).
    """

    def __init__(
        self, code: str, message: str, field: str | None = None, errors: Sequence[Mapping[str, str]] = ()
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.field = field
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Decider(NamedTuple, Generic[S, C, E]):
    """The rules of one thing: `decide` holds every business rule, `evolve` holds none, so history always folds."""

    initial: S
    decide: Callable[[S, C], Sequence[E]]
    evolve: Callable[[S, E], S]


def fold(decider: Decider[S, C, E], events: Sequence[E]) -> S:
    """The state after the events, in their order."""
    state = decider.initial
    for event in events:
        state = decider.evolve(state, event)
    return state
