"""One trace leads from a request through ledger, relay, Kafka and follower to the new index."""

from typing import Any

from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from tests.flow.office import SMALL, Office, rubric, until

ROUTE = "put /periods/{period}/agencies/{agency}/items/{item}"
PATH = {
    ("submission", "SERVER", ROUTE),
    ("submission", "PRODUCER", "relay send"),
    ("submission", None, "ledger append"),
    ("scoring", "CONSUMER", "follower apply"),
    ("scoring", None, "index compute"),
}


async def test_a_request_is_one_trace_through_ledger_relay_and_follower(stack: Stack) -> None:
    groups = ("central", rubric(SMALL), [Agency(id="north", name=Label(vi="north"))])
    async with await Office.plan(stack, "traces", groups) as office:
        await office.open()
        clerk = await office.by(Role.AGENCY, "north")
        answer = await clerk.send("submission", "PUT", office.here("north", "/items/1.1"), {"data": "20"})
        _, trace, span, _ = answer.headers["traceresponse"].split("-")
        spans: list[dict[str, Any]] = []

        async def whole() -> bool:
            nonlocal spans
            found = await office.http.get(f"{stack.zipkin}/api/v2/trace/{trace}")
            spans = found.json() if found.is_success else []
            return {(each["localEndpoint"]["serviceName"], each.get("kind"), each["name"]) for each in spans} >= PATH

        await until(whole, 10)
        by_id = {each["id"]: each for each in spans}
        assert (by_id[span]["name"], "parentId" in by_id[span]) == (ROUTE, False)
        assert all(each.get("parentId", span) in by_id for each in spans)
        assert {each["traceId"] for each in spans} == {trace}
        held = {each["tags"].get("parindex.log") for each in spans} - {None}
        assert held == {f"submission/{office.period}"}
        assert "20" not in {value for each in spans for value in each["tags"].values()}
