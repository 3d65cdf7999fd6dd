"""What is shown of an agency's self-assessment."""

from collections.abc import Mapping

from pydantic import BaseModel

from services.submission import assessment as rules
from services.submission.assessment import Item, Requests
from services.submission.book import NO_MONITORS, Book, Dossier, Monitors, reopened_until
from shared.events import Instant, Points
from shared.events.submission import Source
from shared.rubric import Leaf, Mode
from shared.rubric.rules import Rule


class Head(BaseModel):
    """How long a log was that an answer rests on."""

    size: int


class ItemLine(BaseModel):
    """One self-assessed item as the agency stands by it; `position` is that of its latest declaration or claim.

    `rule` says how it is scored, `guidance` what to mind, `proof` which documents prove it, `monitors` who follows it.
    """

    item: str
    label_vi: str
    label_en: str
    max: Points | None
    rule: Rule
    guidance: str
    proof: str
    monitors: list[str]
    data: str | None
    points: Points | None
    not_applicable: bool
    estimated: bool
    taken_from: Source | None
    reason: str | None
    position: int | None
    explanation: str | None
    explained: int | None
    evidence: list[str]


class DocumentLine(BaseModel):
    """One file; `name` is absent once erased. `withdrawn`: those of its items that it no longer serves."""

    position: int
    sha256: str
    size: int
    media_type: str
    name: str | None
    items: list[str]
    withdrawn: list[str]


class RequestLine(BaseModel):
    """One request for explanation by its position in the appraisal log, open, answered or closed."""

    request: int
    item: str
    until: Instant
    state: str
    answer: str | None


class ApprovalLine(BaseModel):
    """The head's signature line: the actor, the time, the digest that was approved, and the position of the entry.

    `stands`: nothing was changed since.
    """

    position: int
    actor: str
    time: Instant
    digest: str
    stands: bool


class SelfAssessmentAnswer(BaseModel):
    """An agency's self-assessment. `digest` is what its head approves; `faults` what a submission still lacks,
    `warnings` what it may go out with and the appraisal cannot be closed with;
    `reopened` until when an officer has reopened it."""

    period: str
    agency: str
    group: str
    name_vi: str
    name_en: str
    version: int
    digest: str
    approved: bool
    approval: ApprovalLine | None
    submitted: Instant | None
    reopened: Instant | None
    total: Points
    items: list[ItemLine]
    evidence: list[DocumentLine]
    requests: list[RequestLine]
    faults: list[dict[str, str]]
    warnings: list[dict[str, str]]
    heads: dict[str, Head]


def answer(
    book: Book,
    agency: str,
    requests: Requests,
    texts: Mapping[int, str],
    heads: Mapping[str, int],
    monitors: Monitors = NO_MONITORS,
) -> SelfAssessmentAnswer:
    """The agency's self-assessment as it is shown; `texts` are the words by position."""
    dossier, named = book.dossier(agency), book.period.the_agency(agency)
    assessment, rubric = dossier.assessment, book.period.rubric_of(agency)
    digest = rules.digest(assessment)
    own = [(position, each) for position, each in sorted(requests.items()) if each.agency == agency]
    return SelfAssessmentAnswer(
        period=book.period.the_opened().period,
        agency=agency,
        group=named.group,
        name_vi=named.name_vi,
        name_en=named.name_en,
        version=dossier.version,
        digest=digest,
        approved=assessment.approved == digest,
        approval=_approval(dossier, digest),
        submitted=dossier.submitted,
        reopened=reopened_until(assessment),
        total=rules.total(assessment, rubric),
        items=[
            _line(dossier, leaf, _monitors(monitors, named.group, each.code), texts)
            for each in rubric.fields
            for leaf in each.leaves
            if leaf.mode is Mode.SELF_ASSESSED
        ],
        evidence=[
            DocumentLine(
                **each._asdict() | {"items": list(each.items), "withdrawn": list(each.withdrawn)},
                name=texts.get(each.position),
            )
            for each in dossier.documents
        ],
        requests=[_request(dossier, position, each, texts) for position, each in own],
        faults=list(rules.faults(assessment, rubric)),
        warnings=list(rules.warnings(assessment, rubric)),
        heads={log: Head(size=size) for log, size in sorted(heads.items())},
    )


def _monitors(monitors: Monitors, group: str, code: str) -> list[str]:
    return sorted(actor for (actor, of), fields in monitors.items() if of == group and code in fields)


def _line(dossier: Dossier, leaf: Leaf, monitors: list[str], texts: Mapping[int, str]) -> ItemLine:
    held = dossier.assessment.items.get(leaf.code, Item())
    declared, explained = dossier.declared.get(leaf.code), dossier.explained.get(leaf.code)
    return ItemLine(
        item=leaf.code,
        label_vi=leaf.label.vi,
        label_en=leaf.label.en or leaf.label.vi,
        max=leaf.max,
        rule=leaf.rule,
        guidance=leaf.guidance,
        proof=leaf.evidence,
        monitors=monitors,
        data=held.data,
        points=held.points,
        not_applicable=held.not_applicable,
        estimated=held.estimated,
        taken_from=held.taken_from,
        reason=None if declared is None else texts.get(declared),
        position=declared,
        explanation=None if explained is None else texts.get(explained),
        explained=explained,
        evidence=sorted(held.evidence),
    )


def _approval(dossier: Dossier, digest: str) -> ApprovalLine | None:
    given = dossier.approval
    return None if given is None else ApprovalLine(**given._asdict(), stands=given.digest == digest)


def _request(dossier: Dossier, position: int, request: rules.Request, texts: Mapping[int, str]) -> RequestLine:
    answered = dossier.answers.get(position)
    state = "answered" if answered is not None else "closed" if position in dossier.assessment.answered else "open"
    return RequestLine(
        request=position,
        item=request.item,
        until=request.until,
        state=state,
        answer=None if answered is None else texts.get(answered),
    )
