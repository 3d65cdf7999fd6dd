"""The Appraisal Council of the demonstration meets: members vote on proposals, accept the result, and rise."""

from typing import Final

from deploy.client import Client
from deploy.demo.patience import again
from deploy.demo.people import People, members
from deploy.demo.plan import Plan
from deploy.demo.screen import Screen
from shared.rubric import Agency, PeriodOpening

SESSION: Final = "meeting-1"
RESOLUTION: Final = "01/NQ-HĐTĐ"
ABSTAINED: Final = 1
"""Members who abstain in each vote; the last one votes in writing."""


class Meeting:
    """One session of a period's council."""

    def __init__(self, people: People, screen: Screen, opening: PeriodOpening, plan: Plan) -> None:
        self._people, self._screen, self._plan = people, screen, plan
        self._members = members(opening.council.members)
        self._here = f"/periods/{opening.period}"
        self._session = f"{self._here}/council/sessions/{SESSION}"

    async def call(self) -> None:
        """The officer calls the session."""
        day = self._plan.council.date()
        body = {"session": SESSION, "held_on": day.isoformat(), "place": "Phòng họp Sở Nội vụ (minh họa)"}
        await (await self._people.officer()).post("appraisal", f"{self._here}/council/sessions", body)
        self._screen.tell(f"Hội đồng thẩm định họp ngày {day:%d-%m-%Y}", "the Appraisal Council meets")

    async def vote(self, agency: Agency, code: str, value: str, in_favour: int) -> None:
        """The officer proposes to restore what the agency declared; each member votes, the chair closes the vote."""
        officer, chair = await self._people.officer(), await self._people.chair()
        words = "Đề nghị Hội đồng xem xét số liệu kê khai sau giải trình."
        proposal = {
            "session": SESSION,
            "item": code,
            "data": value,
            "reason_code": "council-resolution",
            "reason": words,
        }
        answer = await officer.post("appraisal", f"{self._here}/agencies/{agency.id}/proposals", proposal)
        path = f"{self._here}/agencies/{agency.id}/proposals/{answer['position']}"
        for number, subject in enumerate(self._members):
            choice = "for" if number < in_favour else "abstained" if number < in_favour + ABSTAINED else "against"
            member: Client = await self._people.member(subject)
            body = {"choice": choice, "in_writing": subject == self._members[-1]}
            await member.put("appraisal", f"{path}/vote", body)
        reason = "Hội đồng thống nhất theo kết quả biểu quyết."
        await chair.post("appraisal", f"{path}/decision", {"resolution": RESOLUTION, "reason": reason})
        against = len(self._members) - in_favour - ABSTAINED
        carried = in_favour * 2 > len(self._members)
        self._screen.tell(
            f"Biểu quyết mục {code} của {agency.name.vi}: "
            f"{in_favour} tán thành, {against} không tán thành, {ABSTAINED} không ý kiến: "
            + ("thông qua" if carried else "không thông qua"),
            f"the proposal is {'carried' if carried else 'lost'}",
        )

    async def accept(self) -> None:
        """The council accepts the result of appraisal and survey."""
        chair, day = await self._people.chair(), self._plan.council.date().isoformat()
        tally = {"members": len(self._members), "in_favour": len(self._members), "against": 0, "abstained": 0}
        body = {"resolution": "02/NQ-HĐTĐ", "dated": day, "tally": tally}
        # the survey's end is on its way
        await again(lambda: chair.post("appraisal", f"{self._session}/decision", body), ("period-open",))
        self._screen.tell("Hội đồng thông qua kết quả thẩm định, điều tra", "the council accepts the result")

    async def rise(self) -> None:
        """The officer ends the session; all were there but who voted in writing."""
        body = {"resolution": RESOLUTION, "present": self._members[:-1]}
        await (await self._people.officer()).post("appraisal", f"{self._session}/closing", body)
