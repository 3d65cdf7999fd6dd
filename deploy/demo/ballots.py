"""The respondents of the demonstration: invited by the survey officer, each casting one ballot."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from deploy.client import Client
from deploy.demo.data import LEANINGS, chance
from deploy.demo.patience import together
from shared.rubric import Form, Rubric
from shared.rubric.rules import Survey

EACH: Final = 170
"""Ballots of one form about one agency."""
SILENT: Final = 3
"""Per cent of the questions that are left out; as many are answered with what says nothing."""


class Ballot(NamedTuple):
    """An invitation's token and the option for each question; None where it is left out."""

    token: str
    answers: Mapping[str, str | None]


def answers(rubric: Rubric, form: Form, agency: str, number: int) -> dict[str, str | None]:
    """What the respondent of that number answers about an agency: better options the likelier, the more it is liked."""
    outside = {
        option for leaf in rubric.leaves.values() if isinstance(leaf.rule, Survey) for option in leaf.rule.outside
    }
    content = LEANINGS[agency] * 3 // 4
    given: dict[str, str | None] = {}
    for question in form.questions:
        scale = [option.id for option in question.options if option.id not in outside]
        mute = [option.id for option in question.options if option.id in outside]
        draw = chance(agency, form.id, number, question.id, below=100)
        if draw < SILENT:
            given[question.id] = None
        elif draw < 2 * SILENT and mute:
            given[question.id] = mute[0]
        else:
            given[question.id] = scale[_place(len(scale), content, (agency, form.id, number, question.id))]
    return given


def _place(levels: int, content: int, about: tuple[object, ...]) -> int:
    """A place on a scale from best to worst: each level is taken with a chance of `content` per cent, or passed by."""
    for place in range(levels - 1):
        if chance("taken", place, *about, below=100) < content:
            return place
    return levels - 1


async def invite(
    officer: Client, period: str, campaign: str, agencies: Sequence[str], rubric: Rubric, each: int = EACH
) -> list[list[Ballot]]:
    """Have invitations issued to each respondent group about each agency; `each` ballots; those of each sample."""
    path = f"/periods/{period}/campaigns/{campaign}/invitations"
    samples: list[list[Ballot]] = []
    for agency in agencies:
        for form in rubric.forms:
            body = {"agency": agency, "form": form.id, "count": each}
            tokens: list[str] = (await officer.post("survey", path, body))["tokens"]
            samples.append(
                [Ballot(token, answers(rubric, form, agency, number)) for number, token in enumerate(tokens)]
            )
    return samples


async def cast(urls: Mapping[str, str], samples: Sequence[Sequence[Ballot]]) -> int:
    """Cast them all, the samples at the same time; how many ballots were counted. No one signs in for that."""
    counted = 0

    async def respond(sample: Sequence[Ballot]) -> None:
        nonlocal counted
        async with Client(urls) as respondents:
            for ballot in sample:
                body = {"token": ballot.token, "answers": dict(ballot.answers)}
                answer = await respondents.post("survey", "/ballots", body)
                counted += bool(answer["cast"])

    await together(respond(sample) for sample in samples)
    return counted
