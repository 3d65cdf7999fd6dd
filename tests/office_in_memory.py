"""A period's four logs in memory, and the people who may write to them: rules without database, bus and clock."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from deploy.routes import routes
from services.appraisal import appraisal, council
from services.appraisal.views import Filed, fold_filed
from services.scoring import index
from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.replay import Result, replay
from services.scoring.scorecard import SCORED, States, before
from services.submission import period as periods
from services.submission import self_assessment
from services.survey import campaign
from shared.access import Role
from shared.decider import Decider, Rejected
from shared.events import Entry, Event, canonical, data_hash, encode, instant
from shared.events.appraisal import ExplanationRequested, Tally
from shared.events.scoring import Head, IndexPublished
from shared.period import Period, fold
from shared.returns import Returns
from shared.returns import fold as fold_returns
from shared.rubric import FormTally, PeriodOpening
from shared.tlog.merkle import leaf_hash, root
from tests.cast import AGENCIES, BEGIN, LAST, MEMBERS, OPENING, PERIOD, RUBRIC, SERVICES_THEMSELVES, Person, actor

ROLES: Final = {(each.service, each.method, each.path.removeprefix("/periods/{period}")): each for each in routes()}
ABOUT: Final = "/agencies/{agency}"
EVERY: Final = ("*",)


def assessment_of(agency: str) -> str:
    """The stream of an agency's self-assessment."""
    return f"self-assessment/{agency}"


class Office:
    """The four logs, the clock, and every command as its door gives it to its decider."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Entry]] = {f"{service}/{PERIOD}": [] for service in SERVICES_THEMSELVES}
        self.time = BEGIN
        self.refusals = set[str]()
        opening = PeriodOpening.model_validate(OPENING)
        self.run(
            periods.DECIDER, "submission", periods.STREAM, lambda at: periods.OpenPeriod(opening, at), actor("officer")
        )
        self.run(council.DECIDER, "appraisal", council.STREAM, lambda _: council.Start(PERIOD, 0), "appraisal", EVERY)
        start = campaign.StartSurvey(PERIOD, 0, self.period)
        self.run(campaign.DECIDER, "survey", campaign.PERIOD_STREAM, lambda _: start, "survey", EVERY)
        self.run(index.DECIDER, "scoring", index.STREAM, lambda _: index.Start(PERIOD, 0), "scoring")

    def log(self, service: str) -> list[Entry]:
        """A service's log of the period."""
        return self.logs[f"{service}/{PERIOD}"]

    def run(
        self,
        decider: Decider[Any, Any, Any],
        service: str,
        stream: str,
        command: Callable[[int], Any],
        actor: str,
        reads: Sequence[str] = (),
        seen: Mapping[str, int] | None = None,
    ) -> str | None:
        """Decide a command on the state of its streams and append what it means; the code of a refusal."""
        log, state = self.log(service), decider.initial
        for entry in log:
            event = entry.event
            if event is not None and not event.erasable and (reads is EVERY or entry.stream in {stream, *reads}):
                state = decider.evolve(state, event)
        asked = command(len(log))
        try:
            events = decider.decide(state, asked)
        except Rejected as refused:
            self.refusals.add(refused.code)
            return refused.code
        assert [encode(event) for event in decider.decide(state, asked)] == [encode(event) for event in events]
        for event in events:
            self._append(service, stream, event, actor, seen)
        return None

    def _append(
        self, service: str, stream: str, event: Event, actor: str, seen: Mapping[str, int] | None = None
    ) -> None:
        name, log = f"{service}/{PERIOD}", self.log(service)
        salt, data = bytes(32), encode(event)
        header = {
            "specversion": "1.0",
            "datacontenttype": "application/json",
            "source": f"parindex.test/{name}",
            "type": event.type,
            "id": f"{name}-{len(log)}",
            "subject": stream,
            "time": instant(self.time),
            "position": str(len(log)),
            "version": str(1 + sum(entry.stream == stream for entry in log)),
            "actor": actor,
            "causationid": "0" * 32,
            "datahash": data_hash(salt, data),
        }
        if seen is not None:
            header["seen"] = " ".join(f"{other}@{size}" for other, size in sorted(seen.items()))
        log.append(Entry(name, len(log), canonical(header), salt, data))

    def door(self, who: Person, service: str, method: str, path: str, agency: str | None = None) -> bool:
        """Whether the route's guard lets a person in, and the token speaks for the agency where it must."""
        route = ROLES[service, method, path]
        own = route.roles <= {Role.AGENCY, Role.AGENCY_HEAD}
        return bool(who.roles & route.roles) and (not own or who.agency == agency)

    # what the logs say

    @property
    def period(self) -> Period:
        """The period as the submission log states it."""
        return fold(Period(), self.log("submission"))

    @property
    def filed(self) -> Filed:
        """What agencies filed, as the appraisal reads it."""
        return fold_filed(Filed(), self.log("submission"))

    @property
    def returns(self) -> Returns:
        """The survey as its log states it."""
        return fold_returns(Returns(), self.log("survey"))

    @property
    def published(self) -> IndexPublished | None:
        """The published index."""
        found = [entry.event for entry in self.log("scoring") if isinstance(entry.event, IndexPublished)]
        return found[0] if found else None

    @property
    def states(self) -> States:
        """The three scored logs, folded."""
        return States.of({service: before(service).fold(service, self.log(service)) for service in SCORED})

    def cards(self) -> dict[str, str]:
        """Each agency's card as it stands, to the byte."""
        states, rules = self.states, FORMULAS[CURRENT]
        return {agency: rules.card(states, agency, False).model_dump_json() for agency in AGENCIES}

    def head(self, service: str, size: int) -> Head:
        """The head of a log at a size."""
        return Head(size=size, root=root([leaf_hash(entry.leaf) for entry in self.log(service)[:size]]).hex())

    def result(self) -> Result | None:
        """The result at the heads that the last finalising sets; None before one."""
        finalised = self.states.appraisal.finalised
        if finalised is None:
            return None
        sizes = index.head_sizes(PERIOD, finalised)
        heads = {log: self.head(log.partition("/")[0], size) for log, size in sizes.items()}
        return replay(self.logs, heads)

    # what an agency does

    def _assess(self, kind: type[Any], agency: str, actor: str, **data: Any) -> str | None:
        published = self.published is not None

        def command(at: int) -> Any:
            return kind(agency=agency, time=self.time, position=at, published=published, **data)

        stream = assessment_of(agency)
        return self.run(self_assessment.DECIDER, "submission", stream, command, actor, self_assessment.READS)

    @property
    def requests(self) -> self_assessment.Requests:
        """The requests for explanation by their position."""
        return {
            entry.position: self_assessment.Request(event.agency, event.item, event.until)
            for entry in self.log("appraisal")
            if isinstance(event := entry.event, ExplanationRequested)
        }

    def declare(self, who: Person, agency: str, item: str, data: str | None) -> str | None:
        """Declare an item, or claim that it does not apply."""
        if not self.door(who, "submission", "PUT", f"{ABOUT}/items/{{item}}", agency):
            return "role-missing"
        if data is None:
            return self._assess(self_assessment.ClaimNotApplicable, agency, who.actor, item=item, reason="Không có.")
        return self._assess(self_assessment.Declare, agency, who.actor, item=item, data=data)

    def explain(self, who: Person, agency: str, item: str, request: int | None) -> str | None:
        """Explain an item, or answer a request."""
        if not self.door(who, "submission", "PUT", f"{ABOUT}/items/{{item}}/explanation", agency):
            return "role-missing"
        more = {"request": request, "requests": self.requests, "text": "Theo báo cáo."}
        return self._assess(self_assessment.Explain, agency, who.actor, item=item, **more)

    def prove(self, who: Person, agency: str, items: tuple[str, ...], content: bytes) -> str | None:
        """Record a document."""
        if not self.door(who, "submission", "POST", f"{ABOUT}/evidence", agency):
            return "role-missing"
        file = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "media_type": "application/pdf"}
        more = {**file, "name": "a.pdf", "requests": self.requests}
        return self._assess(self_assessment.RecordEvidence, agency, who.actor, items=items, **more)

    def digest(self, agency: str) -> str:
        """The digest of an agency's self-assessment as it stands."""
        state = self_assessment.DECIDER.initial
        for entry in self.log("submission"):
            event = entry.event
            if entry.stream == assessment_of(agency) and event is not None and not event.erasable:
                state = self_assessment.DECIDER.evolve(state, event)
        return self_assessment.digest(state)

    def approve(self, who: Person, agency: str, digest: str) -> str | None:
        """The head approves what the digest names."""
        if not self.door(who, "submission", "POST", f"{ABOUT}/approval", agency):
            return "role-missing"
        return self._assess(self_assessment.Approve, agency, who.actor, digest=digest)

    def submit(self, who: Person, agency: str) -> str | None:
        """Submit what stands."""
        if not self.door(who, "submission", "POST", f"{ABOUT}/submission", agency):
            return "role-missing"
        return self._assess(self_assessment.Submit, agency, who.actor)

    def close_step(self, who: Person) -> str | None:
        """An officer closes the step of self-assessment."""
        if not self.door(who, "submission", "POST", "/closing"):
            return "role-missing"
        return self._close_step(who.actor)

    def _close_step(self, actor: str) -> str | None:
        def command(_: int) -> Any:
            return periods.CloseSelfAssessment(self.time)

        streams = [assessment_of(agency) for agency in AGENCIES]
        return self.run(periods.DECIDER, "submission", periods.STREAM, command, actor, streams)

    def wait(self, hours: int) -> None:
        """Time passes, and the clock closes what is due."""
        self.time += timedelta(hours=hours)
        if self.time >= LAST and self.period.closed is None:
            self._close_step("submission")
        for position, request in self.requests.items():
            if self.time >= request.until:
                more = {"request": position, "requests": self.requests}
                self._assess(self_assessment.CloseExplanation, request.agency, "submission", **more)

    def react(self) -> None:
        """The appraisal opens the agencies that have submitted, or whose step was closed without."""
        closed = self.period.closed
        for entry in list(self.log("submission")):
            for agency in AGENCIES:
                submitted = entry.type.endswith("self-assessment-submitted.v1") and agency in entry.stream
                without = closed is not None and entry.event is closed and agency in closed.not_submitted
                if submitted or without:
                    self._open_appraisal(appraisal.Open(agency=agency, submitted=submitted, of=entry.position))

    def _open_appraisal(self, command: appraisal.Open) -> None:
        self._on_agency(command.agency, lambda _: command, "appraisal")

    # what appraisers and the council do

    def _case(self, agency: str, actor: str, at: int) -> appraisal.Case:
        filed = self.filed
        return appraisal.Case(
            actor=actor,
            agency=agency,
            group="central",
            time=self.time,
            position=at,
            rubric=filed.period.rubric_of(agency),
            council=filed.period.the_opened().council,
            declared=filed.of(agency).declared,
            answered=filed.of(agency).answered,
            published=self.published is not None,
        )

    def _on_agency(self, agency: str, command: Callable[[int], Any], actor: str) -> str | None:
        stream = appraisal.stream(agency)
        return self.run(appraisal.DECIDER, "appraisal", stream, command, actor, (council.STREAM,))

    def recognise(self, who: Person, agency: str, field: str) -> str | None:
        """Recognise all remaining items of a field."""
        if not self.door(who, "appraisal", "POST", f"{ABOUT}/recognitions"):
            return "role-missing"

        def command(at: int) -> appraisal.Recognise:
            case = self._case(agency, who.actor, at)
            return appraisal.Recognise(
                case=case, items=(), in_field=field, judged={}, reason_code="as-declared", reason="Phù hợp."
            )

        return self._on_agency(agency, command, who.actor)

    def appraise(self, who: Person, agency: str, item: str, data: str | None) -> str | None:
        """Correct an item."""
        if not self.door(who, "appraisal", "PUT", f"{ABOUT}/items/{{item}}/appraisal"):
            return "role-missing"

        def command(at: int) -> appraisal.Appraise:
            return appraisal.Appraise(
                case=self._case(agency, who.actor, at),
                item=item,
                data=data,
                not_applicable=data is None,
                judged=None,
                reason_code="data-corrected",
                reason="Theo hồ sơ.",
            )

        return self._on_agency(agency, command, who.actor)

    def flag(self, who: Person, agency: str, item: str, hours: int) -> str | None:
        """Ask the agency to explain an item."""
        if not self.door(who, "appraisal", "POST", f"{ABOUT}/items/{{item}}/explanation-request"):
            return "role-missing"

        def command(at: int) -> appraisal.RequestExplanation:
            return appraisal.RequestExplanation(
                case=self._case(agency, who.actor, at),
                item=item,
                until=self.time + timedelta(hours=hours),
                reason_code="data-corrected",
                question="Căn cứ nào?",
            )

        return self._on_agency(agency, command, who.actor)

    def adjust(self, who: Person, agency: str, item: str, data: str | None, in_favour: int) -> str | None:
        """Enter a resolution of the council."""
        if not self.door(who, "appraisal", "PUT", f"{ABOUT}/items/{{item}}/adjustment"):
            return "role-missing"

        def command(at: int) -> appraisal.Adjust:
            return appraisal.Adjust(
                case=self._case(agency, who.actor, at),
                item=item,
                data=data,
                not_applicable=data is None,
                resolution="01/NQ",
                tally=Tally(members=len(MEMBERS), in_favour=in_favour, against=0, abstained=0),
                reason_code="data-corrected",
                reason="Hội đồng thống nhất.",
            )

        return self._on_agency(agency, command, who.actor)

    def close_agency(self, who: Person, agency: str) -> str | None:
        """Close an agency's appraisal."""
        if not self.door(who, "appraisal", "POST", f"{ABOUT}/closing"):
            return "role-missing"
        return self._on_agency(agency, lambda at: appraisal.Close(self._case(agency, who.actor, at)), who.actor)

    def _on_period(self, who: Person, path: str, kind: type[Any], **data: Any) -> str | None:
        if not self.door(who, "appraisal", "POST", path):
            return "role-missing"
        published = self.published is not None
        seen = {f"{service}/{PERIOD}": len(self.log(service)) for service in ("submission", "survey")}

        def command(_: int) -> Any:
            return kind(period=self.period, published=published, **data)

        return self.run(council.DECIDER, "appraisal", council.STREAM, command, who.actor, EVERY, seen)

    def assign(self, who: Person, appraiser: str, *fields: str) -> str | None:
        """Assign an appraiser to fields."""
        more = {"appraiser": actor(appraiser), "group": "central", "fields": fields}
        return self._on_period(who, "/appraisers", council.AssignAppraiser, **more)

    def seat(self, who: Person, chair: str) -> str | None:
        """Seat the council."""
        members = tuple(map(actor, dict.fromkeys((chair, *MEMBERS))))[: len(MEMBERS)]
        return self._on_period(who, "/council", council.SeatCouncil, chair=actor(chair), members=members)

    def finalise(self, who: Person) -> str | None:
        """Declare the appraisal final."""
        cases = {agency: self._case(agency, who.actor, 0) for agency in AGENCIES}
        surveyed = frozenset(each for each in AGENCIES if self.returns.complete_for(each, RUBRIC))
        return self._on_period(who, "/finalisation", council.Finalise, cases=cases, surveyed=surveyed)

    # what the survey does

    def _survey(self, stream: str, actor: str, kind: type[Any], **data: Any) -> str | None:
        def command(at: int) -> Any:
            here = {"position": at} if kind in (campaign.OpenCampaign, campaign.CompleteCampaign) else {}
            return kind(**here, **data)

        return self.run(campaign.DECIDER, "survey", stream, command, actor, EVERY)

    def open_campaign(self, who: Person, hours: int) -> str | None:
        """Open a campaign over the group from now on."""
        if not self.door(who, "survey", "POST", "/campaigns"):
            return "role-missing"
        span = {"opens": self.time, "closes": self.time + timedelta(hours=hours), "time": self.time}
        more = {"campaign": "c", "group": "central", "period": self.period, "published": self.published is not None}
        return self._survey("campaign/c", who.actor, campaign.OpenCampaign, **span, **more)

    def ballots(self, agency: str, yes: int, no: int) -> str | None:
        """A box gives up its ballots: while the campaign is open to a timer, afterwards all that is left."""
        tally = FormTally(yes + no, {"q1": {"a": yes, "b": no}})
        own = {"campaign": "c", "agency": agency, "form": "citizen-form", "tally": tally}
        found = self.returns.campaigns.get("c")
        if found is not None and self.time >= found.opened.closes:
            if found.completed:
                return "campaign-completed"  # no box is left: `complete` waits until they are empty
            return self._survey("campaign/c", "survey", campaign.CloseBox, time=self.time, **own)
        return self._survey("campaign/c", "survey", campaign.RecordResponses, **own)

    def complete(self, who: Person) -> str | None:
        """Complete the campaign."""
        if not self.door(who, "survey", "POST", "/campaigns/{name}/completion"):
            return "role-missing"
        more = {"campaign": "c", "time": self.time, "published": self.published is not None}
        return self._survey("campaign/c", who.actor, campaign.CompleteCampaign, **more)

    def study(self, who: Person, agency: str, points: Mapping[str, str]) -> str | None:
        """Enter an existing study."""
        if not self.door(who, "survey", "PUT", "/studies/{agency}"):
            return "role-missing"
        more = {"document": "15/BC", "dated": BEGIN.date(), "source": "SIPAS", "period": self.period}
        values = {code: Decimal(text) for code, text in points.items()}
        published = self.published is not None
        return self._survey(
            "studies", who.actor, campaign.ImportStudy, agency=agency, points=values, published=published, **more
        )

    # what the index needs

    def _on_index(self, actor: str, command: Callable[[int], index.Command]) -> str | None:
        return self.run(index.DECIDER, "scoring", index.STREAM, command, actor)

    def situation(self) -> index.Situation:
        """What a decision on the index rests on, the archive holding everything."""
        archived = {log: len(entries) for log, entries in self.logs.items()}
        return index.Situation(PERIOD, self.states, self.time, frozenset(), archived)

    def consolidate(self, who: Person) -> str | None:
        """Consolidate the result."""
        if not self.door(who, "scoring", "POST", "/consolidation"):
            return "role-missing"
        return self._on_index(who.actor, lambda _: index.Consolidate(who.actor, self.situation(), self.result()))

    def decide_result(self, who: Person, digest: str) -> str | None:
        """Approve the consolidated result by its digest."""
        if not self.door(who, "scoring", "POST", "/approval"):
            return "role-missing"
        return self._on_index(who.actor, lambda _: index.Approve(who.actor, digest, "12/QĐ-UBND", BEGIN.date()))

    def publish(self, who: Person) -> str | None:
        """Publish the approved result."""
        if not self.door(who, "scoring", "POST", "/publication"):
            return "role-missing"

        def command(at: int) -> index.Publish:
            return index.Publish(self.situation(), self.result(), self.head("scoring", at), at)

        return self._on_index(who.actor, command)
