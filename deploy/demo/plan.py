"""When the steps of a demonstrated period happen, and what else tells one such period from another."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple


class Plan(NamedTuple):
    """One period's plan: instants of the deployment's clock, and figures.

    `opening`: the agencies have three weeks from then; `closed`: after the last time of self-assessment; `survey`: the
    campaigns' span, its end exclusive, `campaigns` their names by group, none where no survey is held; `counted`: after
    it; `council`: the day it meets; `publication`: the day of the decision; `decision`: its number; `documents`: the
    date inside the agencies' documents; `shift`: how much better than their strength agencies do; `ballots`: how many
    of one form about one agency.
    """

    opening: datetime
    closed: datetime
    survey: tuple[datetime, datetime]
    campaigns: Mapping[str, str]
    counted: datetime
    council: datetime
    publication: datetime
    decision: str
    documents: datetime
    shift: int = 0
    ballots: int = 170


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+07:00")


PILOT: Final = Plan(
    opening=_at("2024-11-04T08:00"),
    closed=_at("2024-12-05T08:00"),
    survey=(_at("2024-11-04T00:00"), _at("2024-12-28T00:00")),
    campaigns={"central": "survey-2024"},
    counted=_at("2024-12-28T08:00"),
    council=_at("2025-01-16T08:00"),
    publication=_at("2025-02-14T08:00"),
    decision="615/QĐ-UBND",
    documents=datetime(2024, 11, 4, 1, tzinfo=UTC),
)
"""The year-period of 2024."""
SIX_MONTH: Final = Plan(
    opening=_at("2025-07-07T08:00"),
    closed=_at("2025-08-05T08:00"),
    survey=(_at("2025-07-07T00:00"), _at("2025-08-08T00:00")),
    campaigns={},
    counted=_at("2025-08-08T08:00"),
    council=_at("2025-08-28T08:00"),
    publication=_at("2025-09-18T08:00"),
    decision="4718/QĐ-UBND",
    documents=datetime(2025, 7, 7, 1, tzinfo=UTC),
    shift=-6,
)
"""The first six months of 2025."""
YEAR: Final = Plan(
    opening=_at("2025-11-03T08:00"),
    closed=_at("2025-12-05T08:00"),
    survey=(_at("2025-11-03T00:00"), _at("2025-12-27T00:00")),
    campaigns={"pilot": "survey-2025-pilot", "added": "survey-2025-added"},
    counted=_at("2025-12-27T08:00"),
    council=_at("2026-01-15T08:00"),
    publication=_at("2026-02-11T08:00"),
    decision="702/QĐ-UBND",
    documents=datetime(2025, 11, 3, 1, tzinfo=UTC),
    ballots=40,
)
"""The year 2025."""
