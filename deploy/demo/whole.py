"""The periods of `parindex demo --full`: six months without a survey, then the year with all that a period may have."""

from typing import Any, Final

from deploy.assessment import Row, send_file, send_rows
from deploy.client import Client
from deploy.demo import booth
from deploy.demo.ballots import Ballot, cast
from deploy.demo.meeting import Meeting
from deploy.demo.patience import again, together, until
from deploy.demo.people import members
from deploy.demo.story import CORRECTIONS, LATER, RAISED, Story

NO_SURVEY: Final = ("1530/QĐ-SNV", "2025-07-04")
"""The decision that the six months have no survey, and its date."""
EARLIER: Final = "2025-six-month"
TAKER: Final = "agency-02"
"""Who takes over declarations of the six months."""
TAKEN: Final = 5
"""How many items it takes over."""
ESTIMATED: Final = ("agency-01", "6.1.1")
"""A figure of the whole year that is declared before the year has ended, and confirmed later."""
ACCEPTED, ASKED_TWICE, SILENT = "agency-06", "agency-08", "agency-10"
"""Whose explanation convinces the appraiser, who is asked a second time, who does not answer."""
IN_FAVOUR: Final = (7, 4)
"""Votes for the proposal that is carried, and for the one that is lost."""
POSITIONS: Final = (
    "Phó Chủ tịch Ủy ban nhân dân Thành phố",
    "Giám đốc Sở Nội vụ",
    "Phó Giám đốc Sở Nội vụ",
    "Phó Chánh Văn phòng Ủy ban nhân dân Thành phố",
    "Phó Giám đốc Sở Tư pháp",
    "Phó Giám đốc Sở Tài chính",
    "Phó Giám đốc Sở Khoa học và Công nghệ",
    "Trưởng phòng Cải cách hành chính, Sở Nội vụ",
    "Đại diện Ủy ban Mặt trận Tổ quốc Việt Nam Thành phố",
    "Đại diện Viện Nghiên cứu phát triển kinh tế - xã hội",
)
"""The council's seats, made up for the demonstration: the chair's, the deputy's, the others'."""


class SixMonths(Story):
    """The six-month period: a decision says that no survey is held; the council adjusts nothing."""

    async def play(self) -> None:
        """All steps, in their order."""
        await self.open()
        await self.assess()
        await self.close_assessment()
        await self.appraise()
        await self._forward(self.plan.council)
        await self.finalise()
        await self.publish()

    async def survey(self) -> None:
        """No survey is held: the rubrics say what stands in for it."""
        officer = await self.people.officer()
        body = dict(zip(("decision", "dated"), NO_SURVEY, strict=True))
        await again(lambda: officer.post("survey", f"/periods/{self.period}/not-held", body), LATER)
        self.screen.tell(
            f"Không điều tra xã hội học trong kỳ theo Quyết định {NO_SURVEY[0]} (minh họa): điểm thẩm định quy về 100",
            "no survey is held, by a decision: the appraisal is scaled to 100",
        )


class WholeYear(Story):
    """The year: declarations taken over, ballots on paper and by a page, rounds of explanation, a voting council."""

    async def play(self) -> None:
        """All steps, in their order."""
        await self._forward(self.plan.opening)
        await super().play()

    @property
    def seats(self) -> dict[str, Any]:
        """The deputy, and the names that the council's papers bear."""
        subjects = members(self.opening.council.members)
        names = {
            subject: f"Thành viên {number:02d} (minh họa), {position}"
            for number, (subject, position) in enumerate(zip(subjects, POSITIONS, strict=True), 1)
        }
        return {"deputy": subjects[1], "names": names}

    async def declare(self, clerk: Client, agency: str, rows: list[Row]) -> dict[str, Any]:
        """As any agency; one takes over what it declared for the six months, one has a figure still estimated."""
        taken = await self._take_over(clerk, agency) if agency == TAKER else frozenset()
        stands = await send_rows(clerk, self.period, agency, [row for row in rows if row.code not in taken])
        if agency != ESTIMATED[0]:
            return stands
        body = {"data": self._held(*ESTIMATED), "estimated": True}
        await clerk.put("submission", self.here(agency, f"/items/{ESTIMATED[1]}"), body)
        after: dict[str, Any] = await clerk.get("submission", self.here(agency))
        return after

    async def _take_over(self, clerk: Client, agency: str) -> frozenset[str]:
        """Take over a few of the drafts that the six months offer, each seen, with its evidence; their items."""
        answer = await clerk.get("submission", self.here(agency, f"/drafts?from={EARLIER}"))
        judged = self._corrections(agency, CORRECTIONS + 1)
        fit = [
            draft
            for draft in answer["drafts"]
            if draft["evidence"] and draft["same_rule"] and draft["points"] and draft["item"] not in judged
        ]
        for draft in fit[:TAKEN]:
            body = {"data": draft["data"], "taken_from": draft["taken_from"]}
            await clerk.put("submission", self.here(agency, f"/items/{draft['item']}"), body)
        items = [draft["item"] for draft in fit[:TAKEN]]
        self.screen.tell(
            f"{self._name(agency)} kế thừa số liệu và tài liệu kỳ 6 tháng của các mục {', '.join(items)}",
            "data and evidence of the six months are taken over, item by item",
        )
        return frozenset(items)

    async def survey(self) -> None:
        """Most respondents answer online; of two groups some answer on paper, and one by the page of the QR code."""
        officer = await self.people.survey_officer()
        samples = await self._invite(officer)
        by_page, *samples[0] = samples[0]
        printed, samples = samples[-1], samples[:-1]
        counted = await cast(self.stack.services, samples)
        self.screen.tell(f"{counted} phiếu trực tuyến", f"{counted} ballots are cast online")
        await booth.fill_in(self.stack.services["survey"], by_page)
        self.screen.tell("1 phiếu gửi bằng trang mở từ mã QR", "one ballot is sent by the page that the QR code opens")
        await self._on_paper(officer, printed)

    async def _on_paper(self, officer: Client, printed: list[Ballot]) -> None:
        """Print tickets, key in the ballots that came back as CSV; a row at fault is named, mended and sent again."""
        campaign = self.plan.campaigns[self.groups[-1].id]
        here, agency = f"/periods/{self.period}/campaigns/{campaign}", self.groups[-1].agencies[-1].id
        form = self.opening.rubric_of(self.groups[-1].id).forms[-1].id
        shown = await officer.get("survey", here)
        papers = booth.Papers(self.folder / self.period, agency, form, printed)
        papers.print_tickets(shown, self.stack.services["survey"])
        first = await officer.post_file("survey", f"{here}/paper", *papers.keyed_in(fault=3))
        [fault] = first["errors"]
        where = f"dòng {fault['row']} ô {fault['cell']}: {fault['title_vi']}"
        self.screen.tell(
            f"{first['counted']} phiếu giấy nhập từ tệp CSV; {where}",
            f"{first['counted']} paper ballots are keyed in; row {fault['row']}: {fault['code']}",
        )
        second = await officer.post_file("survey", f"{here}/paper", *papers.mended(3))
        self.screen.tell(
            f"Sửa dòng lỗi, gửi lại: thêm {second['counted']} phiếu", "the row is mended and sent again: it counts"
        )

    async def close_assessment(self) -> None:
        """The step closes by itself; then the estimated figure is confirmed."""
        await super().close_assessment()
        agency, code = ESTIMATED
        clerk, body = await self.people.clerk(agency), {"data": self._held(agency, code)}
        declared = await clerk.put("submission", self.here(agency, f"/items/{code}"), body)
        officer, log = await self.people.officer(), f"submission/{self.period}"

        async def known() -> bool:
            heads = (await officer.get("appraisal", f"/periods/{self.period}"))["heads"]
            return bool(heads[log]["size"] > declared["position"])

        await until(known, "the appraisal does not hear of a declaration; see `parindex logs appraisal`")
        self.screen.tell(
            f"{self._name(agency)} xác nhận số liệu ước tính của mục {code}", "an estimated figure is confirmed"
        )

    async def explain(self) -> None:
        """The round of explanation: with a further file, convincing, asked twice, and without an answer."""
        await together([self._with_a_file(), self._convincing(), self._asked_twice(), self._unanswered()])

    async def _with_a_file(self) -> None:
        code, clerk = self._raised, await self.people.clerk(RAISED)
        request = await self._ask(RAISED, code)
        page = (self.folder / self.period / RAISED).glob("*.pdf")
        content = sorted(page)[0].read_bytes() + b"%% bo sung\n"

        async def send() -> None:
            name = f"Tài liệu bổ sung mục {code}.pdf"
            await send_file(clerk, self.here(RAISED), name, content, "application/pdf", [code])

        await again(send, ("already-submitted", "step-closed"))  # submission has not applied the request yet
        text = "Tài liệu đã gửi chưa tính hồ sơ trực tuyến; gửi kèm báo cáo bổ sung của cả năm."
        await self._answer(RAISED, code, request, text)
        self.screen.tell(
            f"{self._name(RAISED)} giải trình mục {code} kèm tài liệu bổ sung", "explained, with a further document"
        )

    async def _convincing(self) -> None:
        code = next(iter(self._corrections(ACCEPTED)))
        text = "Số liệu kê khai đã được đối chiếu với hệ thống của ngành, có xác nhận của đơn vị chủ quản."
        await self._answer(ACCEPTED, code, await self._ask(ACCEPTED, code), text)
        appraiser, held = await self._appraiser_of(code), self._held(ACCEPTED, code)
        words = "Giải trình có căn cứ, công nhận số liệu kê khai."
        await again(
            lambda: self._set(appraiser, ACCEPTED, code, held, "explanation-accepted", words), ("explanation-open",)
        )
        self.screen.tell(f"{self._name(ACCEPTED)}: giải trình mục {code} được chấp nhận", "an explanation is accepted")

    async def _asked_twice(self) -> None:
        code = next(iter(self._corrections(ASKED_TWICE)))
        for text in ("Số liệu lấy từ báo cáo năm.", "Báo cáo năm tính cả hồ sơ chuyển tiếp từ năm trước."):
            await self._answer(ASKED_TWICE, code, await self._ask(ASKED_TWICE, code), text)
        self.screen.tell(
            f"{self._name(ASKED_TWICE)} giải trình mục {code} hai vòng", "explained in two rounds, to no avail"
        )

    async def _unanswered(self) -> None:
        code = next(iter(self._corrections(SILENT)))
        await self._ask(SILENT, code)
        self.screen.tell(
            f"{self._name(SILENT)} được yêu cầu giải trình mục {code}", "asked too, and will not answer in time"
        )

    async def count_ballots(self) -> None:
        """The campaigns end; by then the request that nobody answered has closed by itself."""
        await super().count_ballots()
        clerk = await self.people.clerk(SILENT)

        async def settled() -> bool:
            answer = await clerk.get("appraisal", self.here(SILENT, "/explanation-requests"))
            return all(each["settled"] for each in answer["requests"])

        await until(settled, "the request for explanation does not close by itself; see `parindex logs submission`")
        self.screen.tell(
            f"Hết hạn giải trình: yêu cầu với {self._name(SILENT)} tự khóa, giữ điểm thẩm định",
            "the unanswered request has closed by itself",
        )

    @property
    def meeting(self) -> Meeting:
        """The council's session of the period."""
        return Meeting(self.people, self.screen, self.opening, self.plan)

    async def adjust(self) -> None:
        """The council meets and votes on two proposals: one is carried, one is lost."""
        await self._forward(self.plan.council)
        await self.meeting.call()
        code = self._raised
        await self.meeting.vote(self.agencies[RAISED], code, self._held(RAISED, code), IN_FAVOUR[0])
        code = next(iter(self._corrections(ASKED_TWICE)))
        await self.meeting.vote(self.agencies[ASKED_TWICE], code, self._held(ASKED_TWICE, code), IN_FAVOUR[1])

    async def accept(self) -> None:
        """The council accepts the result and rises."""
        await self.meeting.accept()
        await self.meeting.rise()
