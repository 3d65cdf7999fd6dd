"""What a caller may see of an agency's card, and what everyone may see of a published one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from services.scoring.filed import Assessed
from services.scoring.replay import Step
from services.scoring.scorecard import Judged, States
from shared.access import Caller, Role, own_agency
from shared.decider import Rejected
from shared.events import instant, plain
from shared.events.scoring import Row
from shared.period import Period
from shared.rubric import Card, LeafValue, Rubric

WIDE: Final = (Role.OFFICER, Role.APPROVER, Role.AUDITOR)
SEATED: Final = (Role.COUNCIL, Role.COUNCIL_CHAIR)
AGENCIES: Final = (Role.AGENCY, Role.AGENCY_HEAD)
FIELDS: Final = (Role.APPRAISER, Role.MONITOR)


@dataclass(frozen=True)
class Sight:
    """A part of a card: the items of some fields without any total, or the whole card (`fields` is None); and whether
    appraised points are in it."""

    fields: frozenset[str] | None = None
    appraised: bool = True


def sees_table(caller: Caller, states: States) -> bool:
    """Whether the caller may see all agencies side by side."""
    council = states.appraisal.council
    seated = council is not None and caller.actor in (council.chair, *council.members)
    return caller.has(*WIDE) or (caller.has(*SEATED) and seated)


def may_see_table(caller: Caller, states: States) -> None:
    """Refuses who may not see all agencies side by side, of those whom the route lets in: `not-seated`."""
    if not sees_table(caller, states):
        raise Rejected("not-seated", "you do not sit on the period's Appraisal Council")


def sight_of(caller: Caller, states: States, agency: str, at: datetime) -> Sight:
    """The most that any of the caller's roles shows of an agency's card before publication.

    Refuses with `other-agency`, `field-not-assigned`, `not-seated`, `period-unknown`, `agency-unknown`.
    """
    opened, group = states.period.the_opened(), states.period.the_agency(agency).group
    if caller.has(*WIDE):
        return Sight()
    refusal: Rejected | None = None
    if caller.has(*SEATED):
        try:
            may_see_table(caller, states)
            return Sight()
        except Rejected as refused:
            refusal = refused
    if caller.has(*AGENCIES):
        try:
            own_agency(caller, agency)
            return Sight(appraised=at >= opened.appraised_points_visible_from)
        except Rejected as refused:
            refusal = refused
    if caller.has(*FIELDS):
        fields = states.appraisal.fields_of(caller.actor, group)
        if fields:
            return Sight(fields)
        refusal = Rejected("field-not-assigned", "no field of this agency's group is assigned to you", "agency")
    assert refusal is not None, "the route lets no other role in"
    raise refusal


def items_of(rubric: Rubric, sight: Sight) -> frozenset[str]:
    """The items that are in sight."""
    return frozenset(
        leaf.code
        for field in rubric.fields
        if sight.fields is None or field.code in sight.fields
        for leaf in field.leaves
    )


def shown_card(card: Card, rubric: Rubric, sight: Sight) -> dict[str, Any]:
    """The part of a card that is in sight, as an answer shows it."""
    body = card.model_dump(mode="json", exclude_none=True)
    if sight.fields is not None:
        fields = [field for field in rubric.fields if field.code in sight.fields]
        codes = {code for field in fields for code in (field.code, *(node.code for node in field.criteria))}
        items = items_of(rubric, sight)
        body = {
            "rubric": card.rubric,
            "final": card.final,
            "fields": [line for line in body["fields"] if line["code"] in codes],
            "criteria": [line for line in body["criteria"] if line["code"] in codes],
            "leaves": [line for line in body["leaves"] if line["code"] in items],
        }
    if not sight.appraised:
        lines = {
            part: [_only(line, "code", "part", "maximum", "self_assessed") for line in body[part]]
            for part in ("fields", "criteria", "leaves")
        }
        body = {**_only(body, "rubric", "final", "maximum", "self_assessed"), **lines}
    return body


def shown_sources(states: States, agency: str, rubric: Rubric, sight: Sight) -> dict[str, dict[str, Any]]:
    """For each item in sight the positions of the entries that its values stand in, and whether the agency claims that
    it does not apply."""
    declared = states.submission.agencies.get(agency, Assessed()).items
    judged = states.appraisal.agencies.get(agency, Judged())
    sources: dict[str, dict[str, Any]] = {}
    for item in sorted(items_of(rubric, sight)):
        source: dict[str, Any] = {}
        if item in declared:
            source |= {"declared": declared[item].position, "claimed": declared[item].claimed}
        if sight.appraised and item in judged.appraised:
            source["appraised"] = judged.appraised[item].position
        if sight.appraised and item in judged.council:
            source["council"] = judged.council[item].position
        if source:
            sources[item] = source
    return sources


def shown_step(step: Step, rubric: Rubric, sight: Sight) -> dict[str, Any] | None:
    """A step of an agency's history as far as it is in sight; None if nothing of it is."""
    in_sight = items_of(rubric, sight)
    items = {
        item: shown
        for item, value in step.items.items()
        if item in in_sight and (shown := _value(value, sight)) is not None
    }
    if not sight.appraised and not step.entry.log.startswith("submission/"):
        return None
    if not items and (step.items or sight.fields is not None):
        return None
    totals: dict[str, str | int] = {}
    if sight.fields is None:
        totals["self_assessed"] = plain(step.card.self_assessed)
    if sight.fields is None and sight.appraised:
        totals |= {name: plain(getattr(step.card, name)) for name in ("appraised", "survey", "total")}
        totals |= {name: getattr(step.card, name) for name in ("appraised_open", "survey_open")}
    return {
        "time": instant(step.entry.time),
        "log": step.entry.log,
        "position": step.entry.position,
        "entry": step.entry.id,
        "type": step.entry.type,
        "items": items,
    } | ({"totals": totals} if totals else {})


def _value(value: LeafValue, sight: Sight) -> dict[str, Any] | None:
    body = value.model_dump(mode="json", exclude_none=True)
    return body if sight.appraised else _only(body, "self_assessed")


def _only(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: body[name] for name in names if name in body}


def publication_of(period: Period, agency: str) -> str:
    """The publication policy of an agency: its own, else the period's."""
    return period.agencies[agency].publication or period.the_opened().publication


def public_rows(rows: Iterable[Row], period: Period) -> Iterator[dict[str, Any]]:
    """The rows of the published table that the policy leaves: of `totals-only` the parts and the self-assessed total
    read `withheld`, of `nothing` there is no row."""
    for row in rows:
        policy = publication_of(period, row.agency)
        if policy == "nothing":
            continue
        body = row.model_dump(mode="json", exclude_none=True)
        if policy == "totals-only":
            body |= {"self_assessed": "withheld", "parts": "withheld"}
        yield {**body, "publication": policy}
