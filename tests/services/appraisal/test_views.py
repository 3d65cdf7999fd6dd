"""What readers of a period's appraisal log see: the council's record, remarks, rounds of explanation, revisions."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from services.appraisal.views import Appraised, fold_appraised
from shared.events import Entry, Event, canonical, encode, instant
from shared.events.appraisal import (
    AdjustmentProposed,
    AdjustmentReasoned,
    AppraisalReasoned,
    Choice,
    ConflictDeclared,
    ConflictWorded,
    CouncilAdjusted,
    CouncilDecided,
    ExplanationRequested,
    ProposalRejected,
    ProposalWorded,
    RemarkMade,
    RemarkWorded,
    SessionClosed,
    SessionOpened,
    SessionWorded,
    Tally,
    VoteCast,
)
from tests.services.appraisal.test_appraisal import NOW, appraised

CHAIR, MEMBER = "c" * 32, "d" * 32
DAY = NOW.date()
TALLY = Tally(members=3, in_favour=2, against=1, abstained=0, in_writing=1)


def entries(events: Sequence[Event], erased: bool = False) -> list[Entry]:
    found = []
    for position, event in enumerate(events):
        header = {"type": event.type, "time": instant(NOW), "actor": CHAIR}
        data = None if erased and event.erasable else encode(event)
        found.append(Entry("appraisal/2024-year", position, canonical(header), None, data))
    return found


def seen(*events: Event, erased: bool = False) -> Appraised:
    return fold_appraised(Appraised(), entries(events, erased))


def vote(member: str, choice: Choice, *, in_writing: bool = False) -> VoteCast:
    return VoteCast(agency="agency-01", proposal=2, member=member, choice=choice, in_writing=in_writing)


SITTING: tuple[Event, ...] = (
    SessionOpened(session="first", held_on=DAY, in_writing=False),
    SessionWorded(session="first", of=0, place="Phòng họp số 2"),
    AdjustmentProposed(
        agency="agency-01", item="1.1", proposal=2, session="first", data="no", reason_code="as-declared"
    ),
    ProposalWorded(agency="agency-01", item="1.1", of=2, reason="Thiếu quyết định"),
    vote(CHAIR, "for"),
    vote(MEMBER, "for"),
    vote(MEMBER, "against", in_writing=True),
)
DECIDED: tuple[Event, ...] = (
    CouncilAdjusted(
        agency="agency-01",
        item="1.1",
        data="no",
        points=Decimal(0),
        resolution="12/NQ",
        tally=TALLY,
        reason_code="as-declared",
        proposal=2,
    ),
    AdjustmentReasoned(agency="agency-01", item="1.1", of=7, reason="Hội đồng thống nhất"),
    CouncilDecided(session="first", resolution="15/NQ", dated=DAY, tally=TALLY),
    SessionClosed(session="first", resolution="12/NQ", present=(CHAIR,)),
)


def test_an_open_vote_tells_how_many_voted_and_to_members_how() -> None:
    motion = seen(*SITTING).record.motions[2]
    outside = motion.json("", seated=False)
    assert outside == {
        "agency": "agency-01",
        "item": "1.1",
        "proposal": 2,
        "session": "first",
        "data": "no",
        "not_applicable": False,
        "reason_code": "as-declared",
        "outcome": "open",
        "voted": 2,
        "words": "Thiếu quyết định",
    }
    inside = motion.json(MEMBER, seated=True)
    assert inside["own"] == "against"
    assert [(each["member"], each["choice"], each["in_writing"]) for each in inside["votes"]] == [
        (CHAIR, "for", False),
        (MEMBER, "against", True),
    ]


def test_a_carried_proposal_shows_tally_points_resolution_and_reason_and_nobodys_vote() -> None:
    shown = seen(*SITTING, *DECIDED).record.motions[2].json("", seated=False)
    assert (shown["outcome"], shown["points"], shown["resolution"]) == ("carried", "0", "12/NQ")
    assert (shown["tally"], shown["reason"]) == (TALLY.model_dump(), "Hội đồng thống nhất")
    assert not {"votes", "own"} & shown.keys()


def test_a_rejected_proposal_has_no_points() -> None:
    lost = ProposalRejected(agency="agency-01", item="1.1", proposal=2, resolution="12/NQ", tally=TALLY)
    shown = seen(*SITTING, lost).record.motions[2].json("", seated=False)
    assert shown["outcome"] == "rejected"
    assert "points" not in shown


def test_a_session_shows_its_place_who_was_there_and_what_it_decided() -> None:
    assert seen(*SITTING, *DECIDED).record.sessions["first"].json() == {
        "session": "first",
        "held_on": DAY.isoformat(),
        "in_writing": False,
        "closed": True,
        "place": "Phòng họp số 2",
        "resolution": "12/NQ",
        "present": [CHAIR],
        "decision": {"resolution": "15/NQ", "dated": DAY.isoformat(), "tally": TALLY.model_dump()},
    }


def test_what_is_erased_takes_words_and_nothing_else() -> None:
    record = seen(*SITTING, *DECIDED, erased=True).record
    shown = record.motions[2].json("", seated=False)
    assert (shown["outcome"], shown["points"]) == ("carried", "0")
    assert not {"words", "reason"} & shown.keys()
    assert "place" not in record.sessions["first"].json()


def test_remarks_and_conflicts_bear_their_words() -> None:
    record = seen(
        RemarkMade(agency="agency-01", about="1.1"),
        RemarkWorded(agency="agency-01", about="1.1", of=0, remark="Thấp hơn số kê khai"),
        ConflictDeclared(agency="agency-01", person=CHAIR),
        ConflictWorded(agency="agency-01", of=2, reason="Người thân"),
    ).record
    stands = {"time": instant(NOW), "actor": CHAIR, "agency": "agency-01"}
    assert [each.json() for each in record.remarks.values()] == [
        {"position": 0, **stands, "about": "1.1", "words": "Thấp hơn số kê khai"}
    ]
    assert [each.json() for each in record.conflicts.values()] == [{"position": 2, **stands, "words": "Người thân"}]


def test_appraisals_are_numbered_as_revisions_and_requests_as_rounds_of_each_item() -> None:
    asked = ExplanationRequested(
        agency="agency-01", item="1.1", until=NOW + timedelta(days=5), reason_code="as-declared"
    )
    lines = seen(
        appraised("1.1", "yes", "2", 10),
        AppraisalReasoned(agency="agency-01", item="1.1", of=0, reason="Đủ hồ sơ"),
        asked,
        appraised("1.2", "large", "2", 11),
        asked,
        appraised("1.1", "no", "0", 10),
    ).lines["agency-01"]
    shown = [line.json(frozenset({2})) for line in lines]
    assert [(each["item"], each.get("revision"), each.get("round"), each.get("settled")) for each in shown] == [
        ("1.1", 1, None, None),
        ("1.1", None, 1, True),
        ("1.2", 1, None, None),
        ("1.1", None, 2, False),
        ("1.1", 2, None, None),
    ]
    assert shown[0]["words"] == "Đủ hồ sơ"
