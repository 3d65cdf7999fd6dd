"""Given what happened, when a command comes, then these events or that refusal: remarks and conflicts of interest."""

import pytest

from services.appraisal import appraisal
from services.appraisal.remarks import DECIDER, Command, DeclareConflict, Remark
from shared.decider import Rejected, fold
from shared.events import Event
from shared.events.appraisal import (
    ConflictDeclared,
    ConflictWorded,
    MonitorAssigned,
    RemarkMade,
    RemarkWorded,
)
from tests.services.appraisal.test_appraisal import APPRAISER, CHAIR, GIVEN, SEATED, adjust, case, recognise

MONITOR = "e" * 32
FOLLOWS = MonitorAssigned(monitor=MONITOR, group="central", fields=("1",))
KNOWN: tuple[Event, ...] = (*GIVEN, FOLLOWS)
CONFLICT = ConflictDeclared(agency="agency-01", person=APPRAISER)


def when(command: Command, given: tuple[Event, ...] = KNOWN) -> list[Event]:
    return list(DECIDER.decide(fold(DECIDER, given), command))


def refused(command: Command, given: tuple[Event, ...] = KNOWN) -> str:
    with pytest.raises(Rejected) as caught:
        when(command, given)
    return caught.value.code


def remark(about: str = "1.1", by: str = MONITOR, words: str = "Thấp hơn số kê khai") -> Remark:
    return Remark(case(by), about, words)


def conflict(by: str = APPRAISER, reason: str = "Người thân công tác tại đây") -> DeclareConflict:
    return DeclareConflict(case(by), reason)


@pytest.mark.parametrize("about", ["1.1", "1"])
def test_a_following_body_remarks_on_an_item_or_a_field_it_has(about: str) -> None:
    assert when(remark(about)) == [
        RemarkMade(agency="agency-01", about=about),
        RemarkWorded(agency="agency-01", about=about, of=100, remark="Thấp hơn số kê khai"),
    ]


def test_a_remark_scores_nothing() -> None:
    state = fold(DECIDER, KNOWN)
    for event in when(remark()):
        state = DECIDER.evolve(state, event)
    assert state == fold(DECIDER, KNOWN)


@pytest.mark.parametrize(
    ("code", "command"),
    [
        ("field-not-assigned", remark("2.1")),
        ("field-not-assigned", remark(by=APPRAISER)),
        ("item-unknown", remark("7.7")),
        ("reason-missing", remark(words=" ")),
        ("period-published", Remark(case(MONITOR, published=True), "1.1", "Muộn")),
        ("field-not-assigned", conflict(MONITOR)),
        ("reason-missing", conflict(reason=" ")),
        ("period-published", DeclareConflict(case(published=True), "Muộn")),
    ],
)
def test_a_command_against_the_rules_is_refused_with_its_code(code: str, command: Command) -> None:
    assert refused(command) == code


def test_a_conflict_is_declared_once_its_words_beside_it() -> None:
    assert when(conflict()) == [
        CONFLICT,
        ConflictWorded(agency="agency-01", of=100, reason="Người thân công tác tại đây"),
    ]
    assert when(conflict(), (*KNOWN, CONFLICT)) == []


def test_a_conflict_may_be_declared_before_the_appraisal_opens() -> None:
    assert when(conflict(CHAIR), (SEATED,))[0] == ConflictDeclared(agency="agency-01", person=CHAIR)


def test_from_then_on_the_person_decides_nothing_about_the_agency() -> None:
    chairs = ConflictDeclared(agency="agency-01", person=CHAIR)
    for command in (recognise("1.1"), adjust("1.1")):
        with pytest.raises(Rejected) as caught:
            appraisal.decide(fold(appraisal.DECIDER, (*KNOWN, CONFLICT, chairs)), command)
        assert caught.value.code == "conflict-of-interest"
    assert appraisal.decide(fold(appraisal.DECIDER, (*KNOWN, chairs)), recognise("1.1"))
