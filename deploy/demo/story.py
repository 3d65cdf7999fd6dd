"""The story of a demonstrated period, from its opening to the published index, step by step."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from deploy.assessment import Row, read_rows, send_rows
from deploy.client import Client
from deploy.demo import ballots, data, evidence
from deploy.demo.patience import again, together, until
from deploy.demo.people import FIELDS, People, members
from deploy.demo.plan import Plan
from deploy.demo.screen import Screen, comma
from deploy.demo.system import System
from deploy.local import clock
from deploy.local.home import SERVICES
from deploy.local.stack import Stack
from shared.rubric import Agency, PeriodOpening, Rubric

CORRECTIONS: Final = 3
"""Items of each agency whose data the appraisers correct."""
RAISED, LOWERED = "agency-03", "agency-02"
"""Whose item the council adjusts up, and down."""
LATER: Final = ("period-unknown", "group-unknown", "agency-unknown", "appraisal-not-open")
"""Refusals of a service that has not applied yet what another has accepted."""


class Story:
    """Plays the period of `opening` in a running stack, as planned; `folder` takes the agencies' files."""

    def __init__(
        self, stack: Stack, opening: PeriodOpening, plan: Plan, people: People, screen: Screen, folder: Path
    ) -> None:
        self.stack, self.opening, self.plan = stack, opening, plan
        self.people, self.screen, self.folder = people, screen, folder
        self.period, self.groups = opening.period, opening.groups
        self.agencies = {agency.id: agency for group in opening.groups for agency in group.agencies}
        self.trace = ""
        """The trace of one decision, from its request to the new index."""

    def rubric(self, agency: str) -> Rubric:
        """The rubric of an agency's group."""
        group = next(group for group in self.groups if agency in {each.id for each in group.agencies})
        return self.opening.rubric_of(group.id)

    def here(self, agency: str, rest: str = "") -> str:
        """An agency's path at the services."""
        return f"/periods/{self.period}/agencies/{agency}{rest}"

    async def play(self) -> None:
        """All steps, in their order."""
        await self.open()
        await self.assess()
        await self.close_assessment()
        await self.appraise()
        await self.explain()
        await self.count_ballots()
        await self.adjust()
        await self.finalise()
        await self.publish()

    async def open(self) -> None:
        """The officer opens the period, names the appraisers and seats the council."""
        officer = await self.people.officer()
        await officer.post("submission", "/periods", self.opening.model_dump(mode="json", by_alias=True))
        sizes = " + ".join(str(len(self.opening.rubric_of(group.id).leaves)) for group in self.groups)
        self.screen.tell(
            f"Mở {self.opening.name.vi}: {sizes} tiêu chí, {len(self.agencies)} cơ quan",
            f"the period is open: {sizes} items, {len(self.agencies)} agencies",
        )
        council = members(self.opening.council.members)
        await self._seat("council", {"chair": council[0], "members": council, **self.seats})
        for group in self.groups:
            for subject, fields in FIELDS.items():
                await self._seat("appraisers", {"subject": subject, "group": group.id, "fields": fields})
        self.screen.tell(
            f"Lập Hội đồng {len(council)} người, phân công {len(FIELDS)} người thẩm định",
            f"a council of {len(council)} is seated, {len(FIELDS)} appraisers are assigned",
        )

    @property
    def seats(self) -> dict[str, Any]:
        """What else is said of the council's seats."""
        return {}

    async def _seat(self, what: str, body: dict[str, Any]) -> None:
        officer = await self.people.officer()
        await again(lambda: officer.post("appraisal", f"/periods/{self.period}/{what}", body), LATER)

    async def assess(self) -> None:
        """Respondents answer while the agencies assess themselves, all at the same time."""
        await together([self.survey(), *map(self.self_assess, self.agencies.values())])
        await self._settle()

    def self_assess(self, agency: Agency) -> Coroutine[Any, Any, None]:
        """An agency assesses itself: the last one of the first group by its system, the others by hand."""
        systems = self.groups[0].agencies[-1:]
        return self._by_system(agency) if agency in systems else self._by_hand(agency)

    async def survey(self) -> None:
        """A campaign for each group: respondents are invited, and cast their ballots."""
        officer = await self.people.survey_officer()
        counted = await ballots.cast(self.stack.services, await self._invite(officer))
        groups = sum(len(self.opening.rubric_of(group).respondents) for group in self.plan.campaigns)
        self.screen.tell(
            f"{counted:,} phiếu điều tra của {groups} nhóm đối tượng".replace(",", "."),
            f"{counted:,} ballots of {groups} respondent groups are cast",
        )

    async def _invite(self, officer: Client) -> list[list[ballots.Ballot]]:
        """Open each group's campaign and invite; a sample of ballots to cast for each agency and form."""
        samples = []
        opens, closes = (instant.isoformat() for instant in self.plan.survey)
        for group in self.groups:
            name, rubric = self.plan.campaigns[group.id], self.opening.rubric_of(group.id)
            body = {"campaign": name, "group": group.id, "opens": opens, "closes": closes}
            await again(lambda: officer.post("survey", f"/periods/{self.period}/campaigns", body), LATER)  # noqa: B023
            agencies = [agency.id for agency in group.agencies]
            samples += await ballots.invite(officer, self.period, name, agencies, rubric, self.plan.ballots)
        return samples

    def _write(self, agency: Agency) -> Path:
        """The agency's file with its documents, written."""
        rubric, folder, plan = self.rubric(agency.id), self.folder / self.period / agency.id, self.plan
        return evidence.write(rubric, agency, folder, plan.shift, plan.documents)

    async def _by_hand(self, agency: Agency) -> None:
        """The agency's clerk sends the agency's file, its head approves, it is submitted: over HTTP."""
        clerk = await self.people.clerk(agency.id)
        file = await asyncio.to_thread(self._write, agency)
        stands = await self.declare(clerk, agency.id, read_rows(file))
        await self._approve(agency, stands["digest"])
        await clerk.post("submission", self.here(agency.id, "/submission"), {"digest": stands["digest"]})
        self._submitted(agency, stands, "HTTP")

    async def declare(self, clerk: Client, agency: str, rows: list[Row]) -> dict[str, Any]:
        """Declare what the agency's file says; the self-assessment as it then stands."""
        return await send_rows(clerk, self.period, agency, rows)

    async def _by_system(self, agency: Agency) -> None:
        """The agency's system sends the same by Kafka; its head still approves in person, over HTTP."""
        clerk, head = await self.people.clerk(agency.id), await self.people.head(agency.id)
        file = await asyncio.to_thread(self._write, agency)
        async with System.connect(self.stack.kafka, agency.id, self.period) as system:
            await system.declare(read_rows(file), clerk)
            stands = await head.get("submission", self.here(agency.id))
            await self._approve(agency, stands["digest"])
            await system.submit(stands["digest"])
            self._submitted(agency, stands, f"Kafka, {system.receipts} biên nhận / receipts")

    async def _approve(self, agency: Agency, digest: str) -> None:
        head = await self.people.head(agency.id)
        await head.post("submission", self.here(agency.id, "/approval"), {"digest": digest})

    def _submitted(self, agency: Agency, stands: dict[str, Any], door: str) -> None:
        self.screen.tell(
            f"{agency.name.vi} nộp báo cáo tự đánh giá {comma(stands['total'])} điểm, "
            f"{len(stands['evidence'])} tài liệu ({door})",
            f"{agency.name.en} has submitted",
        )

    async def close_assessment(self) -> None:
        """The last time passes: the step closes by itself."""
        officer = await self.people.officer()
        await self._forward(self.plan.closed)

        async def closed() -> bool:
            return bool((await officer.get("submission", f"/periods/{self.period}"))["closed"])

        await until(closed, "self-assessment does not close by itself; see `parindex logs submission`")
        self.screen.tell("Hết hạn tự đánh giá, hệ thống tự khóa", "the step of self-assessment has closed by itself")

    async def appraise(self) -> None:
        """Each appraiser judges the own fields of every agency; then the items without a declaration."""
        await together(self._judge(subject) for subject in FIELDS)
        self.screen.tell(
            f"Thẩm định xong: mỗi cơ quan {CORRECTIONS} số liệu được điều chỉnh, "
            "1 đề nghị không áp dụng được chấp nhận, 1 bị từ chối",
            f"appraised: {CORRECTIONS} corrections for each agency, one claim accepted, one refused",
        )
        await self._settle()

    async def _judge(self, subject: str) -> None:
        appraiser = await self.people.appraiser(subject)
        for agency in self.agencies:
            await self._correct(appraiser, agency, FIELDS[subject])
            for field in FIELDS[subject]:
                body = {"field": field, "reason": "Số liệu phù hợp với tài liệu kiểm chứng."}
                await appraiser.post("appraisal", self.here(agency, "/recognitions"), body)
            for code, value in data.direct(self.rubric(agency), agency, self.plan.shift):
                if code.partition(".")[0] in FIELDS[subject]:
                    reason = "Chấm theo hồ sơ theo dõi trong kỳ."
                    await self._set(appraiser, agency, code, value, "appraised-directly", reason)

    async def _correct(self, appraiser: Client, agency: str, fields: tuple[str, ...]) -> None:
        reasons = {
            code: ("data-corrected", "Tài liệu kiểm chứng cho số liệu thấp hơn số kê khai.", value)
            for code, value in self._corrections(agency).items()
        }
        if agency == data.REFUSED[0]:
            reason = "Báo cáo kiểm toán của năm trước còn kiến nghị phải thực hiện trong kỳ."
            reasons[data.REFUSED[1]] = ("not-applicable-refused", reason, data.REFUSED_DATA)
        for code, (reason_code, reason, value) in reasons.items():
            if code.partition(".")[0] in fields:
                await again(lambda: self._set(appraiser, agency, code, value, reason_code, reason), LATER)  # noqa: B023

    async def _set(self, appraiser: Client, agency: str, code: str, value: str, reason_code: str, reason: str) -> None:
        body = {"data": value, "reason_code": reason_code, "reason": reason}
        answer = await appraiser.send("appraisal", "PUT", self.here(agency, f"/items/{code}/appraisal"), body)
        self.trace = answer.headers["traceresponse"].split("-")[1]

    async def explain(self) -> None:
        """An appraiser asks an agency to explain the item that it corrected; the agency answers in time."""
        code = self._raised
        text = "Tài liệu đã gửi chưa tính hồ sơ trực tuyến của tháng 12; số liệu kê khai là của cả năm."
        await self._answer(RAISED, code, await self._ask(RAISED, code), text)
        self.screen.tell(
            f"{self._name(RAISED)} giải trình mục {code} theo yêu cầu", f"item {code} is explained on request"
        )

    async def _appraiser_of(self, code: str) -> Client:
        """Whom the item's field is assigned to."""
        subject = next(each for each, fields in FIELDS.items() if code.partition(".")[0] in fields)
        return await self.people.appraiser(subject)

    async def _ask(self, agency: str, code: str) -> int:
        """The appraiser asks for an explanation, once an earlier one is settled; the request's position."""
        appraiser = await self._appraiser_of(code)
        body = {
            "until": (self.plan.closed + timedelta(days=int(self.opening.explanation_days))).isoformat(),
            "reason_code": "evidence-insufficient",
            "question": "Đề nghị giải trình chênh lệch giữa số liệu kê khai và tài liệu kiểm chứng.",
        }
        path = self.here(agency, f"/items/{code}/explanation-request")
        request = await again(lambda: appraiser.post("appraisal", path, body), ("explanation-open",))
        return int(request["position"])

    async def _answer(self, agency: str, code: str, request: int, text: str) -> None:
        """The agency answers a request."""
        clerk, body = await self.people.clerk(agency), {"text": text, "request": request}
        path = self.here(agency, f"/items/{code}/explanation")
        await again(lambda: clerk.put("submission", path, body), ("request-unknown",))

    async def count_ballots(self) -> None:
        """The campaigns' end passes; the survey officer completes them."""
        officer = await self.people.survey_officer()
        await self._forward(self.plan.counted)
        for campaign in self.plan.campaigns.values():
            path = f"/periods/{self.period}/campaigns/{campaign}/completion"
            await again(lambda: officer.post("survey", path), ("boxes-not-empty", "campaign-still-open"))  # noqa: B023
        self.screen.tell("Kết thúc điều tra xã hội học, kiểm phiếu xong", "the survey is completed and counted")

    async def adjust(self) -> None:
        """The council meets: one item up, one down."""
        await self._forward(self.plan.council)
        raised = self._raised
        await self._resolve(
            RAISED, raised, self._held(RAISED, raised), (8, 1, 1), "01/NQ-HĐTĐ", "Chấp nhận giải trình của cơ quan."
        )
        lowered, value = self._to_lower()
        await self._resolve(LOWERED, lowered, value, (7, 2, 1), "02/NQ-HĐTĐ", "Tính cả hồ sơ tiếp nhận trực tiếp.")
        self.screen.tell(
            f"Hội đồng điều chỉnh tăng mục {raised} và giảm mục {lowered} theo nghị quyết",
            f"the council has adjusted item {raised} up and item {lowered} down by resolution",
        )

    async def finalise(self) -> None:
        """Every agency is closed, and the appraisal declared final."""
        officer = await self.people.officer()
        await together(self._close(officer, agency) for agency in self.agencies)
        await self.accept()
        finalise = f"/periods/{self.period}/finalisation"
        await again(lambda: officer.post("appraisal", finalise), ("period-open",))  # the survey's end is on its way
        self.screen.tell("Khóa thẩm định", "the appraisal is final")
        await self._settle()

    async def accept(self) -> None:
        """What the council does once every agency is closed: nothing where the period does not ask for it."""

    async def _close(self, officer: Client, agency: str) -> None:
        # the answer to the request for explanation may be on its way
        await again(lambda: officer.post("appraisal", self.here(agency, "/closing")), ("leaf-open",))

    def _corrections(self, agency: str, count: int = CORRECTIONS) -> dict[str, str]:
        """The items that appraisers correct, with the data that they find; more of them give the same ones first."""
        return data.corrections(self.rubric(agency), agency, count, self.plan.shift)

    def _held(self, agency: str, code: str) -> str:
        """What the agency declares of an item."""
        return next(line.data for line in data.lines(self.rubric(agency), agency, self.plan.shift) if line.code == code)

    @property
    def _raised(self) -> str:
        """The item of `RAISED` that the appraisers correct, the agency explains and the council restores."""
        return next(iter(self._corrections(RAISED)))

    def _name(self, agency: str) -> str:
        return self.agencies[agency].name.vi

    def _to_lower(self) -> tuple[str, str]:
        """An item of the agency that the council lowers, which the appraisers had recognised, and its lower datum."""
        corrected, more = self._corrections(LOWERED), self._corrections(LOWERED, CORRECTIONS + 1)
        [code] = more.keys() - corrected.keys()
        return code, more[code]

    async def _resolve(
        self, agency: str, code: str, value: str, votes: tuple[int, int, int], resolution: str, reason: str
    ) -> None:
        chair = await self.people.chair()
        tally = dict(zip(("in_favour", "against", "abstained"), votes, strict=True))
        body = {
            "data": value,
            "resolution": resolution,
            "tally": {"members": self.opening.council.members, "in_writing": 0, **tally},
            "reason_code": "council-resolution",
            "reason": reason,
        }
        await chair.put("appraisal", self.here(agency, f"/items/{code}/adjustment"), body)

    async def publish(self) -> None:
        """Consolidated by the officer, approved by another person, published once the archive holds the heads."""
        officer, approver = await self.people.officer(), await self.people.approver()
        here = f"/periods/{self.period}"
        await self._forward(self.plan.publication)
        waits = ("obstacles-remain", "log-incomplete", "result-outdated")
        await again(lambda: officer.post("scoring", f"{here}/consolidation"), waits)
        result = await approver.get("scoring", f"{here}/consolidation")
        dated = self.plan.publication.date().isoformat()
        body = {"digest": result["digest"], "decision": self.plan.decision, "dated": dated}
        await approver.post("scoring", f"{here}/approval", body)
        self.screen.tell(
            f"Tổng hợp và phê duyệt kết quả {result['digest'][:16]}… theo Quyết định {self.plan.decision} (minh họa)",
            "consolidated, and approved by another person (an illustrative decision)",
        )
        await again(lambda: officer.post("scoring", f"{here}/publication"), waits)
        self.screen.tell("Công bố Chỉ số", "the index is published, with the heads it was computed from")

    async def archived(self) -> None:
        """Wait until the archive holds every log as it now stands, the publication with it."""
        anyone = await self.people.anyone()

        async def whole() -> bool:
            reports = [await anyone.get(service, "/health/progress") for service in SERVICES]
            return all(log["archived"] == log["size"] for report in reports for log in report["logs"])

        await until(whole, "the logs are not archived; see `parindex status`")

    async def _settle(self) -> None:
        """Let the table come to where the logs stand."""
        officer = await self.people.officer()
        sizes: dict[str, int] = {}
        for service in ("submission", "appraisal", "survey"):
            heads = (await officer.get(service, f"/periods/{self.period}"))["heads"]
            sizes |= {log: max(sizes.get(log, 0), head["size"]) for log, head in heads.items()}
        await self.screen.reach(sizes)

    async def _forward(self, instant: datetime) -> None:
        await clock.forward([self.stack.owner_url(service) for service in SERVICES], instant)
        self.screen.tell(f"Đồng hồ: {instant:%d-%m-%Y}", "the deployment's clock goes on")
