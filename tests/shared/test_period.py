"""The period as all services read it from its submission log."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest

from services.submission import period as rules
from shared.decider import Rejected
from shared.events import Entry, Event, canonical, data_hash, encode, instant, type_tag
from shared.events.scoring import IndexPublished, IndexRevised, RevisionOpened
from shared.period import Period, fold, fold_published
from tests.services.submission.samples import LAST, opening


def entries(log: str, stream: str, events: Sequence[Event]) -> list[Entry]:
    """The events as entries of a log, one second apart."""
    made = []
    for position, event in enumerate(events):
        data, salt = encode(event), bytes(32)
        header = {
            "type": type_tag(event, log.partition("/")[0]),
            "subject": stream,
            "time": instant(datetime(2024, 11, 1, 0, 0, position % 60, tzinfo=UTC)),
            "position": str(position),
            "datahash": data_hash(salt, data),
        }
        made.append(Entry(log, position, canonical(header), salt, data))
    return made


def opened() -> list[Event]:
    return list(rules.decide(rules.Standing(), rules.OpenPeriod(opening(), 0)))


def test_a_period_is_folded_whole_from_its_log() -> None:
    period = fold(Period(), entries("submission/2024-year", "period", opened()))
    assert period.started
    assert list(period.agencies) == ["a-01", "a-02"]
    assert period.rubric_of("a-01") == opening().rubric_of("central")
    assert period.last_time("self-assessment") == LAST
    assert period.last_time("appeal") is None


def test_folding_in_pieces_gives_the_same_as_folding_at_once() -> None:
    log = entries("submission/2024-year", "period", opened())
    pieces = Period()
    for entry in log:
        pieces = fold(pieces, [entry])
    assert pieces == fold(Period(), log)


def test_entries_of_agencies_change_nothing_of_the_period() -> None:
    foreign = entries("submission/2024-year", "self-assessment/a-01", opened())
    assert fold(Period(), foreign) == Period()


def test_what_is_unknown_is_refused_by_name() -> None:
    with pytest.raises(Rejected, match="period-unknown"):
        Period().the_opened()
    with pytest.raises(Rejected, match="agency-unknown"):
        fold(Period(), entries("submission/2024-year", "period", opened())).rubric_of("a-99")


def test_the_scoring_log_says_when_the_index_is_published() -> None:
    published = IndexPublished(
        period="2024-year",
        formula="f",
        heads={},
        digest="0" * 64,
        decision="1/QĐ-UBND",
        dated=date(2025, 2, 1),
        count=0,
        first=0,
        parts_digest="0" * 64,
    )
    assert fold_published(False, []) is False
    assert fold_published(False, entries("scoring/2024-year", "index", [published])) is True
    assert fold_published(True, []) is True


def test_a_revision_opens_a_published_period_until_the_revised_index() -> None:
    opened = RevisionOpened(of=3, decision="1/QĐ", dated=date(2025, 3, 1))
    revised = IndexRevised(
        period="2024-year",
        formula="par-index-2026-11",
        heads={},
        digest="0" * 64,
        decision="2/QĐ",
        dated=date(2025, 4, 1),
        count=0,
        first=0,
        parts_digest="0" * 64,
        revises=3,
    )
    assert fold_published(True, entries("scoring/2024-year", "index", [opened])) is False
    assert fold_published(True, entries("scoring/2024-year", "index", [opened, revised])) is True
    assert fold_published(False, entries("scoring/2024-year", "index", [revised, opened])) is False
