"""The heads of a publication: what of the archive counts, and what does not."""

import pytest

from services.scoring.heads import Tree, archived_size, final_result
from services.scoring.replay import replay
from services.scoring.scorecard import Finalised
from shared.decider import Rejected
from shared.objects import Bucket
from shared.tlog.merkle import EMPTY_ROOT, leaf_hash, root
from shared.tlog.note import SigningKey
from tests.services.scoring.conftest import Scoring, key_of
from tests.services.scoring.samples import APPRAISAL, PERIOD, SUBMISSION, whole_story

LOG = SUBMISSION
STORY = whole_story()
TREE = Tree(STORY.logs[LOG])


async def held(scoring: Scoring, size: int, tree: Tree = TREE) -> int:
    return await archived_size(scoring.service.objects, LOG, size, tree, key_of(LOG).verifier)


def test_a_tree_has_the_roots_of_its_prefixes() -> None:
    leaves = [leaf_hash(entry.leaf) for entry in STORY.logs[LOG]]
    assert [TREE.root(size) for size in (0, 5, TREE.size)] == [EMPTY_ROOT, root(leaves[:5]), root(leaves)]
    assert TREE.head(5).root == root(leaves[:5]).hex()


async def test_nothing_is_archived_before_there_is_a_checkpoint(scoring: Scoring) -> None:
    assert await held(scoring, 5) == 0


async def test_the_checkpoint_of_the_head_itself_counts(scoring: Scoring) -> None:
    await scoring.archive(LOG, 5, TREE.root(5))
    assert await held(scoring, 5) == 5


async def test_the_smallest_larger_checkpoint_proves_a_head_between_two(scoring: Scoring) -> None:
    for size in (3, 7, 9):
        await scoring.archive(LOG, size, TREE.root(size))
    assert await held(scoring, 5) == 7
    assert await held(scoring, 10) == 0


async def test_a_checkpoint_with_another_root_is_not_passed_over(scoring: Scoring) -> None:
    await scoring.archive(LOG, 5, b"\x00" * 32)
    await scoring.archive(LOG, 6, TREE.root(6))
    assert await held(scoring, 5) == 0


async def test_a_checkpoint_of_another_key_does_not_count(scoring: Scoring) -> None:
    await scoring.archive(LOG, 5, TREE.root(5), SigningKey.from_seed(f"parindex.test/{LOG}", b"\x01" * 32))
    assert await held(scoring, 5) == 0


async def test_a_checkpoint_beyond_what_was_followed_cannot_be_compared_yet(scoring: Scoring) -> None:
    await scoring.archive(LOG, 8, TREE.root(8))
    assert await held(scoring, 5, Tree(STORY.logs[LOG][:7])) == 0


async def test_cosignatures_beside_the_checkpoints_are_no_checkpoints(scoring: Scoring) -> None:
    await scoring.service.objects.put_once(Bucket.PROOF, f"{LOG}/checkpoints/5.0a0b0c0d", b"a cosignature")
    assert await held(scoring, 5) == 0


async def test_the_final_result_is_the_replay_at_the_heads_that_the_finalising_set(scoring: Scoring) -> None:
    story = whole_story()
    heads = story.heads
    finalised = story.states.appraisal.finalised
    assert finalised is not None
    story.adjust("a-01", "2.1", "0")
    await scoring.follow(story)
    await scoring.archive_all(story)
    result, archived = await final_result(scoring.service.engine, scoring.service.objects, PERIOD, finalised)
    assert result == replay(story.logs, heads)
    assert archived == {log: len(entries) for log, entries in story.logs.items()}


async def test_a_result_waits_for_what_the_finalising_saw(scoring: Scoring) -> None:
    await scoring.follow(STORY, {APPRAISAL: len(STORY.logs[APPRAISAL])})
    finalised = STORY.states.appraisal.finalised
    assert isinstance(finalised, Finalised)
    with pytest.raises(Rejected, match="log-incomplete"):
        await final_result(scoring.service.engine, scoring.service.objects, PERIOD, finalised)
