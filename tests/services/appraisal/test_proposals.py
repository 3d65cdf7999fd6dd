"""Given what happened, when a command comes, then these events or that refusal: proposals of the council, and votes."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

import pytest

from services.appraisal.case import Case
from services.appraisal.proposals import DECIDER, Cast, Command, Propose, Settle
from shared.decider import Rejected, fold
from shared.events import Event
from shared.events.appraisal import (
    AdjustmentProposed,
    AdjustmentReasoned,
    AgencyAppraised,
    AgencyOpened,
    Choice,
    ConflictDeclared,
    CouncilAdjusted,
    CouncilSeated,
    ProposalRejected,
    ProposalWorded,
    SessionClosed,
    SessionOpened,
    Tally,
    VoteCast,
)
from tests.services.appraisal.test_appraisal import case

MEMBERS = tuple(f"{number:032x}" for number in range(10))
CHAIR, DEPUTY, OUTSIDER = MEMBERS[0], MEMBERS[1], "f" * 32
SEATED = CouncilSeated(chair=CHAIR, members=MEMBERS, deputy=DEPUTY)
TODAY = date(2024, 12, 10)
MEETING = SessionOpened(session="first", held_on=TODAY, in_writing=False)
CLOSED = SessionClosed(session="first", resolution="12/NQ-HĐTĐ", present=())
PROPOSED = AdjustmentProposed(
    agency="agency-01", item="1.1", proposal=100, session="first", data="no", reason_code="as-declared"
)
GIVEN: tuple[Event, ...] = (
    SEATED,
    MEETING,
    AgencyOpened(agency="agency-01", submitted=True, of=40),
    AgencyAppraised(agency="agency-01"),
    PROPOSED,
)


def when(command: Command, given: Iterable[Event] = GIVEN) -> list[Event]:
    return list(DECIDER.decide(fold(DECIDER, tuple(given)), command))


def refused(command: Command, given: Iterable[Event] = GIVEN) -> str:
    with pytest.raises(Rejected) as caught:
        when(command, given)
    return caught.value.code


def propose(
    item: str = "1.1",
    data: str | None = "no",
    *,
    by: str = CHAIR,
    secretary: bool = False,
    session: str = "first",
    not_applicable: bool = False,
    code: str = "as-declared",
    reason: str = "Thiếu quyết định ban hành",
) -> Propose:
    return Propose(case(by), secretary, session, item, data, not_applicable, code, reason)


def cast(choice: Choice = "for", *, by: str = CHAIR, in_writing: bool = False, on: Case | None = None) -> Cast:
    return Cast(on or case(by), 100, choice, in_writing)


def vote(member: str, choice: Choice = "for", *, in_writing: bool = False) -> VoteCast:
    return VoteCast(agency="agency-01", proposal=100, member=member, choice=choice, in_writing=in_writing)


def settle(by: str = CHAIR, reason: str = "Hội đồng thống nhất", proposal: int = 100) -> Settle:
    return Settle(case(by), proposal, "12/NQ-HĐTĐ", reason)


def test_a_member_proposes_another_value_and_its_reason_stands_apart() -> None:
    assert when(propose(), GIVEN[:-1]) == [
        PROPOSED,
        ProposalWorded(agency="agency-01", item="1.1", of=100, reason="Thiếu quyết định ban hành"),
    ]


def test_the_officer_who_serves_the_council_proposes_without_a_seat() -> None:
    assert when(propose(by=OUTSIDER, secretary=True), GIVEN[:-1])[0] == PROPOSED
    assert refused(propose(by=OUTSIDER), GIVEN[:-1]) == "not-seated"


def test_a_member_votes_present_on_the_day_and_in_writing_before_it() -> None:
    assert when(cast("against", by=MEMBERS[4])) == [vote(MEMBERS[4], "against")]
    tomorrow = SessionOpened(session="first", held_on=TODAY + timedelta(days=1), in_writing=False)
    given = (SEATED, tomorrow, *GIVEN[2:])
    assert refused(cast(), given) == "vote-not-open"
    assert when(cast(in_writing=True), given) == [vote(CHAIR, in_writing=True)]


def test_a_session_in_writing_takes_written_votes_only() -> None:
    given = (SEATED, SessionOpened(session="first", held_on=TODAY, in_writing=True), *GIVEN[2:])
    assert refused(cast(), given) == "vote-not-open"
    assert when(cast(in_writing=True), given)


def test_six_of_ten_members_in_favour_carry_the_proposal_and_the_item_has_the_councils_value() -> None:
    votes = [vote(member, in_writing=member in MEMBERS[:2]) for member in MEMBERS[:6]] + [vote(MEMBERS[6], "against")]
    tally = Tally(members=10, in_favour=6, against=1, abstained=0, in_writing=2)
    adjusted = CouncilAdjusted(
        agency="agency-01",
        item="1.1",
        data="no",
        points=Decimal(0),
        resolution="12/NQ-HĐTĐ",
        tally=tally,
        reason_code="as-declared",
        proposal=100,
    )
    assert when(settle(), (*GIVEN, *votes)) == [
        adjusted,
        AdjustmentReasoned(agency="agency-01", item="1.1", of=100, reason="Hội đồng thống nhất"),
    ]
    after = fold(DECIDER, (*GIVEN, *votes, adjusted))
    value = after.value("1.1")
    assert value is not None
    assert (value.data, value.points) == ("no", Decimal(0))


def test_exactly_half_of_all_members_do_not_carry_though_nobody_is_against() -> None:
    votes = [vote(member) for member in MEMBERS[:5]]
    assert when(settle(), (*GIVEN, *votes)) == [
        ProposalRejected(
            agency="agency-01",
            item="1.1",
            proposal=100,
            resolution="12/NQ-HĐTĐ",
            tally=Tally(members=10, in_favour=5, against=0, abstained=0),
        )
    ]


def test_the_last_vote_of_a_member_counts_until_the_decision() -> None:
    votes = [*(vote(member) for member in MEMBERS[:6]), vote(MEMBERS[5], "abstained")]
    [rejected] = when(settle(), (*GIVEN, *votes))
    assert isinstance(rejected, ProposalRejected)
    assert (rejected.tally.in_favour, rejected.tally.abstained) == (5, 1)


def test_the_vote_of_who_has_a_conflict_of_interest_does_not_count_but_the_seat_does() -> None:
    votes = [vote(member) for member in MEMBERS[:6]]
    conflict = ConflictDeclared(agency="agency-01", person=MEMBERS[5])
    [rejected] = when(settle(), (*GIVEN, *votes, conflict))
    assert isinstance(rejected, ProposalRejected)
    assert rejected.tally == Tally(members=10, in_favour=5, against=0, abstained=0)
    assert refused(cast(by=MEMBERS[5]), (*GIVEN, conflict)) == "conflict-of-interest"


def test_the_vote_of_who_left_the_council_does_not_count() -> None:
    votes = [vote(member) for member in MEMBERS[:6]]
    renewed = SEATED.model_copy(update={"members": (*MEMBERS[:5], *MEMBERS[6:], OUTSIDER)})
    [rejected] = when(settle(), (*GIVEN, *votes, renewed))
    assert isinstance(rejected, ProposalRejected)
    assert rejected.tally.in_favour == 5


def test_the_deputy_closes_a_vote_in_the_chairs_place() -> None:
    assert when(settle(DEPUTY))
    assert refused(settle(MEMBERS[2])) == "not-the-chair"


REJECTED = ProposalRejected(
    agency="agency-01",
    item="1.1",
    proposal=100,
    resolution="12/NQ-HĐTĐ",
    tally=Tally(members=10, in_favour=0, against=0, abstained=0),
)
CARRIED = tuple(vote(member) for member in MEMBERS[:6])
REFUSALS: list[tuple[str, Command, tuple[Event, ...]]] = [
    ("appraisal-not-open", propose(), (SEATED, MEETING)),
    ("period-published", Cast(case(CHAIR, published=True), 100, "for", False), GIVEN),
    ("session-unknown", propose(session="second"), GIVEN),
    ("session-closed", propose(), (*GIVEN, CLOSED)),
    ("item-unknown", propose("7.7"), GIVEN),
    ("must-apply", propose("1.1", None, not_applicable=True), GIVEN),
    ("data-invalid", propose("1.1", None), GIVEN),
    ("reason-missing", propose(reason=" "), GIVEN),
    ("reason-code-unknown", propose(code="because"), GIVEN),
    ("not-seated", cast(by=OUTSIDER), GIVEN),
    ("proposal-unknown", Cast(case(CHAIR), 99, "for", False), GIVEN),
    ("proposal-decided", cast(), (*GIVEN, REJECTED)),
    ("proposal-decided", settle(), (*GIVEN, REJECTED)),
    ("proposal-unknown", settle(proposal=7), GIVEN),
    ("reason-missing", settle(reason=""), (*GIVEN, *CARRIED)),
]


@pytest.mark.parametrize(("code", "command", "given"), REFUSALS)
def test_a_command_against_the_rules_is_refused_with_its_code(
    code: str, command: Command, given: tuple[Event, ...]
) -> None:
    assert refused(command, given) == code
