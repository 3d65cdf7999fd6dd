"""Evidence withdrawn before the submission: kept, but no longer the item's."""

from typing import Any

import pytest

from services.submission.assessment import digest
from services.submission.self_assessment import DECIDER, Explain, RecordEvidence, Submit, WithdrawEvidence
from shared.events.submission import EvidenceWithdrawn
from tests.services.submission.samples import LAST
from tests.services.submission.test_self_assessment import FILE, after, approved, command, given, refusal, whole


def filed(*items: str, sha256: str = "ab" * 32) -> Any:
    return command(RecordEvidence, items=items, **{**FILE, "sha256": sha256})


def withdrawn(*items: str, **changes: Any) -> Any:
    return command(WithdrawEvidence, sha256="ab" * 32, items=items, **changes)


def test_one_file_serves_several_items_and_an_item_has_several_files() -> None:
    state = after(given(), filed("1.1", "2.1"), filed("1.1", sha256="cd" * 32))
    assert (len(state.items["1.1"].evidence), len(state.items["2.1"].evidence)) == (2, 1)


def test_a_withdrawn_file_leaves_the_items_named_and_stays_with_the_others() -> None:
    state = after(given(), filed("1.1", "2.1"))
    [event] = DECIDER.decide(state, withdrawn("2.1"))
    assert event == EvidenceWithdrawn(agency="a-01", sha256="ab" * 32, items=("2.1",))
    left = after(state, withdrawn("2.1"))
    assert left.items["1.1"].evidence == {"ab" * 32}
    assert not left.items["2.1"].evidence
    assert digest(left) != digest(state)


def test_a_file_that_is_withdrawn_without_naming_items_leaves_all_of_them_and_may_come_back() -> None:
    state = after(given(), filed("2.1", "1.1"), withdrawn())
    assert not state.items["1.1"].evidence
    assert not state.items["2.1"].evidence
    assert after(state, filed("1.1")).items["1.1"].evidence == {"ab" * 32}


def test_a_withdrawal_voids_the_approval_and_may_leave_an_item_without_evidence() -> None:
    state = after(approved(whole()), withdrawn("2.1"))
    errors = refusal(state, command(Submit)).errors
    assert [(error["item"], error["code"]) for error in errors] == [("2.1", "evidence-or-explanation-missing")]
    explained = after(state, command(Explain, item="2.1", text="Tính theo sổ theo dõi"))
    assert refusal(explained, command(Submit)).code == "approval-missing"


@pytest.mark.parametrize("items", [("1.1",), ("2.1", "1.1"), ()])
def test_a_file_that_serves_no_such_item_cannot_be_withdrawn_from_it(items: tuple[str, ...]) -> None:
    state = given() if not items else after(given(), filed("2.1"))
    assert refusal(state, withdrawn(*items)).code == "evidence-unknown"


def test_nothing_is_withdrawn_after_the_submission_or_the_last_time() -> None:
    sent = after(approved(whole()), command(Submit))
    assert refusal(sent, withdrawn("1.1")).code == "already-submitted"
    assert refusal(whole(), withdrawn("1.1", time=LAST)).code == "step-closed"
    assert refusal(given(), withdrawn("9.9")).code == "item-unknown"
