"""Progress: for each agency the step it stands at, counts by field, what holds the next step, and whose turn it is."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from services.scoring.filed import Assessed
from services.scoring.index import (
    Index,
    Obstacle,
    Situation,
    appraisal_obstacles,
    period_obstacles,
    publication_obstacles,
    survey_obstacles,
)
from services.scoring.scorecard import Judged, States, open_requests
from services.scoring.steps import (
    ACTIONS,
    APPRAISAL,
    CONSOLIDATION,
    PUBLICATION,
    REVIEW,
    SELF_ASSESSMENT,
    STEPS,
    SURVEY,
)
from shared.events import instant
from shared.rubric import Field, Mode, Rubric
from shared.rubric.rules import Survey


class Turn(NamedTuple):
    """Whose turn it is, for what, and until when (exclusive; None without a deadline)."""

    action: str
    until: datetime | None
    command: str
    route: str

    def json(self, now: datetime) -> dict[str, str | bool]:
        """As an answer shows it."""
        about = ACTIONS[self.action]
        shown: dict[str, str | bool] = {"action": self.action, "step": about.step, "role": about.role}
        shown |= {"what_vi": about.vi, "what_en": about.en, "service": about.service, "route": self.route}
        if self.command:
            shown["command"] = self.command
        if self.until is not None:
            shown |= {"until": instant(self.until), "overdue": now >= self.until}
        return shown


class Counts(NamedTuple):
    """Of the items of a field: how many there are and to declare, how many are declared, have evidence or an
    explanation, are submitted; how many an appraiser or the survey has to score, are appraised, were flagged for
    explanation, have been answered, were adjusted by the council."""

    items: int = 0
    to_declare: int = 0
    declared: int = 0
    proved: int = 0
    submitted: int = 0
    to_appraise: int = 0
    appraised: int = 0
    flagged: int = 0
    answered: int = 0
    adjusted: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(*(one + more for one, more in zip(self, other, strict=True)))


class Progress(NamedTuple):
    """Where one agency stands. `step` is None once the index is published, or it is withdrawn; `fields` by code."""

    agency: str
    step: str | None
    fields: Mapping[str, Counts]
    blocks: tuple[Obstacle, ...]
    turns: tuple[Turn, ...]


def agency_progress(state: Index, on: Situation, agency: str) -> Progress:
    """One agency's progress; of a withdrawn one nothing is waited for.

    The survey runs beside review and appraisal, so there may be more turns than one; an agency that has nothing of its
    own to do waits for what the period as a whole needs next.
    """
    rubric = on.states.period.rubric_of(agency)
    if agency in on.states.period.withdrawn:
        return Progress(agency, None, {field.code: _counts(on, agency, field) for field in rubric.fields}, (), ())
    done = _done(state, on, agency)
    step = next((step.name for step in STEPS if not done[step.name]), None)
    blocks = tuple(_blocks(on, agency, step))
    turns = () if step is None else tuple(_own_turns(on, agency, done, {each.code for each in blocks}))
    fields = {field.code: _counts(on, agency, field) for field in rubric.fields}
    return Progress(agency, step, fields, blocks, turns or period_turns(state, on))


def period_blocks(state: Index, on: Situation, size: int) -> list[Obstacle]:
    """What holds the period up that is of no single agency; with the agencies' own it is all that the refusal of a
    publication names. `size` is the scoring log's."""
    if state.published is not None:
        return []
    campaigns = sorted(on.states.survey.open_campaigns())
    waiting = [Obstacle("survey-open", "the campaign is not completed", campaign) for campaign in campaigns]
    return [*waiting, *period_obstacles(on), *publication_obstacles(state, on, size)]


def period_turns(state: Index, on: Situation) -> tuple[Turn, ...]:
    """What the period as a whole needs next; nothing once it is published."""
    if state.published is not None:
        return ()
    if on.states.appraisal.council is None:
        return (_turn(on, "seat-council"),)
    if not _final(on):
        return (_turn(on, "finalise"),)
    finalised = on.states.appraisal.finalised
    assert finalised is not None
    appraised_to = finalised.position + 1
    held = state.consolidated
    if held is None or held.heads[f"appraisal/{on.period}"].size != appraised_to:
        return (_turn(on, "consolidate"),)
    return (_turn(on, "publish" if state.approved is not None else "approve-result"),)


def _final(on: Situation) -> bool:
    """Whether the appraisal is final and nothing has moved since."""
    outdated = any(each.code == "finalising-outdated" for each in period_obstacles(on))
    return on.states.appraisal.finalised is not None and not outdated


def _done(state: Index, on: Situation, agency: str) -> dict[str, bool]:
    """Which steps are behind an agency, by name."""
    states, rubric = on.states, on.states.period.rubric_of(agency)
    declared, judged = _assessed(states, agency), _judged(states, agency)
    ended = declared.submitted is not None or (states.period.closed is not None and not declared.reopened)
    published = state.published is not None
    final = judged.closed and states.appraisal.council is not None and _final(on)
    approved = final and [turn.action for turn in period_turns(state, on)] == ["publish"]
    return {
        SELF_ASSESSMENT: published or ended,
        REVIEW: published or judged.closed or (judged.opened and not _without_appraiser(states, agency, rubric)),
        SURVEY: published or states.survey.complete_for(agency, rubric),
        APPRAISAL: published or final,
        CONSOLIDATION: published or approved,
        PUBLICATION: published,
    }


def _blocks(on: Situation, agency: str, step: str | None) -> Iterator[Obstacle]:
    """What holds the agency's next step up."""
    states, rubric = on.states, on.states.period.rubric_of(agency)
    if step == SELF_ASSESSMENT:
        yield from _undeclared(states, agency, rubric)
    elif step == REVIEW:
        for field in _without_appraiser(states, agency, rubric):
            yield Obstacle("appraiser-missing", "no appraiser is assigned to the field", agency, field)
    elif step in (SURVEY, APPRAISAL):
        yield from (*appraisal_obstacles(on, agency), *survey_obstacles(on, agency))


def _undeclared(states: States, agency: str, rubric: Rubric) -> Iterator[Obstacle]:
    declared = _assessed(states, agency)
    complete, proved = True, declared.proved
    for code in _to_declare(rubric):
        if code not in declared.items:
            complete = False
            yield Obstacle("declaration-missing", "neither data nor a claim of not applicable", agency, code)
        if code not in proved and not _claimed(declared, code):
            complete = False
            yield Obstacle("evidence-or-explanation-missing", "neither evidence nor an explanation", agency, code)
    if complete and not declared.approved:
        yield Obstacle("approval-missing", "the agency's head has not approved the self-assessment", agency)
    yield Obstacle("not-submitted", "the agency has not submitted", agency)


def _own_turns(on: Situation, agency: str, done: Mapping[str, bool], blocked: Collection[str]) -> Iterator[Turn]:
    """What the agency's own matters need next; `blocked`: the codes of what holds its step up."""
    if not done[SELF_ASSESSMENT]:
        yield _assessing(on, agency, blocked)
    elif "appraiser-missing" in blocked:
        yield _turn(on, "assign-appraisers", agency)
    elif done[REVIEW] and not done[APPRAISAL] and not _judged(on.states, agency).closed:
        yield from _appraising(on, agency, blocked)
    if not done[SURVEY]:
        yield from _surveying(on, agency)


def _assessing(on: Situation, agency: str, blocked: Collection[str]) -> Turn:
    declared, last = _assessed(on.states, agency), on.states.period.last_time(SELF_ASSESSMENT)
    until = declared.until if declared.reopened else None  # a reopening closes by itself
    if not declared.reopened and last is not None and on.time >= last:
        return _turn(on, "close-self-assessment", agency)
    if "declaration-missing" in blocked or "evidence-or-explanation-missing" in blocked:
        return _turn(on, "declare", agency, until=until)
    return _turn(on, "approve-self-assessment" if "approval-missing" in blocked else "submit", agency, until=until)


def _appraising(on: Situation, agency: str, blocked: Collection[str]) -> Iterator[Turn]:
    asked = open_requests(on.states, agency, on.time)
    for request in asked:
        yield _turn(on, "explain", agency, item=request.item, until=request.until)
    if "leaf-open" in blocked:
        yield _turn(on, "appraise", agency)
    elif not asked:
        yield _turn(on, "close-appraisal", agency)


def _surveying(on: Situation, agency: str) -> Iterator[Turn]:
    states = on.states
    campaign, rubric = states.survey.campaign_of(agency), states.period.rubric_of(agency)
    if campaign is not None and not campaign.completed:
        name, closes = campaign.opened.campaign, campaign.opened.closes
        if on.time < closes:
            yield _turn(on, "collect-ballots", agency, campaign=name, until=closes)
        else:
            yield _turn(on, "complete-survey", agency, campaign=name)
        return
    missing = {isinstance(leaf.rule, Survey) for leaf in states.survey.missing(agency, rubric)}
    if True in missing:
        yield _turn(on, "open-survey", agency)
    if False in missing:
        yield _turn(on, "import-study", agency)


def _turn(on: Situation, action: str, agency: str = "", *, until: datetime | None = None, **names: str) -> Turn:
    about, period = ACTIONS[action], on.states.period
    group = period.agencies[agency].group if agency else ""
    known = {"period": on.period, "agency": agency, "group": group, "item": "ITEM", **names}
    last = until or period.last_time(about.step)
    return Turn(action, last, about.command.format(**known), f"{about.method} {about.path.format(**known)}")


def _without_appraiser(states: States, agency: str, rubric: Rubric) -> list[str]:
    """The fields with something to appraise that no appraiser of the agency's group has."""
    group = states.period.agencies[agency].group
    assigned = {code for (_, of), fields in states.appraisal.assigned.items() if of == group for code in fields}
    return [
        field.code
        for field in rubric.fields
        if field.code not in assigned and any(leaf.mode is not Mode.SURVEY for leaf in field.leaves)
    ]


def _counts(on: Situation, agency: str, field: Field) -> Counts:
    declared, judged = _assessed(on.states, agency), _judged(on.states, agency)
    items = {leaf.code for leaf in field.leaves}
    declarable = {leaf.code for leaf in field.leaves if leaf.mode is Mode.SELF_ASSESSED}
    said = declarable & declared.items.keys()
    proved = declared.proved
    asked = {position: request for position, request in judged.requests.items() if request.item in items}
    flagged = {request.item for request in asked.values()}
    unanswered = {request.item for position, request in asked.items() if position not in declared.answered}
    unanswered |= {request.item for position, request in asked.items() if position in declared.lapsed}
    return Counts(
        items=len(items),
        to_declare=len(declarable),
        declared=len(said),
        proved=sum(code in proved or _claimed(declared, code) for code in declarable),
        submitted=len(said) if declared.submitted is not None else 0,
        to_appraise=sum(leaf.mode is not Mode.SURVEY for leaf in field.leaves),
        appraised=len(items & (judged.appraised.keys() | judged.council.keys())),
        flagged=len(flagged),
        answered=len(flagged - unanswered),
        adjusted=len(items & judged.council.keys()),
    )


def _claimed(declared: Assessed, code: str) -> bool:
    """Whether the item is claimed not to apply: the claim carries its own reason and needs no evidence."""
    return code in declared.items and declared.items[code].claimed


def _to_declare(rubric: Rubric) -> list[str]:
    return [leaf.code for leaf in rubric.leaves.values() if leaf.mode is Mode.SELF_ASSESSED]


def _assessed(states: States, agency: str) -> Assessed:
    return states.submission.agencies.get(agency, Assessed())


def _judged(states: States, agency: str) -> Judged:
    return states.appraisal.agencies.get(agency, Judged())
