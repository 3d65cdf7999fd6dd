"""The people of the demonstration: each an opaque subject with roles, a token of the local issuer, and a client."""

from contextlib import AsyncExitStack
from typing import Final, Self

from deploy.client import Client
from deploy.local.stack import Stack
from shared.access import Role

FIELDS: Final = {
    "appraiser-1": ("1", "2", "9"),
    "appraiser-2": ("3", "4"),
    "appraiser-3": ("5", "6"),
    "appraiser-4": ("7", "8"),
}
"""The appraisers, and the fields of the rubric that each is assigned to."""


def members(count: int) -> list[str]:
    """The subjects of a council of that size; the first one is the chair."""
    return [f"council-{number:02d}" for number in range(1, count + 1)]


class People:
    """Everyone who takes part; a client is made at its first use and closed with the others."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._clients: dict[str, Client] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def officer(self) -> Client:
        """The officer of Sở Nội vụ who leads the period."""
        return await self._of("officer-1", Role.OFFICER)

    async def approver(self) -> Client:
        """Who approves the result for the People's Committee: another person than the officer."""
        return await self._of("approver-1", Role.APPROVER)

    async def survey_officer(self) -> Client:
        """Who holds the survey."""
        return await self._of("survey-officer-1", Role.SURVEY_OFFICER)

    async def chair(self) -> Client:
        """The chair of the Appraisal Council."""
        return await self._of(members(1)[0], Role.COUNCIL_CHAIR)

    async def member(self, subject: str) -> Client:
        """One of the council's members, the chair among them."""
        return await self._of(subject, Role.COUNCIL_CHAIR if subject == members(1)[0] else Role.COUNCIL)

    async def appraiser(self, subject: str) -> Client:
        """One of the appraisers in `FIELDS`."""
        return await self._of(subject, Role.APPRAISER)

    async def clerk(self, agency: str) -> Client:
        """Who fills in an agency's self-assessment."""
        return await self._of(f"clerk-{agency}", Role.AGENCY, agency)

    async def head(self, agency: str) -> Client:
        """An agency's head, who approves its self-assessment."""
        return await self._of(f"head-{agency}", Role.AGENCY_HEAD, agency)

    async def anyone(self) -> Client:
        """Someone without a token, who reads the published index."""
        return await self._of("")

    async def _of(self, subject: str, role: Role | None = None, agency: str | None = None) -> Client:
        if subject not in self._clients:
            token = None if role is None else self._stack.token(subject, [role], agency)
            self._clients[subject] = await self._open.enter_async_context(Client(self._stack.services, token))
        return self._clients[subject]
