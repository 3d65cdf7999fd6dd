"""An office: the people of one period, who play it over HTTP with their own tokens."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import httpx

from deploy.assessment import send_file
from deploy.client import Client, Refused
from deploy.local import clock
from deploy.local.home import SERVICES
from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, AgencyGroup, Label, Mode, PeriodFile, PeriodOpening, Rubric, load_rubric, opening
from tests.conftest import ROOT

T = TypeVar("T")
SECONDS: Final = 60.0
"""How long another service may take to apply, or the archive to hold, what was accepted."""
PAUSE: Final = 0.1
LATER: Final = frozenset(
    {
        "agency-unknown",
        "appraisal-not-open",
        "declaration-changed",
        "group-unknown",
        "log-incomplete",
        "nothing-declared",
        "nothing-remaining",
        "period-unknown",
        "result-outdated",
    }
)
"""Refusals of a service that may not have applied yet what another has accepted."""
MEMBERS: Final = 3
RUBRICS: Final = ROOT / "deploy" / "rubrics"
SMALL: Final = Path(__file__).with_name("small.yaml")


def rubric(path: Path) -> Rubric:
    """The rubric of a file."""
    return load_rubric(path.read_text(encoding="utf-8"))


async def until(holds: Callable[[], Awaitable[T]], seconds: float = SECONDS) -> T:
    """What it gives once that is true of anything; fails after so many seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not (found := await holds()):
        assert loop.time() < end, f"still not so after {seconds:g} s"
        await asyncio.sleep(PAUSE)
    return found


async def patient(work: Callable[[], Awaitable[T]], passing: Callable[[Refused], bool]) -> T:
    """What the work gives once it is no more refused for a passing reason; the last refusal after `SECONDS`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    while True:
        try:
            return await work()
        except Refused as refused:
            if not passing(refused) or loop.time() > end:
                raise
        await asyncio.sleep(PAUSE)


def not_applied_yet(refused: Refused) -> bool:
    """Whether a later moment alone may mend it: a service is behind, or the archive."""
    if refused.code == "obstacles-remain":
        return _only(refused, "heads-not-archived")
    return refused.code in LATER


class Office:
    """Everyone who takes part in the period of `opening`. Each call is one step that a person takes.

    Subjects are unlike those of any other period, so that no role or seat of another one counts here.
    """

    def __init__(self, stack: Stack, opening: PeriodOpening) -> None:
        self.stack, self.opening, self.period = stack, opening, opening.period
        self.groups = {agency.id: group for group in opening.groups for agency in group.agencies}
        self._clients: dict[tuple[Role | None, str | None, str], Client] = {}
        self._open = AsyncExitStack()
        self.http = httpx.AsyncClient(timeout=30)
        """For requests that are like no person's."""

    @classmethod
    async def plan(
        cls, stack: Stack, story: str, *groups: tuple[str, Rubric, Sequence[Agency]], **changes: Any
    ) -> Self:
        """A period of its own for a story, not open yet: its step of self-assessment ends in a week.

        `groups` are (id, rubric, agencies); `changes` replace fields of the period's file.
        """
        now = await clock.now(stack.owner_url("submission"))
        file = {
            "period": f"{story}-{secrets.token_hex(3)}",
            "kind": "year",
            "name": Label(vi=f"Kỳ {story}", en=f"Period {story}"),
            "span": {"from": "2024-01-01", "to": "2024-12-31"},
            "deadlines": {"self-assessment": {"due": now + timedelta(days=7)}},
            "explanation_days": 5,
            "appraised_points_visible_from": now + timedelta(days=30),
            "retain_until": (now + timedelta(days=60)).date(),
            "council": {"members": MEMBERS},
            "groups": [
                AgencyGroup(id=name, name=Label(vi=name, en=name), rubric=each.id, agencies=tuple(agencies))
                for name, each, agencies in groups
            ],
        }
        rubrics = {each.id: each for _, each, _ in groups}
        return cls(stack, opening(PeriodFile.model_validate({**file, **changes}), rubrics))

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self.http)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    def subject(self, role: str) -> str:
        """A person of this period, as a token's `sub`."""
        return f"{self.period}-{role}"

    async def by(self, role: Role | None, agency: str | None = None, name: str = "") -> Client:
        """The client of who has that role (and agency); of someone without a token for None."""
        key = (role, agency, name)
        if key not in self._clients:
            token = None if role is None else self.token(role, agency, name)
            self._clients[key] = await self._open.enter_async_context(Client(self.stack.services, token))
        return self._clients[key]

    def token(self, role: Role, agency: str | None = None, name: str = "") -> str:
        """The token of who has that role; `name` where it is not the one person of that role and agency."""
        return self.stack.token(self.subject(name or f"{role}-{agency or ''}"), [role], agency)

    def here(self, agency: str = "", rest: str = "") -> str:
        """The period's path at every service, or an agency's."""
        return f"/periods/{self.period}" + (f"/agencies/{agency}" if agency else "") + rest

    async def open(self) -> None:
        """Open the period, seat its council and assign one appraiser to every field."""
        await self.begin()
        await self.seat()
        for group in self.opening.groups:
            await self.assign(group.id, *(field.code for field in self.opening.rubric_of(group.id).fields))

    async def begin(self) -> None:
        """Open the period; scoring then knows it, and has begun its own log."""
        officer = await self.by(Role.OFFICER)
        await officer.post("submission", "/periods", self.opening.model_dump(mode="json", by_alias=True))
        await self._later(officer.get, "scoring", self.here(rest="/obstacles"))

    async def seat(self) -> None:
        """Seat the council: a chair and two members."""
        members = [self.subject("chair"), *(self.subject(f"member-{number}") for number in range(1, MEMBERS))]
        body = {"chair": members[0], "members": members}
        await self._later((await self.by(Role.OFFICER)).post, "appraisal", self.here(rest="/council"), body)

    async def assign(self, group: str, *fields: str, role: Role = Role.APPRAISER, name: str = "") -> None:
        """Assign an appraiser, or a monitor, to fields of a group."""
        body = {"subject": self.subject(name or f"{role}-"), "group": group, "fields": fields}
        await self._later((await self.by(Role.OFFICER)).post, "appraisal", self.here(rest=f"/{role}s"), body)

    async def declare(self, agency: str, item: str, data: str) -> dict[str, Any]:
        """Declare one item's data."""
        clerk = await self.by(Role.AGENCY, agency)
        answer: dict[str, Any] = await clerk.put("submission", self.here(agency, f"/items/{item}"), {"data": data})
        return answer

    async def submit(self, agency: str) -> None:
        """The head approves what stands, and it is submitted."""
        head, clerk = await self.by(Role.AGENCY_HEAD, agency), await self.by(Role.AGENCY, agency)
        digest = {"digest": (await head.get("submission", self.here(agency)))["digest"]}
        await head.post("submission", self.here(agency, "/approval"), digest)
        await clerk.post("submission", self.here(agency, "/submission"), digest)

    async def assess(self, agency: str, data: Mapping[str, str]) -> None:
        """A whole self-assessment: each item declared, one document for all of them, approved and submitted."""
        for item, value in data.items():
            await self.declare(agency, item, value)
        clerk, report = await self.by(Role.AGENCY, agency), f"%PDF-1.4 {self.period} {agency}".encode()
        await send_file(clerk, self.here(agency), "Báo cáo.pdf", report, "application/pdf", list(data))
        await self.submit(agency)

    async def assess_all(self, table: Mapping[str, Mapping[str, str]]) -> None:
        """All agencies of the table assess themselves at the same time; then the officer closes the step."""
        async with asyncio.TaskGroup() as together:
            for agency, data in table.items():
                together.create_task(self.assess(agency, data))
        officer = await self.by(Role.OFFICER)
        await officer.post("submission", self.here(rest="/closing"))

    async def recognise(self, agency: str, *items: str) -> None:
        """The appraiser recognises these items as declared, or all that an agency declares."""
        leaves = self.opening.rubric_of(self.groups[agency].id).leaves.values()
        declared = [leaf.code for leaf in leaves if leaf.mode is Mode.SELF_ASSESSED]
        body = {"items": items or declared, "reason": "Phù hợp với tài liệu kiểm chứng."}
        appraiser = await self.by(Role.APPRAISER)
        await self._later(appraiser.post, "appraisal", self.here(agency, "/recognitions"), body)

    async def correct(self, agency: str, item: str, data: str, code: str = "data-corrected") -> dict[str, Any]:
        """The appraiser sets an item's data."""
        appraiser = await self.by(Role.APPRAISER)
        body = {"data": data, "reason_code": code, "reason": "Theo tài liệu kiểm chứng."}
        path = self.here(agency, f"/items/{item}/appraisal")
        answer: dict[str, Any] = await self._later(appraiser.put, "appraisal", path, body)
        return answer

    async def ask(self, agency: str, item: str, before: datetime) -> int:
        """The appraiser asks the agency to explain an item; the request's position."""
        appraiser = await self.by(Role.APPRAISER)
        body = {"until": before.isoformat(), "reason_code": "data-corrected", "question": "Căn cứ nào?"}
        path = self.here(agency, f"/items/{item}/explanation-request")
        return int((await self._later(appraiser.post, "appraisal", path, body))["position"])

    async def answer(self, agency: str, item: str, request: int) -> None:
        """The agency answers a request, once the submission service knows it."""
        clerk = await self.by(Role.AGENCY, agency)
        body = {"text": "Theo báo cáo quý IV.", "request": request}
        path = self.here(agency, f"/items/{item}/explanation")
        await patient(lambda: clerk.put("submission", path, body), lambda refused: refused.code == "request-unknown")

    async def adjust(self, agency: str, item: str, data: str) -> None:
        """The council sets an item's data: two of its three members in favour."""
        chair = await self.by(Role.COUNCIL_CHAIR, name="chair")
        body = {
            "data": data,
            "resolution": "01/NQ-HĐTĐ",
            "tally": {"members": MEMBERS, "in_favour": 2, "against": 1, "abstained": 0, "in_writing": 0},
            "reason_code": "council-resolution",
            "reason": "Hội đồng thống nhất theo hồ sơ.",
        }
        await self._later(chair.put, "appraisal", self.here(agency, f"/items/{item}/adjustment"), body)

    async def study(self, agency: str, points: Mapping[str, str]) -> None:
        """The survey officer enters an existing study's points by item."""
        officer = await self.by(Role.SURVEY_OFFICER)
        body = {
            "points": dict(points),
            "document": "1007/QĐ-UBND",
            "dated": "2020-04-24",
            "source": "Điều tra xã hội học của tỉnh",
        }
        await self._later(officer.put, "survey", self.here(rest=f"/studies/{agency}"), body)

    async def campaign(self, name: str, group: str, lasts: timedelta) -> datetime:
        """Open a campaign over a group from now on; when it closes."""
        officer, now = await self.by(Role.SURVEY_OFFICER), await self.now()
        body = {"campaign": name, "group": group, "opens": now.isoformat(), "closes": (now + lasts).isoformat()}
        await self._later(officer.post, "survey", self.here(rest="/campaigns"), body)
        return now + lasts

    async def ballots(self, campaign: str, agency: str, form: str, filled: Sequence[Mapping[str, str | None]]) -> None:
        """Invite a respondent for each filled form; each casts it."""
        officer, anyone = await self.by(Role.SURVEY_OFFICER), await self.by(None)
        path = self.here(rest=f"/campaigns/{campaign}/invitations")
        issued = await officer.post("survey", path, {"agency": agency, "form": form, "count": len(filled)})
        for token, answers in zip(issued["tokens"], filled, strict=True):
            await anyone.post("survey", "/ballots", {"token": token, "answers": dict(answers)})

    async def complete(self, campaign: str) -> None:
        """Complete a campaign that has closed."""
        officer = await self.by(Role.SURVEY_OFFICER)
        path = self.here(rest=f"/campaigns/{campaign}/completion")
        await patient(lambda: officer.post("survey", path), lambda refused: refused.code == "boxes-not-empty")

    async def close(self, *agencies: str) -> None:
        """The officer closes the appraisal of these agencies, or of all, once the clock has closed what it closes."""
        officer = await self.by(Role.OFFICER)
        for agency in agencies or self.groups:
            call = partial(officer.post, "appraisal", self.here(agency, "/closing"))
            await patient(call, lambda refused: refused.code == "leaf-open" and _only(refused, "explanation-open"))

    async def finalise(self) -> None:
        """The officer declares the appraisal final once the appraisal knows that the survey is complete; scoring then
        knows it too."""
        officer = await self.by(Role.OFFICER)
        path = self.here(rest="/finalisation")
        call = partial(officer.post, "appraisal", path)
        final = await patient(call, lambda refused: refused.code == "period-open" and _only(refused, "survey-open"))
        await self.applied(final)

    async def consolidate(self) -> dict[str, Any]:
        """The officer consolidates the result once the archive holds its heads; the result."""
        officer = await self.by(Role.OFFICER)
        await self._later(officer.post, "scoring", self.here(rest="/consolidation"))
        result: dict[str, Any] = await officer.get("scoring", self.here(rest="/consolidation"))
        return result

    async def approve(self, digest: str, same_person: bool = False) -> None:
        """Another person approves exactly that result; or the officer tries to, who has that role too."""
        approver = await self.by(Role.APPROVER, name=f"{Role.OFFICER}-" if same_person else "")
        body = {"digest": digest, "decision": "12/QĐ-UBND", "dated": "2025-01-20"}
        await approver.post("scoring", self.here(rest="/approval"), body)

    async def publish(self) -> dict[str, Any]:
        """The officer publishes the approved result once the archive holds the approval; what anyone then reads."""
        officer = await self.by(Role.OFFICER)
        await self._later(officer.post, "scoring", self.here(rest="/publication"))
        return await self.published()

    async def conclude(self) -> dict[str, Any]:
        """From a whole appraisal to the published index."""
        await self.close()
        await self.finalise()
        await self.approve((await self.consolidate())["digest"])
        return await self.publish()

    async def published(self) -> dict[str, Any]:
        """The published index, read without a token."""
        answer: dict[str, Any] = await (await self.by(None)).get("scoring", f"/published/{self.period}")
        return answer

    async def card(self, agency: str) -> dict[str, Any]:
        """An agency's card as the officer sees it."""
        answer: dict[str, Any] = await (await self.by(Role.OFFICER)).get("scoring", self.here(agency, "/card"))
        return answer

    async def obstacles(self) -> frozenset[tuple[str, ...]]:
        """What holds the consolidation up: (code, place, item) of each, without what the archive alone will settle."""
        answer = await (await self.by(Role.OFFICER)).get("scoring", self.here(rest="/obstacles"))
        return frozenset(
            tuple(each[name] for name in ("code", "place", "item") if name in each)
            for each in answer["consolidation"]
            if each["code"] != "heads-not-archived"
        )

    async def applied(self, accepted: Mapping[str, Any]) -> None:
        """Wait until scoring has applied what another service answered that it accepted."""
        officer = await self.by(Role.OFFICER)

        async def known() -> bool:
            heads = (await officer.get("scoring", self.here(rest="/table")))["heads"]
            return bool(heads[accepted["log"]]["size"] > accepted["position"])

        await until(known)

    async def now(self) -> datetime:
        """What the deployment's clock says."""
        return await clock.now(self.stack.owner_url("submission"))

    async def forward(self, instant: datetime) -> None:
        """Move the deployment's clock on to the instant."""
        await clock.forward([self.stack.owner_url(service) for service in SERVICES], instant)

    async def _later(self, call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return await patient(lambda: call(*args), not_applied_yet)


def _only(refused: Refused, code: str) -> bool:
    return {error["code"] for error in refused.problem["errors"]} == {code}
