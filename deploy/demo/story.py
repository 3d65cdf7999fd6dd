"""The story of the demonstration: a year-period from its opening to the published index, step by step."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from deploy.assessment import read_rows, send_rows
from deploy.client import Client
from deploy.demo import ballots, data, evidence
from deploy.demo.patience import again, together, until
from deploy.demo.people import FIELDS, People, members
from deploy.demo.screen import Screen, comma
from deploy.demo.system import System
from deploy.local import clock
from deploy.local.home import SERVICES
from deploy.local.stack import Stack
from shared.rubric import Agency, PeriodOpening

CAMPAIGN: Final = "survey-2024"
OPENING: Final = datetime.fromisoformat("2024-11-04T08:00+07:00")
"""Where the deployment's clock begins: the agencies have three weeks."""
CLOSED: Final = datetime.fromisoformat("2024-12-05T08:00+07:00")
"""After the last time of self-assessment."""
SURVEY: Final = ("2024-11-04T00:00+07:00", "2024-12-28T00:00+07:00")
"""The campaign's span, its end exclusive."""
COUNTED: Final = datetime.fromisoformat("2024-12-28T08:00+07:00")
COUNCIL: Final = datetime.fromisoformat("2025-01-16T08:00+07:00")
PUBLICATION: Final = datetime.fromisoformat("2025-02-14T08:00+07:00")
CORRECTIONS: Final = 3
"""Items of each agency whose data the appraisers correct."""
RAISED, LOWERED = "agency-03", "agency-02"
"""Whose item the council adjusts up, and down."""
LATER: Final = ("period-unknown", "group-unknown", "agency-unknown", "appraisal-not-open")
"""Refusals of a service that has not applied yet what another has accepted."""


class Story:
    """Plays the period of `opening` in a running stack; `folder` takes the agencies' files."""

    def __init__(self, stack: Stack, opening: PeriodOpening, people: People, screen: Screen, folder: Path) -> None:
        self.stack, self.opening, self.people, self.screen, self.folder = stack, opening, people, screen, folder
        [self.group] = opening.groups
        self.rubric = opening.rubric_of(self.group.id)
        self.period = opening.period
        self.trace = ""
        """The trace of one decision, from its request to the new index."""

    @property
    def agencies(self) -> tuple[Agency, ...]:
        """The agencies of the period's one group."""
        return self.group.agencies

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
        await self.publish()

    async def open(self) -> None:
        """The officer opens the period, names the appraisers and seats the council."""
        officer = await self.people.officer()
        await officer.post("submission", "/periods", self.opening.model_dump(mode="json", by_alias=True))
        self.screen.tell(
            f"Mở {self.opening.name.vi}: {len(self.rubric.leaves)} tiêu chí, {len(self.agencies)} cơ quan",
            f"the period is open: {len(self.rubric.leaves)} items, {len(self.agencies)} agencies",
        )
        council = members(self.opening.council.members)
        await self._seat("council", {"chair": council[0], "members": council})
        for subject, fields in FIELDS.items():
            await self._seat("appraisers", {"subject": subject, "group": self.group.id, "fields": fields})
        self.screen.tell(
            f"Lập Hội đồng {len(council)} người, phân công {len(FIELDS)} người thẩm định",
            f"a council of {len(council)} is seated, {len(FIELDS)} appraisers are assigned",
        )

    async def _seat(self, what: str, body: dict[str, Any]) -> None:
        officer = await self.people.officer()
        await again(lambda: officer.post("appraisal", f"/periods/{self.period}/{what}", body), LATER)

    async def assess(self) -> None:
        """Respondents answer while the agencies assess themselves, all at the same time."""
        by_hand = [self._by_hand(agency) for agency in self.agencies[:-1]]
        await together([self._survey(), *by_hand, self._by_system(self.agencies[-1])])
        await self._settle()

    async def _survey(self) -> None:
        officer = await self.people.survey_officer()
        opens, closes = SURVEY
        body = {"campaign": CAMPAIGN, "group": self.group.id, "opens": opens, "closes": closes}
        await again(lambda: officer.post("survey", f"/periods/{self.period}/campaigns", body), LATER)
        names = [agency.id for agency in self.agencies]
        samples = await ballots.invite(officer, self.period, CAMPAIGN, names, self.rubric)
        counted = await ballots.cast(self.stack.services, samples)
        groups = len(self.rubric.respondents)
        self.screen.tell(
            f"{counted:,} phiếu điều tra của {groups} nhóm đối tượng".replace(",", "."),
            f"{counted:,} ballots of {groups} respondent groups are cast",
        )

    async def _by_hand(self, agency: Agency) -> None:
        """The agency's clerk sends the agency's file, its head approves, it is submitted: over HTTP."""
        clerk = await self.people.clerk(agency.id)
        file = await asyncio.to_thread(evidence.write, self.rubric, agency, self.folder / agency.id)
        stands = await send_rows(clerk, self.period, agency.id, read_rows(file))
        await self._approve(agency, stands["digest"])
        await clerk.post("submission", self.here(agency.id, "/submission"), {"digest": stands["digest"]})
        self._submitted(agency, stands, "HTTP")

    async def _by_system(self, agency: Agency) -> None:
        """The agency's system sends the same by Kafka; its head still approves in person, over HTTP."""
        clerk, head = await self.people.clerk(agency.id), await self.people.head(agency.id)
        file = await asyncio.to_thread(evidence.write, self.rubric, agency, self.folder / agency.id)
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
        await self._forward(CLOSED)

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
            await self._correct(appraiser, agency.id, FIELDS[subject])
            for field in FIELDS[subject]:
                body = {"field": field, "reason": "Số liệu phù hợp với tài liệu kiểm chứng."}
                await appraiser.post("appraisal", self.here(agency.id, "/recognitions"), body)
            for code, value in data.direct(self.rubric, agency.id):
                if code.partition(".")[0] in FIELDS[subject]:
                    reason = "Chấm theo hồ sơ theo dõi trong năm."
                    await self._set(appraiser, agency.id, code, value, "appraised-directly", reason)

    async def _correct(self, appraiser: Client, agency: str, fields: tuple[str, ...]) -> None:
        reasons = {
            code: ("data-corrected", "Tài liệu kiểm chứng cho số liệu thấp hơn số kê khai.", value)
            for code, value in data.corrections(self.rubric, agency, CORRECTIONS).items()
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
        subject = next(each for each, fields in FIELDS.items() if code.partition(".")[0] in fields)
        appraiser, clerk = await self.people.appraiser(subject), await self.people.clerk(RAISED)
        asked = {
            "until": (CLOSED + timedelta(days=int(self.opening.explanation_days))).isoformat(),
            "reason_code": "evidence-insufficient",
            "question": "Đề nghị giải trình chênh lệch giữa số liệu kê khai và tài liệu kiểm chứng.",
        }
        request = await appraiser.post("appraisal", self.here(RAISED, f"/items/{code}/explanation-request"), asked)
        answer = {
            "text": "Tài liệu đã gửi chưa tính hồ sơ trực tuyến của tháng 12; số liệu kê khai là của cả năm.",
            "request": request["position"],
        }
        path = self.here(RAISED, f"/items/{code}/explanation")
        await again(lambda: clerk.put("submission", path, answer), ("request-unknown",))
        self.screen.tell(
            f"{self._name(RAISED)} giải trình mục {code} theo yêu cầu", f"item {code} is explained on request"
        )

    async def count_ballots(self) -> None:
        """The campaign's end passes; the survey officer completes it."""
        officer = await self.people.survey_officer()
        await self._forward(COUNTED)
        path = f"/periods/{self.period}/campaigns/{CAMPAIGN}/completion"
        await again(lambda: officer.post("survey", path), ("boxes-not-empty", "campaign-still-open"))
        self.screen.tell("Kết thúc điều tra xã hội học, kiểm phiếu xong", "the survey is completed and counted")

    async def adjust(self) -> None:
        """The council meets: one item up, one down; then every agency is closed and the appraisal final."""
        await self._forward(COUNCIL)
        held = {line.code: line.data for line in data.lines(self.rubric, RAISED)}
        raised = self._raised
        await self._resolve(RAISED, raised, held[raised], (8, 1, 1), "01/NQ-HĐTĐ", "Chấp nhận giải trình của cơ quan.")
        lowered, value = self._to_lower()
        await self._resolve(LOWERED, lowered, value, (7, 2, 1), "02/NQ-HĐTĐ", "Tính cả hồ sơ tiếp nhận trực tiếp.")
        self.screen.tell(
            f"Hội đồng điều chỉnh tăng mục {raised} và giảm mục {lowered} theo nghị quyết",
            f"the council has adjusted item {raised} up and item {lowered} down by resolution",
        )
        officer = await self.people.officer()
        await together(self._close(officer, agency) for agency in self.agencies)
        finalise = f"/periods/{self.period}/finalisation"
        await again(lambda: officer.post("appraisal", finalise), ("period-open",))  # the survey's end is on its way
        self.screen.tell("Khóa thẩm định", "the appraisal is final")
        await self._settle()

    async def _close(self, officer: Client, agency: Agency) -> None:
        # the answer to the request for explanation may be on its way
        await again(lambda: officer.post("appraisal", self.here(agency.id, "/closing")), ("leaf-open",))

    @property
    def _raised(self) -> str:
        """The item of `RAISED` that the appraisers correct, the agency explains and the council restores."""
        return next(iter(data.corrections(self.rubric, RAISED, CORRECTIONS)))

    def _name(self, agency: str) -> str:
        return next(each.name.vi for each in self.agencies if each.id == agency)

    def _to_lower(self) -> tuple[str, str]:
        """An item of the agency that the council lowers, which the appraisers had recognised, and its lower datum."""
        corrected = data.corrections(self.rubric, LOWERED, CORRECTIONS)
        more = data.corrections(self.rubric, LOWERED, CORRECTIONS + 1)
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
        await self._forward(PUBLICATION)
        waits = ("obstacles-remain", "log-incomplete", "result-outdated")
        await again(lambda: officer.post("scoring", f"{here}/consolidation"), waits)
        result = await approver.get("scoring", f"{here}/consolidation")
        body = {"digest": result["digest"], "decision": "615/QĐ-UBND", "dated": "2025-02-14"}
        await approver.post("scoring", f"{here}/approval", body)
        self.screen.tell(
            f"Tổng hợp và phê duyệt kết quả {result['digest'][:16]}… theo Quyết định 615/QĐ-UBND (minh họa)",
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
