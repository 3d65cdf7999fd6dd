"""Drafts: what an agency declared in an earlier period, offered item by item; nothing is taken over unseen."""

from collections.abc import Mapping

from pydantic import BaseModel

from services.submission.assessment import File, Item, Taken, answers_of
from services.submission.book import Book, Dossier
from services.submission.views import Head
from shared.decider import Rejected
from shared.events import Points
from shared.events.submission import Source
from shared.rubric import Mode, RubricError, declare


class FileLine(BaseModel):
    """A file that proved the item then; `name` is absent once erased."""

    sha256: str
    size: int
    media_type: str
    name: str | None


class DraftLine(BaseModel):
    """An item of this period that the agency declared in the earlier one.

    `points` are what the data give under this period's rule, absent with `code` and `detail` where it refuses them;
    `same_rule`: the item's rule and maximum are as they were. `taken`: this very entry was taken over.
    """

    item: str
    label_vi: str
    label_en: str
    label_then_vi: str
    data: str
    points_then: Points
    points: Points | None
    estimated: bool
    same_rule: bool
    evidence: list[FileLine]
    taken_from: Source
    taken: bool
    code: str | None
    detail: str | None


class DraftsAnswer(BaseModel):
    """The drafts that an earlier period offers, in the order of this period's rubric."""

    period: str
    from_period: str
    agency: str
    drafts: list[DraftLine]
    heads: dict[str, Head]


def require_earlier(book: Book, earlier: Book) -> None:
    """Refuse a period whose assessed span does not end before this one's: `period-not-earlier`."""
    if earlier.period.the_opened().span_to >= book.period.the_opened().span_to:
        raise Rejected("period-not-earlier", "only an earlier period's declarations are taken over", "from")


def taken(earlier: Book, agency: str, item: str, position: int, names: Mapping[int, str]) -> Taken:
    """The draft that the item's latest declaration in the earlier period is; Rejected `draft-unknown`."""
    dossier = earlier.dossier(agency)
    held = dossier.assessment.items.get(item, Item())
    if held.data is None or dossier.declared.get(item) != position:
        raise Rejected("draft-unknown", "the agency has no such draft for this item", "taken_from")
    source = Source(log=f"submission/{earlier.period.the_opened().period}", position=position)
    return Taken(source, held.data, _files(dossier, held, names))


def drafts(book: Book, earlier: Book, agency: str, names: Mapping[int, str], heads: Mapping[str, int]) -> DraftsAnswer:
    """Every self-assessed item of the period that has data in the earlier one; `names` are that log's words."""
    now, then = book.dossier(agency), earlier.dossier(agency)
    rubric, old, lines = book.period.rubric_of(agency), earlier.period.rubric_of(agency), list[DraftLine]()
    answers = answers_of(now.assessment)
    for leaf in rubric.leaves.values():
        held = then.assessment.items.get(leaf.code, Item())
        if leaf.mode is not Mode.SELF_ASSESSED or held.data is None or held.points is None:
            continue
        was, offered = old.leaf(leaf.code), taken(earlier, agency, leaf.code, then.declared[leaf.code], names)
        points, code, detail = None, None, None
        try:
            points = declare(rubric, leaf.code, held.data, answers)[1]
        except RubricError as refused:
            code, detail = refused.code, refused.message
        line = DraftLine(
            item=leaf.code,
            label_vi=leaf.label.vi,
            label_en=leaf.label.en or leaf.label.vi,
            label_then_vi=was.label.vi,
            data=held.data,
            points_then=held.points,
            points=points,
            estimated=held.estimated,
            same_rule=(was.rule, was.max) == (leaf.rule, leaf.max),
            evidence=[FileLine(**file._asdict()) for file in offered.files],
            taken_from=offered.source,
            taken=now.assessment.items.get(leaf.code, Item()).taken_from == offered.source,
            code=code,
            detail=detail,
        )
        lines.append(line)
    return DraftsAnswer(
        period=book.period.the_opened().period,
        from_period=earlier.period.the_opened().period,
        agency=agency,
        drafts=lines,
        heads={log: Head(size=size) for log, size in sorted(heads.items())},
    )


def _files(dossier: Dossier, held: Item, names: Mapping[int, str]) -> tuple[File, ...]:
    """The files that prove the item, each once, under the name of its latest record."""
    found = {
        each.sha256: File(each.sha256, each.size, each.media_type, names.get(each.position))
        for each in dossier.documents
        if each.sha256 in held.evidence
    }
    return tuple(found[sha256] for sha256 in sorted(found))
