"""Once the index is published, nothing that it rests on may move."""

from typing import Any

import pytest
import pytest_asyncio

from deploy.client import Refused
from shared.access import Role
from tests.flow import vinh_phuc
from tests.flow.office import MEMBERS, Office, until

AGENCY = vinh_phuc.BANK
REASON = {"reason_code": "data-corrected", "reason": "Theo hồ sơ."}
TALLY = {"members": MEMBERS, "in_favour": 3, "against": 0, "abstained": 0, "in_writing": 0}
ADJUSTMENT = {"data": "0", "resolution": "02/NQ", "tally": TALLY, **REASON}
STUDY = {"points": {"9.1": "1"}, "document": "1", "dated": "2020-04-24", "source": "x"}
CASES: list[tuple[Role, str, str, str, Any]] = [
    (Role.AGENCY, "PUT", "submission", f"/agencies/{AGENCY}/items/1.2", {"data": "1"}),
    (Role.AGENCY, "PUT", "submission", f"/agencies/{AGENCY}/items/1.2/explanation", {"text": "x"}),
    (Role.AGENCY, "POST", "submission", f"/agencies/{AGENCY}/submission", {}),
    (Role.APPRAISER, "POST", "appraisal", f"/agencies/{AGENCY}/recognitions", {"field": "1", "reason": "x"}),
    (Role.APPRAISER, "PUT", "appraisal", f"/agencies/{AGENCY}/items/1.2/appraisal", {"data": "1", **REASON}),
    (Role.COUNCIL_CHAIR, "PUT", "appraisal", f"/agencies/{AGENCY}/items/1.2/adjustment", ADJUSTMENT),
    (Role.OFFICER, "POST", "appraisal", "/finalisation", None),
    (Role.SURVEY_OFFICER, "PUT", "survey", f"/studies/{AGENCY}", STUDY),
]


@pytest_asyncio.fixture(scope="module", autouse=True)
async def everyone_knows(published: Office) -> None:
    """The publication stops the other services once they have applied it."""
    entry = (await published.published())["entry"]

    async def applied() -> bool:
        sizes = []
        for service in ("submission", "appraisal", "survey"):
            answer = await published.http.get(f"{published.stack.services[service]}/health/progress")
            sizes += [log["size"] for log in answer.json()["follows"] if log["log"] == entry["log"]]
        return len(sizes) == 3 and min(sizes) > entry["position"]

    await until(applied)


@pytest.mark.parametrize(("role", "method", "service", "path", "body"), CASES)
async def test_a_command_that_a_score_rests_on_is_refused_after_publication(
    published: Office, role: Role, method: str, service: str, path: str, body: Any
) -> None:
    agency = AGENCY if role is Role.AGENCY else None
    client = await published.by(role, agency, "chair" if role is Role.COUNCIL_CHAIR else "")
    with pytest.raises(Refused) as refused:
        await client.send(service, method, published.here() + path, body)
    assert refused.value.code == "period-published"
