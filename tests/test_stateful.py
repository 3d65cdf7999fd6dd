"""All four deciders under random commands from many people: what no order of them may ever bring about."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from deploy.reference import OF
from services.scoring.replay import replay
from services.scoring.scorecard import RELEVANT, SCORED, States, before
from shared.access import Role
from shared.events import Entry, catalogue
from tests.cast import AGENCIES, FIELD_OF, NORTH, PEOPLE, PERIOD, SERVICES_THEMSELVES, Person, actor
from tests.office_in_memory import Office

CODES: Final = {code for table in OF.values() for code in table}
BY_ACTOR: Final = {person.actor: person for person in PEOPLE.values()}
DATA: Final = {"1.1": "yes", "1.2": "small", "1.3": "2", "2.1": "2.5", "2.2": "0.5"}
DECLARED: Final = ("1.1", "1.2", "1.3", "2.1")
OFFICER, APPROVER, SURVEYOR = PEOPLE["officer"], PEOPLE["approver"], PEOPLE["survey-officer"]

people = st.sampled_from(list(PEOPLE.values()))


def mostly(*names: str) -> st.SearchStrategy[Person]:
    """Who it takes for a command, more often than anyone else."""
    return st.one_of(st.sampled_from([PEOPLE[name] for name in names]), people)


clerks, heads = (mostly(*(f"{name}-{agency}" for agency in AGENCIES)) for name in ("clerk", "head"))
officers, appraisers = mostly("officer", "officer-and-approver"), mostly("appraiser-1", "appraiser-2")
agencies = st.sampled_from(AGENCIES)
items = st.sampled_from([*FIELD_OF, "1.1", "2.1", "2.2", "9.9"])
data = st.sampled_from(["yes", "no", "large", "small", "0", "1", "4", None])


class Log:
    """The entries before one entry, and what they say."""

    def __init__(self, office: Office, entry: Entry) -> None:
        self._before = office.logs[entry.log][: entry.position]
        self._office = office

    def last(self, name: str, **fields: Any) -> Any:
        """The last event of that name before it whose fields are these; None without one."""
        for entry in reversed(self._before):
            event = entry.event
            if entry.type.split(".")[1] == name and all(getattr(event, key) == value for key, value in fields.items()):
                return event
        return None

    def waits(self, item: str, agency: str) -> bool:
        """Whether an item of the agency was ever asked about."""
        asked = self._office.requests.values()
        return any((each.agency, each.item) == (agency, item) for each in asked)


def whoever_has(*roles: Role) -> Callable[[Person, Entry, Log], bool]:
    return lambda who, entry, log: bool(who.roles & set(roles))


def own(role: Role) -> Callable[[Person, Entry, Log], bool]:
    return lambda who, entry, log: role in who.roles and who.agency == entry.event.agency  # type: ignore[union-attr]


def of_the_field(who: Person, entry: Entry, log: Log) -> bool:
    """An appraiser to whom the item's field is assigned, by the last assignment before."""
    assigned = log.last("appraiser-assigned", appraiser=who.actor)
    item = getattr(entry.event, "item", "")
    return Role.APPRAISER in who.roles and assigned is not None and FIELD_OF[item] in assigned.fields


def seated_chair(who: Person, entry: Entry, log: Log) -> bool:
    """The chair of the council that sits, with more than half of its members in favour."""
    council, event = log.last("council-seated"), entry.event
    tally = getattr(event, "tally", None)
    carried = tally is None or 2 * tally.in_favour > len(council.members)
    return Role.COUNCIL_CHAIR in who.roles and council is not None and council.chair == who.actor and carried


def another_than_who_consolidated(who: Person, entry: Entry, log: Log) -> bool:
    consolidated = log.last("result-consolidated")
    same = entry.event.digest == consolidated.digest  # type: ignore[union-attr]
    return Role.APPROVER in who.roles and consolidated.by != who.actor and same


def of_what_was_approved(who: Person, entry: Entry, log: Log) -> bool:
    """An officer, and the very result that was approved."""
    return Role.OFFICER in who.roles and log.last("result-approved").digest == entry.event.digest  # type: ignore[union-attr]


BY_HAND: Final[Mapping[str, Callable[[Person, Entry, Log], bool]]] = {
    **dict.fromkeys(
        ("period-opened", "rubric-field-set", "rubric-set", "agencies-added", "period-started"),
        whoever_has(Role.OFFICER),
    ),
    **dict.fromkeys(
        (
            "points-declared",
            "not-applicable-claimed",
            "not-applicable-reasoned",
            "explanation-given",
            "explanation-worded",
            "evidence-uploaded",
            "evidence-named",
            "self-assessment-submitted",
        ),
        own(Role.AGENCY),
    ),
    "self-assessment-approved": own(Role.AGENCY_HEAD),
    **dict.fromkeys(
        (
            "self-assessment-closed",
            "appraiser-assigned",
            "council-seated",
            "agency-appraised",
            "appraisal-finalised",
            "result-consolidated",
            "card-published",
        ),
        whoever_has(Role.OFFICER),
    ),
    **dict.fromkeys(
        ("item-appraised", "appraisal-reasoned", "explanation-requested", "explanation-asked"), of_the_field
    ),
    **dict.fromkeys(("council-adjusted", "adjustment-reasoned"), seated_chair),
    **dict.fromkeys(
        ("form-set", "campaign-opened", "survey-completed", "form-completed", "study-imported"),
        whoever_has(Role.SURVEY_OFFICER),
    ),
    "index-published": of_what_was_approved,
    "result-approved": another_than_who_consolidated,
}
"""Who may have made an entry, by its name; the services themselves make only the next ones."""
BY_ITSELF: Final = frozenset(
    {
        "self-assessment-closed",
        "explanation-closed",
        "appraisal-started",
        "agency-opened",
        "survey-started",
        "responses-recorded",
        "too-few-recorded",
        "scoring-started",
    }
)


def check_maker(entry: Entry, log: Log) -> None:
    """Whoever made the entry had the role and the assignment for it when it was made."""
    name, made_by = entry.type.split(".")[1], entry.actor
    if made_by in SERVICES_THEMSELVES:
        assert name in BY_ITSELF, f"the service made {entry.type} by itself"
        assert entry.type.startswith(f"{made_by}.")
    else:
        assert BY_HAND[name](BY_ACTOR[made_by], entry, log), f"{BY_ACTOR[made_by].name} made {entry.type}"


def check_nothing_closed_moved(office: Office, entry: Entry, log: Log) -> None:
    """What was submitted, closed, completed or published before the entry is not what it changes."""
    name, event = entry.type.split(".")[1], entry.event
    agency = getattr(event, "agency", "")
    late = name == "explanation-given" and getattr(event, "request", None) is not None
    if entry.stream.startswith("self-assessment/") and not late and not event.erasable:  # type: ignore[union-attr]
        ended = log.last("self-assessment-submitted", agency=agency) or log.last("self-assessment-closed")
        asked = name == "evidence-uploaded" and all(log.waits(item, agency) for item in getattr(event, "items", ()))
        assert ended is None or asked or name == "explanation-closed", f"{name} after the end of the step"
    if name in ("item-appraised", "explanation-requested"):
        assert log.last("agency-appraised", agency=agency) is None, f"{name} after the agency's appraisal was closed"
    if entry.stream.startswith("campaign/") and name != "survey-completed":
        assert log.last("survey-completed") is None, f"{name} after the campaign was completed"


def assess_whole(office: Office, agency: str) -> None:
    """The agency declares, proves and submits everything, its head having approved."""
    clerk = PEOPLE[f"clerk-{agency}"]
    for item in DECLARED:
        office.declare(clerk, agency, item, DATA[item])
    office.prove(clerk, agency, DECLARED, b"%PDF")
    office.approve(PEOPLE[f"head-{agency}"], agency, office.digest(agency))
    office.submit(clerk, agency)


def appraise_whole(office: Office, agency: str) -> None:
    """Each appraiser recognises the own field and scores what nobody declared; the officer closes the agency."""
    for number in ("1", "2"):
        appraiser = PEOPLE[f"appraiser-{number}"]
        office.recognise(appraiser, agency, number)
        for item, datum in DATA.items():
            if FIELD_OF[item] == number and item not in DECLARED:
                office.appraise(appraiser, agency, item, datum)
    office.close_agency(OFFICER, agency)


def survey_whole(office: Office) -> None:
    """The campaign opens, takes ballots on every agency, closes and is completed; a study gives the rest."""
    office.open_campaign(SURVEYOR, 10)
    for agency in AGENCIES:
        office.ballots(agency, 4, 3)
        office.study(SURVEYOR, agency, {"3.2": "1"})
    office.wait(11)
    office.complete(SURVEYOR)


def conclude(office: Office) -> None:
    """Finalised, consolidated, approved by another person, published."""
    office.finalise(OFFICER)
    office.consolidate(OFFICER)
    result = office.result()
    if result is not None:
        office.decide_result(APPROVER, result.digest)
    office.publish(OFFICER)


def assessed(machine: "Machine") -> None:
    for agency in AGENCIES:
        assess_whole(machine.office, agency)
    machine.office.close_step(OFFICER)
    machine.hold()


def surveyed(machine: "Machine") -> None:
    survey_whole(machine.office)
    machine.hold()


def appraised(machine: "Machine") -> None:
    for agency in AGENCIES:
        appraise_whole(machine.office, agency)
        machine.hold()


def finalised(machine: "Machine") -> None:
    machine.office.finalise(OFFICER)
    machine.hold()


def published(machine: "Machine") -> None:
    conclude(machine.office)
    machine.hold()


STAGES: Final = (assessed, surveyed, appraised, finalised, published)
"""The steps of a period, each done as it should be."""


class Machine(RuleBasedStateMachine):
    """Everyone asks for anything; the fixed people may also do a whole step at once, so that all states are reached."""

    def __init__(self) -> None:
        super().__init__()
        self.office = Office()
        self.seen = dict.fromkeys(self.office.logs, 0)
        self.cards = self.office.cards()

    @initialize(stage=st.integers(0, len(STAGES)))
    def begin(self, stage: int) -> None:
        """The seats and assignments of a period, and the first so many steps of it done as they should be."""
        self.office.seat(OFFICER, "chair")
        self.office.assign(OFFICER, "appraiser-1", "1")
        self.office.assign(OFFICER, "appraiser-2", "2")
        for step in STAGES[:stage]:
            step(self)

    # anyone, anything

    @rule(who=clerks, agency=agencies, item=items, data=data)
    def declare(self, who: Person, agency: str, item: str, data: str | None) -> None:
        self.office.declare(who, agency, item, data)

    @rule(who=clerks, agency=agencies, item=items, answer=st.booleans())
    def explain(self, who: Person, agency: str, item: str, answer: bool) -> None:
        open_ones = [position for position, each in self.office.requests.items() if each.item == item]
        self.office.explain(who, agency, item, open_ones[-1] if answer and open_ones else None)

    @rule(who=clerks, agency=agencies, chosen=st.sets(items, max_size=3), content=st.sampled_from([b"a", b"b"]))
    def prove(self, who: Person, agency: str, chosen: set[str], content: bytes) -> None:
        self.office.prove(who, agency, tuple(sorted(chosen)), content)

    @rule(who=heads, agency=agencies, right=st.booleans())
    def approve(self, who: Person, agency: str, right: bool) -> None:
        self.office.approve(who, agency, self.office.digest(agency) if right else "0" * 64)

    @rule(who=clerks, agency=agencies)
    def submit(self, who: Person, agency: str) -> None:
        self.office.submit(who, agency)

    @rule(who=officers)
    def close_step(self, who: Person) -> None:
        self.office.close_step(who)

    @rule(hours=st.sampled_from([1, 24, 200]))
    def wait(self, hours: int) -> None:
        self.office.wait(hours)

    @rule(who=officers, appraiser=people, fields=st.sets(st.sampled_from(["1", "2", "9"]), min_size=1))
    def assign(self, who: Person, appraiser: Person, fields: set[str]) -> None:
        self.office.assign(who, appraiser.name, *sorted(fields))

    @rule(who=officers, chair=people)
    def seat(self, who: Person, chair: Person) -> None:
        self.office.seat(who, chair.name)

    @rule(who=appraisers, agency=agencies, field=st.sampled_from(["1", "2", "3"]))
    def recognise(self, who: Person, agency: str, field: str) -> None:
        self.office.recognise(who, agency, field)

    @rule(who=appraisers, agency=agencies, item=items, data=data)
    def appraise(self, who: Person, agency: str, item: str, data: str | None) -> None:
        self.office.appraise(who, agency, item, data)

    @rule(who=appraisers, agency=agencies, item=items, hours=st.sampled_from([0, 30]))
    def flag(self, who: Person, agency: str, item: str, hours: int) -> None:
        self.office.flag(who, agency, item, hours)

    @rule(who=mostly("chair", "another-chair"), agency=agencies, item=items, data=data, in_favour=st.integers(1, 3))
    def adjust(self, who: Person, agency: str, item: str, data: str | None, in_favour: int) -> None:
        self.office.adjust(who, agency, item, data, in_favour)

    @rule(who=officers, agency=agencies)
    def close_agency(self, who: Person, agency: str) -> None:
        self.office.close_agency(who, agency)

    @rule(who=officers)
    def finalise(self, who: Person) -> None:
        self.office.finalise(who)

    @rule(who=mostly("survey-officer"), hours=st.sampled_from([-1, 50]))
    def open_campaign(self, who: Person, hours: int) -> None:
        self.office.open_campaign(who, hours)

    @rule(agency=agencies, yes=st.integers(0, 6), no=st.integers(0, 6))
    def ballots(self, agency: str, yes: int, no: int) -> None:
        self.office.ballots(agency, yes, no)

    @rule(who=mostly("survey-officer"))
    def complete(self, who: Person) -> None:
        self.office.complete(who)

    @rule(
        who=mostly("survey-officer"),
        agency=agencies,
        item=st.sampled_from(["3.1", "3.2", "1.1"]),
        points=st.sampled_from(["1", "9"]),
    )
    def study(self, who: Person, agency: str, item: str, points: str) -> None:
        self.office.study(who, agency, {item: points})

    @rule(who=officers)
    def consolidate(self, who: Person) -> None:
        self.office.consolidate(who)

    @rule(who=mostly("approver", "officer-and-approver"), right=st.booleans())
    def decide_result(self, who: Person, right: bool) -> None:
        result = self.office.result()
        self.office.decide_result(who, result.digest if right and result is not None else "0" * 64)

    @rule(who=officers)
    def publish(self, who: Person) -> None:
        self.office.publish(who)

    # a whole step at once

    @rule(agency=agencies)
    def assess_whole(self, agency: str) -> None:
        assess_whole(self.office, agency)

    @rule(agency=agencies)
    def appraise_whole(self, agency: str) -> None:
        appraise_whole(self.office, agency)

    @rule()
    def conclude(self) -> None:
        conclude(self.office)

    # what must hold after every command

    @invariant()
    def hold(self) -> None:
        self.office.react()
        self.every_new_entry_was_made_by_who_may_and_changes_nothing_closed()
        self.no_card_changes_without_an_entry_that_may_change_it()
        assert self.office.refusals <= CODES, "every refusal is documented"
        self.seen = {name: len(entries) for name, entries in self.office.logs.items()}

    def every_new_entry_was_made_by_who_may_and_changes_nothing_closed(self) -> None:
        for name, entries in self.office.logs.items():
            for entry in entries[self.seen[name] :]:
                log = Log(self.office, entry)
                check_maker(entry, log)
                check_nothing_closed_moved(self.office, entry, log)

    def no_card_changes_without_an_entry_that_may_change_it(self) -> None:
        moved = {
            agency
            for name, entries in self.office.logs.items()
            for entry in entries[self.seen[name] :]
            for agency in AGENCIES
            if entry.type in RELEVANT.get(name.partition("/")[0], frozenset())
            and getattr(entry.event, "agency", agency) == agency
        }
        cards = self.office.cards()
        assert {agency for agency in AGENCIES if cards[agency] != self.cards[agency]} <= moved
        published = self.office.published
        if published is not None:
            sizes = {log: published.heads[log].size for log in published.heads}
            late = [entry for log, size in sizes.items() for entry in self.office.logs[log][size:]]
            assert not [entry for entry in late if entry.type in RELEVANT.get(entry.log.partition("/")[0], ())]
        self.cards = cards

    def teardown(self) -> None:
        check_replay(self.office)


def check_replay(office: Office) -> None:
    """Read anew from its bytes, in one go and with all that may be erased gone, the history gives the same."""
    logs = {
        name: [
            Entry(name, at, entry.leaf, None, None)
            if catalogue()[entry.type].erasable
            else Entry(name, at, entry.leaf, entry.salt, entry.data)
            for at, entry in enumerate(entries)
        ]
        for name, entries in office.logs.items()
    }
    assert all(entry.data_holds() for entries in logs.values() for entry in entries if entry.data is not None)
    folded = {service: before(service).fold(service, logs[f"{service}/{PERIOD}"]) for service in SCORED}
    assert States.of(folded) == office.states
    published = office.published
    if published is not None:
        result = replay(logs, {log: head for log, head in published.heads.items() if not log.startswith("scoring/")})
        assert result.digest == published.digest
        cards = [entry.event for entry in office.log("scoring") if entry.type.endswith("card-published.v1")]
        assert {card.agency: card.card for card in cards} == result.cards  # type: ignore[union-attr]


def test_no_order_of_commands_moves_a_score_or_a_closed_thing_or_lets_in_who_may_not() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking has no bound in time
            deadline=None,  # a busy machine is no error
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def machine() -> Machine:
    """A machine that has come as far as a published index."""
    found = Machine()
    found.begin(len(STAGES))
    return found


def test_the_steps_lead_to_a_published_index_that_its_history_gives_again(machine: Machine) -> None:
    published = machine.office.published
    assert published is not None
    assert published.count == len(AGENCIES)
    check_replay(machine.office)


@pytest.mark.parametrize("who", PEOPLE.values(), ids=lambda who: who.name)
def test_after_the_publication_nobody_moves_a_score(machine: Machine, who: Person) -> None:
    before_, office = machine.office.cards(), machine.office
    sizes = {name: len(entries) for name, entries in office.logs.items()}
    for agency in AGENCIES:
        refused = [
            office.declare(who, agency, "1.1", "no"),
            office.submit(who, agency),
            office.appraise(who, agency, "1.1", "no"),
            office.adjust(who, agency, "2.1", "1", 3),
            office.study(who, agency, {"3.2": "2"}),
            office.close_agency(who, agency),
        ]
        assert set(refused) <= {"role-missing", "period-published"}
    assert {office.consolidate(who), office.publish(who)} <= {"role-missing", "already-published"}
    assert office.cards() == before_
    assert {name: len(entries) for name, entries in office.logs.items()} == sizes
    machine.hold()


def test_the_machine_finds_a_maker_without_the_right_and_a_move_without_an_entry(machine: Machine) -> None:
    entry = next(each for each in machine.office.log("appraisal") if each.type.endswith("item-appraised.v1"))
    stranger = Entry(entry.log, entry.position, entry.leaf, entry.salt, entry.data)
    stranger.__dict__["header"] = {**entry.header, "actor": actor("appraiser-2")}
    assert FIELD_OF[entry.event.item] == "1"  # type: ignore[union-attr]
    with pytest.raises(AssertionError, match="appraiser-2 made"):
        check_maker(stranger, Log(machine.office, entry))
    machine.cards = {**machine.cards, NORTH: "{}"}
    with pytest.raises(AssertionError):
        machine.no_card_changes_without_an_entry_that_may_change_it()
