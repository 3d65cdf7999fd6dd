"""An archive in a folder, written from events with real keys, tiles and checkpoints; and a small published period."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from services.scoring.replay import Result, replay
from services.submission.period import OpenPeriod, Standing
from services.submission.period import decide as decide_period
from services.survey import campaign as survey
from services.survey import study
from shared.events import SERVICES, Entry, Event, canonical, data_hash, encode, instant, parts_digest, type_tag
from shared.events.appraisal import (
    AdjustmentReasoned,
    AgencyAppraised,
    AgencyOpened,
    AppraisalFinalised,
    AppraisalReasoned,
    AppraisalStarted,
    CouncilAdjusted,
    CouncilSeated,
    ItemAppraised,
    Tally,
)
from shared.events.register import LogOpened, RegisterOpened
from shared.events.scoring import (
    CardPublished,
    Head,
    IndexPublished,
    IndexRevised,
    ResultApproved,
    ResultConsolidated,
    RevisionOpened,
    RevisionReasoned,
    ScoringStarted,
)
from shared.events.submission import (
    EvidenceNamed,
    EvidenceUploaded,
    PointsDeclared,
    SelfAssessmentApproved,
    SelfAssessmentSubmitted,
)
from shared.events.survey import InvitationsIssued, ResponsesRecorded
from shared.period import Period
from shared.period import fold as fold_period
from shared.returns import Returns
from shared.rubric import FormTally, PeriodOpening
from shared.tlog.checkpoint import Checkpoint, Policy, sign_checkpoint
from shared.tlog.merkle import leaf_hash, root
from shared.tlog.note import SigningKey, log_key
from shared.tlog.tiles import (
    CHECKPOINT,
    Edge,
    checkpoint_path,
    data_line,
    data_path,
    entries_path,
    pack_data,
    pack_entries,
    parts,
)
from tests.services.scoring.samples import APPRAISAL, APPROVER, BEGIN, CHAIR, OFFICER, PERIOD, PILOT, SUBMISSION, SURVEY

DEPLOYMENT: Final = "parindex.test"
SCORING: Final = f"scoring/{PERIOD}"
SECRET: Final = bytes(range(32))
AGENCIES: Final = ("a-01", "a-02")
PDF: Final = b"%PDF-1.7 a report\n"
SHA: Final = hashlib.sha256(PDF).hexdigest()

Alter = Callable[[str, Event], Event]


def key_of(log: str) -> SigningKey:
    """The key of a log of the deployment."""
    return log_key(SECRET, f"{DEPLOYMENT}/{log}")


class Chronicle:
    """The logs of a deployment as they grow, an entry a second; `alter` may change an event before it is told."""

    def __init__(self, alter: Alter | None = None, deployment: str = DEPLOYMENT) -> None:
        self.logs: dict[str, list[Entry]] = {}
        self.sizes: dict[str, set[int]] = {}
        self.evidence: dict[str, bytes] = {}
        self._alter, self._deployment = alter, deployment
        self._versions: dict[tuple[str, str], int] = {}
        self._told = 0
        for service in SERVICES:
            opened = RegisterOpened(deployment=deployment, clock_table="clock_offset", clock_offset=0)
            self.tell(f"{service}/register", "register", opened)
            self.open(f"{service}/register")

    def open(self, log: str) -> None:
        """Open a log in its service's register."""
        service = log.partition("/")[0]
        opened = LogOpened(log=log, key=str(key_of(log).verifier), generation="2024", partition=3)
        self.tell(f"{service}/register", "register", opened)

    def tell(
        self,
        log: str,
        stream: str,
        event: Event,
        *,
        actor: str = OFFICER,
        seen: Mapping[str, int] | None = None,
        header: Mapping[str, str] | None = None,
    ) -> Entry:
        """The next entry of a log; `header` replaces attributes."""
        if self._alter is not None:
            event = self._alter(log, event)
        entries, self._told = self.logs.setdefault(log, []), self._told + 1
        version = self._versions[log, stream] = self._versions.get((log, stream), 0) + 1
        salt, data = hashlib.sha256(f"{log} {self._told}".encode()).digest(), encode(event)
        attributes = {
            "specversion": "1.0",
            "datacontenttype": "application/json",
            "source": f"{self._deployment}/{log}",
            "type": type_tag(event, log.partition("/")[0]),
            "id": f"{self._told:08x}-0000-7000-8000-{self._told:012x}",
            "subject": stream,
            "time": instant(BEGIN + timedelta(seconds=self._told)),
            "position": str(len(entries)),
            "version": str(version),
            "actor": actor,
            "causationid": hashlib.sha256(salt).hexdigest()[:32],
            "datahash": data_hash(salt, data),
        }
        if seen is not None:
            attributes["seen"] = " ".join(f"{name}@{size}" for name, size in sorted(seen.items()))
        entry = Entry(log, len(entries), canonical({**attributes, **(header or {})}), salt, data)
        entries.append(entry)
        return entry

    def checkpoint(self) -> None:
        """Archive a checkpoint of every log as it stands, when it is written."""
        for log, entries in self.logs.items():
            self.sizes.setdefault(log, set()).add(len(entries))

    def head(self, log: str, size: int | None = None) -> Head:
        """A log's head at a size, by default as it stands."""
        entries = self.logs[log][:size]
        return Head(size=len(entries), root=root(leaf_hash(entry.leaf) for entry in entries).hex())

    def policy(self) -> Policy:
        """The policy that an auditor is given."""
        return Policy({f"{self._deployment}/{log}": key_of(log).verifier for log in self.logs})

    def write(self, folder: Path) -> None:
        """Write the archive."""
        for log, entries in self.logs.items():
            write_log(folder / log, key_of(log), entries, sorted({*self.sizes.get(log, ()), len(entries)}))
        for sha256, content in self.evidence.items():
            _put(folder / "evidence/sha256" / sha256, content)


def write_log(folder: Path, key: SigningKey, entries: Sequence[Entry], sizes: Iterable[int]) -> None:
    """Write one log's files with checkpoints of these sizes."""
    edge = Edge()
    leaves = [leaf_hash(entry.leaf) for entry in entries]
    for part in parts(len(entries)):
        run = entries[part.start : part.stop]
        _put(folder / entries_path(*part), pack_entries([entry.leaf for entry in run]))
        _put(folder / data_path(*part), pack_data([data_line(entry.salt, entry.data) for entry in run]))
        edge, full = edge.extend(leaves[part.start : part.stop])
        for tile in full:
            _put(folder / tile.path, tile.to_bytes())
    for tile in edge.partials():
        _put(folder / tile.path, tile.to_bytes())
    for size in sizes:
        note = sign_checkpoint(Checkpoint(key.name, size, root(leaves[:size])), key)
        _put(folder / checkpoint_path(size), note)
    _put(folder / CHECKPOINT, note)


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


class Year(Chronicle):
    """A published period of two agencies, with everything that an audit looks at.

    To make it longer, each agency declares an item again, is appraised on it again, and has boxes of ballots emptied
    so many times more.
    """

    def __init__(
        self,
        alter: Alter | None = None,
        *,
        redeclared: int = 0,
        reappraised: int = 0,
        boxes: int = 0,
        revised: bool = False,
    ) -> None:
        super().__init__(alter)
        for service in SERVICES:
            self.open(f"{service}/{PERIOD}")
        self._submit(redeclared)
        self.checkpoint()
        self._survey(boxes)
        self._appraise(reappraised)
        self.checkpoint()
        self._publish()
        self.checkpoint()
        if revised:
            self._revise()
            self.checkpoint()

    @property
    def period(self) -> Period:
        """What the submission log says of the period."""
        return fold_period(Period(), self.logs[SUBMISSION])

    def _submit(self, redeclared: int) -> None:
        opening = PeriodOpening.model_validate(_opening())
        for event in decide_period(Standing(), OpenPeriod(opening, 0)):
            self.tell(SUBMISSION, "period", event)
        for agency in AGENCIES:
            stream = f"self-assessment/{agency}"
            for number in range(redeclared):
                self._declare(agency, "2.1", ("3.75", "3.5")[number % 2])
            for item, data in (("1.1.1", "2"), ("1.1.2", "2.5"), ("2.1", "3.75")):
                self._declare(agency, item, data)
            uploaded = EvidenceUploaded(
                agency=agency, items=("1.1.1",), sha256=SHA, size=len(PDF), media_type="application/pdf"
            )
            at = self.tell(SUBMISSION, stream, uploaded).position
            self.tell(SUBMISSION, stream, EvidenceNamed(agency=agency, of=at, name="Báo cáo.pdf"))
            self.tell(SUBMISSION, stream, SelfAssessmentApproved(agency=agency, digest="0" * 64))
            submitted = SelfAssessmentSubmitted(agency=agency, digest="0" * 64, items=(), total=Decimal("8.25"))
            self.tell(SUBMISSION, stream, submitted)
        self.evidence[SHA] = PDF

    def _declare(self, agency: str, item: str, points: str) -> None:
        declared = PointsDeclared(agency=agency, item=item, data=points, points=Decimal(points))
        self.tell(SUBMISSION, f"self-assessment/{agency}", declared)

    def _survey(self, boxes: int) -> None:
        closes = BEGIN + timedelta(days=1)
        period = self.period
        self._ask("period", survey.StartSurvey(PERIOD, 0, period))
        opening = survey.OpenCampaign("c", "central", BEGIN, closes, period, BEGIN, 1, published=False)
        self._ask("campaign/c", opening)
        for agency, ballots in zip(AGENCIES, (8, 12), strict=True):
            invited = survey.IssueInvitations("c", agency, "citizen-form", 20, period, BEGIN, published=False)
            self._ask("campaign/c", invited)
            for _ in range(boxes):
                of = {"campaign": "c", "agency": agency, "form": "citizen-form"}
                self.tell(SURVEY, "campaign/c", InvitationsIssued(count=9, **of), actor="survey")
                box = ResponsesRecorded(ballots=9, counts=_tally(9).counts, **of)
                self.tell(SURVEY, "campaign/c", box, actor="survey")
            self._ask("campaign/c", survey.RecordResponses("c", agency, "citizen-form", _tally(ballots)))
            self._ask("campaign/c", survey.CloseBox("c", agency, "citizen-form", _tally(5), closes))
            points = {"3.2": Decimal("1.5")}
            given = study.ImportStudy(agency, points, "15/BC", date(2024, 12, 1), "SIPAS", period, published=False)
            self._ask("studies", given)
        position = len(self.logs[SURVEY])
        self._ask("campaign/c", survey.CompleteCampaign("c", closes, position, published=False))

    def _ask(self, stream: str, command: survey.Command) -> None:
        returns = Returns()
        for entry in self.logs.get(SURVEY, ()):
            assert entry.event is not None
            returns = returns.evolve(entry.event)
        for event in survey.decide(returns, command):
            self.tell(SURVEY, stream, event, actor="survey")

    def _appraise(self, again: int) -> None:
        self.tell(APPRAISAL, "period", AppraisalStarted(period=PERIOD, of=0))
        members = (CHAIR, *(f"{number:032x}" for number in range(9)))
        self.tell(APPRAISAL, "period", CouncilSeated(chair=CHAIR, members=members))
        for agency in AGENCIES:
            stream, of = f"appraisal/{agency}", {"agency": agency}
            self.tell(APPRAISAL, stream, AgencyOpened(submitted=True, of=0, **of))
            values = [("2.1", "2")] * again + [("1.1.1", "2"), ("1.1.2", "2.5"), ("2.1", "3"), ("2.2", "1")]
            for item, points in values:
                value: dict[str, Any] = {"item": item, "data": points, "points": points, "reason_code": "as-declared"}
                at = self.tell(APPRAISAL, stream, ItemAppraised(recognised=False, **of, **value)).position
                self.tell(APPRAISAL, stream, AppraisalReasoned(item=item, of=at, reason="Theo hồ sơ", **of))
        tally = Tally(members=10, in_favour=6, against=3, abstained=1, in_writing=2)
        adjusted = CouncilAdjusted(
            agency="a-02",
            item="2.1",
            data="3.75",
            points=Decimal("3.75"),
            resolution="01/NQ-HĐTĐ",
            tally=tally,
            reason_code="as-declared",
        )
        at = self.tell(APPRAISAL, "appraisal/a-02", adjusted, actor=CHAIR).position
        reasoned = AdjustmentReasoned(agency="a-02", item="2.1", of=at, reason="Hội đồng thống nhất")
        self.tell(APPRAISAL, "appraisal/a-02", reasoned, actor=CHAIR)
        for agency in AGENCIES:
            self.tell(APPRAISAL, f"appraisal/{agency}", AgencyAppraised(agency=agency))
        seen = {log: len(self.logs[log]) for log in (SUBMISSION, SURVEY)}
        self.tell(APPRAISAL, "period", AppraisalFinalised(agencies=AGENCIES), seen=seen)

    def _publish(self) -> None:
        self.tell(SCORING, "index", ScoringStarted(period=PERIOD, of=0), actor="scoring")
        self._conclude({"decision": "12/QĐ-UBND", "dated": date(2025, 1, 20)})

    def _revise(self) -> None:
        """The council fixes an item anew under an opened revision; the result is published again."""
        of, dated = len(self.logs[SCORING]) - 1, date(2025, 3, 3)
        at = self.tell(SCORING, "index", RevisionOpened(of=of, decision="20/QĐ-UBND", dated=dated)).position
        self.tell(SCORING, "index", RevisionReasoned(of=at, reason="Khiếu nại có căn cứ"))
        tally = Tally(members=10, in_favour=8, against=1, abstained=1)
        adjusted = CouncilAdjusted(
            agency="a-02",
            item="2.1",
            data="1",
            points=Decimal(1),
            resolution="02/NQ-HĐTĐ",
            tally=tally,
            reason_code="as-declared",
        )
        self.tell(APPRAISAL, "appraisal/a-02", adjusted, actor=CHAIR)
        seen = {log: len(self.logs[log]) for log in (SUBMISSION, SURVEY)}
        self.tell(APPRAISAL, "period", AppraisalFinalised(agencies=AGENCIES), seen=seen)
        self._conclude({"decision": "21/QĐ-UBND", "dated": date(2025, 4, 1)}, revises=of)

    def _conclude(self, named: dict[str, Any], revises: int | None = None) -> None:
        result = self.result()
        consolidated = ResultConsolidated(
            by=OFFICER, formula=result.formula, heads=dict(result.heads), digest=result.digest
        )
        self.tell(SCORING, "index", consolidated)
        self.tell(SCORING, "index", ResultApproved(digest=result.digest, **named), actor=APPROVER)
        own, first = self.head(SCORING), len(self.logs[SCORING])
        cards = [CardPublished(agency=row.agency, row=row, card=result.cards[row.agency]) for row in result.table]
        told = [self.tell(SCORING, "index", card).event for card in cards]
        manifest = {
            "period": PERIOD,
            "formula": result.formula,
            "heads": {**result.heads, SCORING: own},
            "digest": result.digest,
            "count": len(cards),
            "first": first,
            "parts_digest": parts_digest([card for card in told if card is not None]),
            **named,
        }
        if revises is None:
            self.tell(SCORING, "index", IndexPublished.model_validate(manifest))
        else:
            self.tell(SCORING, "index", IndexRevised.model_validate({**manifest, "revises": revises}))

    def result(self) -> Result:
        """The result at the logs as they stand."""
        return replay(self.logs, {log: self.head(log) for log in (SUBMISSION, APPRAISAL, SURVEY)})


def _tally(ballots: int) -> FormTally:
    return FormTally(ballots, {"q1": {"a": ballots - 3, "b": 2, "c": 1}})


def _opening() -> dict[str, Any]:
    return {
        "period": PERIOD,
        "kind": "year",
        "name": {"vi": "Kỳ năm 2024", "en": "Year 2024"},
        "span": {"from": "2024-01-01", "to": "2024-12-31"},
        "deadlines": {"self-assessment": {"due": "2024-11-30T00:00+07:00"}},
        "explanation_days": "5",
        "appraised_points_visible_from": "2024-12-14T00:00+07:00",
        "retain_until": "2034-12-31",
        "council": {"members": "10"},
        "groups": [
            {
                "id": "central",
                "name": {"vi": "Cơ quan Trung ương"},
                "rubric": "pilot",
                "agencies": [{"id": agency, "name": {"vi": f"Cơ quan {agency}"}} for agency in AGENCIES],
            }
        ],
        "rubrics": [PILOT.model_dump(mode="json")],
    }
