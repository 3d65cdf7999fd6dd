"""The audit of an exported archive: a clean one holds, and whatever is changed in it, or signed falsely, is named."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.commands.archive import app
from services.scoring.audit import AuditError, audit, opened_logs
from services.scoring.findings import FINDINGS, TITLES, Check, Finding, Verdict
from shared.archive import ArchiveReader
from shared.events import Entry, Event, canonical
from shared.events.appraisal import CouncilAdjusted, CouncilSeated, Tally
from shared.events.register import LogOpened, RegisterOpened
from shared.events.scoring import (
    CardPublished,
    IndexPublished,
    IndexRevised,
    ResultApproved,
    ResultConsolidated,
    RevisionOpened,
    ScoringStarted,
)
from shared.events.submission import AgenciesAdded, EvidenceUploaded, PeriodStarted, PointsDeclared, RubricSet
from shared.events.survey import FormCompleted, FormSet, InvitationsIssued, ResponsesRecorded, SurveyCompleted
from shared.tlog.checkpoint import Checkpoint, Policy, sign_checkpoint, unverified_checkpoint
from shared.tlog.note import SigningKey
from shared.tlog.tiles import data_path, entries_path, pack_data, pack_entries, unpack_data, unpack_entries
from tests.services.scoring.archived import DEPLOYMENT, SCORING, SHA, Chronicle, Year, key_of, write_log
from tests.services.scoring.samples import APPRAISAL, APPROVER, PERIOD, SUBMISSION, SURVEY

ROOT = Path(__file__).parents[3]
YEAR = Year(redeclared=140)
POLICY = YEAR.policy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The archive of a clean year."""
    YEAR.write(tmp_path / "archive")
    return tmp_path / "archive"


def audited(folder: Path, policy: Policy = POLICY, period: str | None = None) -> Verdict:
    return audit(ArchiveReader(folder), policy, period)


def names(verdict: Verdict) -> set[str]:
    return {finding.name for finding in verdict.findings}


def at(verdict: Verdict, file: Path, folder: Path) -> list[Finding]:
    return [finding for finding in verdict.findings if finding.file == file.relative_to(folder).as_posix()]


def files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def test_a_clean_archive_holds_and_every_check_has_looked_at_something(folder: Path) -> None:
    verdict = audited(folder, period=PERIOD)
    assert verdict.findings == ()
    assert verdict.holds
    assert verdict.periods == (PERIOD,)
    assert verdict.entries == sum(len(entries) for entries in YEAR.logs.values())
    checked = {line.check: line.checked for line in verdict.checks}
    assert list(checked) == list(Check)
    assert [check for check, count in checked.items() if not count] == [Check.ERASED, Check.WITHHELD]
    assert checked[Check.HEADERS] == checked[Check.DATA] == verdict.entries
    assert checked[Check.FILES] == len(files(folder))
    assert checked[Check.ROOTS] == checked[Check.SIGNATURES] == len(list(folder.glob("*/*/checkpoint*/*"))) + 8


def test_every_check_and_finding_is_described() -> None:
    assert list(TITLES) == list(Check)
    assert {meaning.check for meaning in FINDINGS.values()} == set(Check)


def test_progress_reaches_the_number_of_entries(folder: Path) -> None:
    told: list[tuple[int, int, str]] = []
    verdict = audit(ArchiveReader(folder), POLICY, None, lambda *at: told.append(at))
    done = [each[0] for each in told]
    assert done == sorted(done)
    assert told[-1] == (verdict.entries, verdict.entries, SCORING)


# One file changed by hand


def flipped(raw: bytes) -> Iterator[bytes]:
    chance = random.Random(raw)  # noqa: S311 - the same places in each run
    for at in {chance.randrange(len(raw)), len(raw) - 1}:
        yield raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]


def shortened(raw: bytes) -> Iterator[bytes]:
    yield raw[:-1]
    yield raw[: len(raw) // 2]


def lengthened(raw: bytes) -> Iterator[bytes]:
    yield raw + raw[-1:]
    yield b"\n" + raw


@pytest.mark.parametrize("change", [flipped, shortened, lengthened])
def test_no_changed_file_passes_and_each_is_named(folder: Path, change: Callable[[bytes], Iterator[bytes]]) -> None:
    for file in files(folder):
        raw = file.read_bytes()
        for changed in change(raw):
            file.write_bytes(changed)
            verdict = audited(folder)
            assert at(verdict, file, folder), (file, verdict.findings[:5])
        file.write_bytes(raw)


def test_no_deleted_file_passes_and_each_is_named(folder: Path) -> None:
    needed = {file for file in files(folder) if "checkpoints" not in file.parts or int(file.name) == _size(file.parent)}
    for file in needed:
        raw = file.read_bytes()
        file.unlink()
        verdict = audited(folder)
        if "evidence" in file.parts:
            assert names(verdict) == {"evidence-missing"}
            assert f"evidence/sha256/{SHA}" in verdict.findings[0].message
        else:
            assert {"file-missing", "log-missing"} & {each.name for each in at(verdict, file, folder)}
        file.write_bytes(raw)


def _size(checkpoints: Path) -> int:
    return unverified_checkpoint((checkpoints.parent / "checkpoint").read_bytes()).size


@pytest.mark.parametrize(
    "name",
    [
        "README",
        f"{SUBMISSION}/tile/entries/000.p/7",
        f"{SUBMISSION}/tile/0/999",
        f"{SUBMISSION}/data/000.p/3",
        f"{SUBMISSION}/checkpoints/999999",
        f"{SUBMISSION}/checkpoints/12.0a1b2c3d",
        f"{SUBMISSION}/checkpoints/012",
        "submission/2025-year/data/000",
        "evidence/sha256/report.pdf",
    ],
)
def test_an_unknown_file_is_named(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"x")
    assert [(each.file, each.name) for each in audited(folder).findings if each.name == "file-unknown"] == [
        (name, "file-unknown")
    ]


def test_evidence_that_no_entry_names_is_a_finding(folder: Path) -> None:
    (folder / "evidence/sha256" / ("0" * 64)).write_bytes(b"%PDF-")
    assert names(audited(folder)) == {"evidence-unknown", "evidence-differs"}


def test_a_link_in_the_place_of_a_file_is_a_finding(folder: Path, tmp_path: Path) -> None:
    for name in (f"evidence/sha256/{SHA}", f"{SUBMISSION}/data/000"):
        aside = tmp_path / "aside"
        (folder / name).rename(aside)
        (folder / name).symlink_to(aside)
        assert not audited(folder).holds
        (folder / name).unlink()
        aside.rename(folder / name)


def test_two_swapped_entries_are_named_at_their_positions(folder: Path) -> None:
    bundle, data = folder / SUBMISSION / entries_path(0), folder / SUBMISSION / data_path(0)
    rows, lines = unpack_entries(bundle.read_bytes()), unpack_data(data.read_bytes())
    rows[20], rows[21], lines[20], lines[21] = rows[21], rows[20], lines[21], lines[20]
    bundle.write_bytes(pack_entries(rows))
    data.write_bytes(pack_data(lines))
    verdict = audited(folder)
    assert {"position-differs", "version-differs", "root-differs", "entry-differs"} <= names(verdict)
    assert {each.position for each in at(verdict, bundle, folder)} >= {20, 21}


def test_swapped_data_are_named_at_their_positions(folder: Path) -> None:
    data = folder / SUBMISSION / data_path(0)
    lines = unpack_data(data.read_bytes())
    lines[20], lines[21] = lines[21], lines[20]
    data.write_bytes(pack_data(lines))
    verdict = audited(folder)
    assert [each.position for each in at(verdict, data, folder) if each.name == "data-differs"] == [20, 21]
    assert "not-recomputed" in names(verdict)


def test_the_audit_does_not_stop_at_the_first_fault(folder: Path) -> None:
    (folder / SUBMISSION / entries_path(0)).unlink()
    (folder / SURVEY / "checkpoint").write_bytes(b"")
    last = sorted((folder / SUBMISSION / "data").rglob("*"))[-1]
    lines = unpack_data(last.read_bytes())
    last.write_bytes(pack_data([*lines[:-1], lines[-1].replace(b"8.25", b"8.26")]))
    (folder / "evidence/sha256" / SHA).write_bytes(b"%PDF-")
    verdict = audited(folder)
    assert {"file-missing", "root-unknown", "signature-fails", "data-differs", "evidence-differs"} <= names(verdict)
    assert list(verdict.findings) == sorted(
        verdict.findings, key=lambda each: (each.file, each.position or 0, each.name)
    )
    # after a gap the streams begin where they begin
    assert "version-differs" not in names(verdict)


# Keys


def test_a_checkpoint_of_another_key_is_refused(folder: Path) -> None:
    entries = YEAR.logs[SUBMISSION]
    forger = SigningKey.from_seed(f"{DEPLOYMENT}/{SUBMISSION}", bytes(32))
    shutil.rmtree(folder / SUBMISSION)
    write_log(folder / SUBMISSION, forger, entries, {len(entries)})
    verdict = audited(folder)
    assert {each.file for each in verdict.findings if each.name == "signature-fails"} == {
        f"{SUBMISSION}/checkpoint",
        f"{SUBMISSION}/checkpoints/{len(entries)}",
    }


def test_a_forged_checkpoint_of_endless_size_does_not_hold_the_audit_up(folder: Path) -> None:
    forger = SigningKey.from_seed(f"{DEPLOYMENT}/{SURVEY}", bytes(32))
    shutil.rmtree(folder / SURVEY / "checkpoints")
    (folder / SURVEY / "checkpoint").write_bytes(sign_checkpoint(Checkpoint(forger.name, 2**62, bytes(32)), forger))
    assert (f"{SURVEY}/checkpoint", "signature-fails") in {(each.file, each.name) for each in audited(folder).findings}
    unlisted = Policy({origin: key for origin, key in POLICY.keys.items() if origin != forger.name})
    assert (f"{SURVEY}/checkpoint", "key-missing") in {
        (each.file, each.name) for each in audited(folder, unlisted).findings
    }


def test_a_signature_by_an_unknown_key_beside_the_logs_own_is_named(folder: Path) -> None:
    stranger = SigningKey.from_seed("stranger.example", bytes(32))
    for file in (folder / SURVEY / "checkpoint", max((folder / SURVEY / "checkpoints").iterdir())):
        raw = file.read_bytes()
        file.write_bytes(raw + stranger.sign(raw.decode().partition("\n\n")[0] + "\n").encode())
        assert [each.name for each in at(audited(folder), file, folder)] == ["signer-unknown"]
        file.write_bytes(raw)


def test_a_newest_checkpoint_that_is_rolled_back_is_named(folder: Path) -> None:
    early = sign_checkpoint(
        Checkpoint(f"{DEPLOYMENT}/{SURVEY}", 3, bytes.fromhex(YEAR_HEADS[SURVEY].root)), key_of(SURVEY)
    )
    (folder / SURVEY / "checkpoints/3").write_bytes(early)
    assert audited(folder).holds
    (folder / SURVEY / "checkpoint").write_bytes(early)
    assert [(each.file, each.name) for each in audited(folder).findings] == [(f"{SURVEY}/checkpoint", "size-differs")]


def test_a_checkpoint_of_another_log_is_refused(folder: Path) -> None:
    (folder / SURVEY / "checkpoint").write_bytes((folder / SUBMISSION / "checkpoint").read_bytes())
    assert [(each.file, each.name) for each in audited(folder).findings] == [
        (f"{SURVEY}/checkpoint", "signature-fails")
    ]


def test_a_checkpoint_under_another_size_is_named(folder: Path) -> None:
    checkpoints = folder / SURVEY / "checkpoints"
    newest = max(checkpoints.iterdir(), key=lambda file: int(file.name))
    (checkpoints / "3").write_bytes(newest.read_bytes())
    assert [(each.file, each.name) for each in audited(folder).findings] == [
        (f"{SURVEY}/checkpoints/3", "size-differs")
    ]


def test_a_false_root_that_the_logs_key_signed_is_named(folder: Path) -> None:
    note = sign_checkpoint(Checkpoint(f"{DEPLOYMENT}/{SURVEY}", 3, bytes(32)), key_of(SURVEY))
    (folder / SURVEY / "checkpoints/3").write_bytes(note)
    assert [(each.file, each.name) for each in audited(folder).findings] == [
        (f"{SURVEY}/checkpoints/3", "root-differs")
    ]


def test_a_log_without_a_key_and_a_key_without_a_log_are_findings(folder: Path) -> None:
    keys = dict(POLICY.keys)
    del keys[f"{DEPLOYMENT}/{SURVEY}"]
    extra = {f"{DEPLOYMENT}/survey/2025-year": key_of("survey/2025-year").verifier}
    verdict = audited(folder, Policy({**keys, **extra}))
    assert {(each.file, each.name) for each in verdict.findings if FINDINGS[each.name].check is Check.KEYS} == {
        (f"{SURVEY}/checkpoint", "key-missing"),
        ("survey/register/data/000.p/3", "key-missing"),
        ("survey/2025-year/checkpoint", "log-missing"),
    }


def test_a_deleted_log_is_named(folder: Path) -> None:
    shutil.rmtree(folder / SURVEY)
    verdict = audited(folder)
    assert (f"{SURVEY}/checkpoint", "log-missing") in {(each.file, each.name) for each in verdict.findings}
    assert "not-recomputed" in names(verdict)


def test_a_policy_of_two_deployments_or_none_cannot_be_used(folder: Path) -> None:
    other = SigningKey.from_seed("other.example/survey/register", bytes(32)).verifier
    with pytest.raises(AuditError, match="one deployment"):
        audited(folder, Policy({**POLICY.keys, other.name: other}))
    with pytest.raises(AuditError, match="one deployment"):
        audited(folder, Policy({}))


def test_a_folder_without_a_log_cannot_be_audited(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="holds no log"):
        audited(tmp_path)


def test_a_period_that_is_not_published_is_a_finding_when_it_is_asked_for(folder: Path) -> None:
    assert names(audited(folder, period="2025-year")) == {"period-not-published"}


def test_the_registers_alone_give_the_policy(folder: Path) -> None:
    registers = Policy({origin: key for origin, key in POLICY.keys.items() if origin.endswith("/register")})
    policy, verdict = opened_logs(ArchiveReader(folder), registers)
    assert verdict.holds
    assert policy == POLICY
    data = folder / "survey/register/data/000.p/3"
    data.write_bytes(data.read_bytes().replace(b'"partition":3', b'"partition":4'))
    assert names(opened_logs(ArchiveReader(folder), registers)[1]) == {"data-differs"}


# What is signed, and false


def changed(kind: type[Event], **values: Any) -> Callable[[str, Event], Event]:
    """Tell every event of a kind with other values; a value may be made from the event."""

    def alter(_: str, event: Event) -> Event:
        if not isinstance(event, kind):
            return event
        return event.model_copy(
            update={name: value(event) if callable(value) else value for name, value in values.items()}
        )

    return alter


def replaced(kind: type[Event], by: Event) -> Callable[[str, Event], Event]:
    return lambda _, event: by if isinstance(event, kind) else event


def opened_otherwise(**values: Any) -> Callable[[str, Event], Event]:
    alter = changed(LogOpened, **values)
    return lambda log, event: alter(log, event) if isinstance(event, LogOpened) and event.log == SURVEY else event


def _raised_card(event: Any) -> Any:
    return event.card.model_copy(update={"total": event.card.total + Decimal("0.01")})


def _raised_item(event: Any) -> Any:
    first, *others = event.card.leaves
    return event.card.model_copy(update={"leaves": (first.model_copy(update={"achieved": Decimal(1)}), *others)})


def _more_answers(event: Any) -> Any:
    return {**event.counts, "q9": {"a": event.ballots + 1}}


def _raised_row(event: Any) -> Any:
    return event.row.model_copy(update={"total": event.row.total + Decimal("0.01")})


def _no_rank(event: Any) -> Any:
    return event.row.model_copy(update={"rank": None})


def _other_root(log: str) -> Callable[[Any], Any]:
    return lambda event: {**event.heads, log: event.heads[log].model_copy(update={"root": "0" * 64})}


def _smaller(log: str) -> Callable[[Any], Any]:
    return lambda event: {**event.heads, log: YEAR_HEADS[log]}


YEAR_HEADS = {log: YEAR.head(log, 40 if log == SUBMISSION else 3) for log in (SUBMISSION, APPRAISAL, SURVEY, SCORING)}
NOT_CARRIED = Tally(members=10, in_favour=5, against=5, abstained=0)
WRONG_SIZE = Tally(members=9, in_favour=9, against=0, abstained=0)
TOO_MANY = Tally(members=10, in_favour=8, against=3, abstained=0)


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        pytest.param(changed(CardPublished, card=_raised_card), "figure-differs", id="a card's total"),
        pytest.param(changed(CardPublished, card=_raised_item), "figure-differs", id="an item's points"),
        pytest.param(changed(CardPublished, agency="a-01"), "figure-differs", id="one agency's card twice"),
        pytest.param(changed(CardPublished, row=_raised_row), "figure-differs", id="a row's total"),
        pytest.param(changed(CardPublished, row=_no_rank), "figure-differs", id="a row without its rank"),
        pytest.param(changed(IndexPublished, digest="0" * 64), "digest-differs", id="the digest"),
        pytest.param(changed(IndexPublished, digest="0" * 64), "approval-differs", id="a digest not approved"),
        pytest.param(changed(IndexPublished, decision="13/QĐ"), "approval-differs", id="another decision"),
        pytest.param(changed(IndexPublished, formula="other"), "not-recomputed", id="an unknown formula"),
        pytest.param(changed(IndexPublished, period="2023-year"), "heads-differ", id="another period"),
        pytest.param(changed(IndexPublished, heads=_other_root(SURVEY)), "heads-differ", id="another root"),
        pytest.param(changed(IndexPublished, heads=_smaller(SURVEY)), "heads-differ", id="an older survey"),
        pytest.param(changed(IndexPublished, heads=_smaller(APPRAISAL)), "heads-differ", id="an older appraisal"),
        pytest.param(changed(IndexPublished, heads=_smaller(SCORING)), "heads-differ", id="an older scoring"),
        pytest.param(changed(IndexPublished, heads={}), "heads-differ", id="no heads"),
        pytest.param(changed(IndexPublished, count=1), "manifest-differs", id="a card more than counted"),
        pytest.param(changed(IndexPublished, parts_digest="0" * 64), "manifest-differs", id="other cards"),
        pytest.param(changed(ResultConsolidated, by=APPROVER), "approval-same-person", id="approved by oneself"),
        pytest.param(changed(ResultConsolidated, heads={}), "approval-differs", id="consolidated from other heads"),
        pytest.param(changed(ResultApproved, digest="0" * 64), "approval-differs", id="another result approved"),
        pytest.param(
            replaced(ResultApproved, ScoringStarted(period=PERIOD, of=0)), "approval-missing", id="nobody approved"
        ),
        pytest.param(changed(CouncilAdjusted, tally=NOT_CARRIED), "vote-not-carried", id="half of the votes"),
        pytest.param(changed(CouncilAdjusted, tally=WRONG_SIZE), "tally-invalid", id="a smaller council"),
        pytest.param(changed(CouncilAdjusted, tally=TOO_MANY), "tally-invalid", id="more votes than members"),
        pytest.param(changed(InvitationsIssued, count=3), "ballots-exceed-invitations", id="few invitations"),
        pytest.param(changed(ResponsesRecorded, ballots=4, counts={}), "ballots-too-few", id="four ballots"),
        pytest.param(changed(ResponsesRecorded, counts=_more_answers), "ballots-differ", id="answers above ballots"),
        pytest.param(changed(FormCompleted, ballots=99), "ballots-differ", id="other ballots at completion"),
        pytest.param(changed(FormCompleted, counts={}), "ballots-differ", id="other counts at completion"),
        pytest.param(changed(FormCompleted, agency="a-02"), "ballots-differ", id="an agency left out at completion"),
        pytest.param(changed(SurveyCompleted, ballots=1), "manifest-differs", id="another sum at completion"),
        pytest.param(changed(RubricSet, count=1), "manifest-differs", id="a rubric of fewer fields"),
        pytest.param(changed(FormSet, group="other"), "manifest-differs", id="the forms of another group"),
        pytest.param(replaced(CouncilSeated, PeriodStarted()), "type-unknown", id="another service's type"),
        pytest.param(changed(EvidenceUploaded, size=5), "evidence-differs", id="another size of evidence"),
        pytest.param(changed(EvidenceUploaded, sha256="0" * 64), "evidence-missing", id="evidence not there"),
        pytest.param(changed(EvidenceUploaded, sha256="0" * 64), "evidence-unknown", id="evidence not named"),
        pytest.param(opened_otherwise(key=str(key_of("survey/x").verifier)), "key-differs", id="another key"),
        pytest.param(opened_otherwise(log="survey/2023-year"), "log-not-opened", id="a log not opened"),
        pytest.param(opened_otherwise(log="survey/2023-year"), "key-missing", id="a log opened besides"),
        pytest.param(opened_otherwise(log=APPRAISAL), "register-differs", id="another service's log"),
        pytest.param(changed(RegisterOpened, deployment="other.test"), "register-differs", id="another deployment"),
    ],
)
def test_what_is_signed_and_false_is_found(tmp_path: Path, alter: Callable[[str, Event], Event], expected: str) -> None:
    year = Year(alter, redeclared=12)
    year.write(tmp_path)
    verdict = audited(tmp_path, year.policy())
    assert expected in names(verdict), verdict.findings
    assert not {"root-differs", "signature-fails", "data-differs"} & names(verdict)


def test_both_publications_of_a_revised_period_are_computed_again(tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    Year().write(once)
    year = Year(revised=True)
    year.write(twice)
    before, after = audited(once, Year().policy()), audited(twice, year.policy())
    assert before.holds
    assert after.holds
    counts = [{line.check: line.checked for line in verdict.checks} for verdict in (before, after)]
    for check in (Check.APPROVALS, Check.FIGURES, Check.HEADS):
        assert counts[1][check] == 2 * counts[0][check]


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        pytest.param(changed(RevisionOpened, of=0), "revision-differs", id="another publication"),
        pytest.param(changed(IndexRevised, revises=0), "revision-differs", id="a revised index of another one"),
        pytest.param(
            replaced(RevisionOpened, ScoringStarted(period=PERIOD, of=0)), "revision-differs", id="never opened"
        ),
        pytest.param(changed(IndexRevised, digest="0" * 64), "digest-differs", id="the revised digest"),
        pytest.param(changed(IndexRevised, decision="13/QĐ"), "approval-differs", id="another decision"),
        pytest.param(changed(IndexRevised, heads={}), "heads-differ", id="no heads"),
        pytest.param(changed(IndexRevised, count=1), "manifest-differs", id="a card more than counted"),
    ],
)
def test_a_false_revision_is_found(tmp_path: Path, alter: Callable[[str, Event], Event], expected: str) -> None:
    year = Year(alter, revised=True)
    year.write(tmp_path)
    assert expected in names(audited(tmp_path, year.policy()))


def test_a_false_figure_is_named_with_both_values(tmp_path: Path) -> None:
    year = Year(changed(CardPublished, card=_raised_card), redeclared=1)
    year.write(tmp_path)
    result = year.result()
    published = [entry for entry in year.logs[SCORING] if entry.type == CardPublished.type]
    differing = [each for each in audited(tmp_path, year.policy()).findings if each.name == "figure-differs"]
    for finding, entry, row in zip(differing, published, result.table, strict=True):
        assert finding.position == entry.position
        stated = row.total + Decimal("0.01")
        assert finding.message == f'card {row.agency} total: "{stated}" is published, "{row.total}" computed again'


def test_parts_without_a_manifest_are_named(tmp_path: Path) -> None:
    chronicle = Chronicle()
    chronicle.open(SCORING)
    cards = [entry.event for entry in YEAR.logs[SCORING] if entry.type == CardPublished.type]
    for event in (*cards, ScoringStarted(period=PERIOD, of=0), *cards):
        assert event is not None
        chronicle.tell(SCORING, "index", event)
    chronicle.write(tmp_path)
    found = audited(tmp_path, chronicle.policy()).findings
    # those at the end of the log may have a manifest that is not archived yet
    assert [(each.name, each.position) for each in found] == [("manifest-missing", 0), ("manifest-missing", 1)]


DECLARED = PointsDeclared(agency="a-01", item="1", data="1", points=Decimal(1))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"position": "7"}, "position-differs"),
        ({"position": "01"}, "header-malformed"),
        ({"version": "3"}, "version-differs"),
        ({"version": "0"}, "header-malformed"),
        ({"source": "parindex.test/submission/2023-year"}, "source-differs"),
        ({"time": "2024-10-01T00:00:00.000000Z"}, "time-backwards"),
        ({"time": "2024-11-31T00:00:00.000000Z"}, "header-malformed"),
        ({"time": "2024-11-30T00:00:00Z"}, "header-malformed"),
        ({"type": "submission.points-guessed.v1"}, "type-unknown"),
        ({"type": "submission.log-opened.v1"}, "type-unknown"),
        ({"type": "scoring.index-published.v1"}, "type-unknown"),
        ({"actor": "Nguyễn Văn A"}, "header-malformed"),
        ({"actor": "0" * 31}, "header-malformed"),
        ({"causationid": "x" * 32}, "header-malformed"),
        ({"id": "1"}, "header-malformed"),
        ({"specversion": "1.1"}, "header-malformed"),
        ({"datacontenttype": "text/plain"}, "header-malformed"),
        ({"datahash": "0" * 63}, "header-malformed"),
        ({"datahash": "0" * 64}, "data-differs"),
        ({"subject": "self-assessment/A-01"}, "header-malformed"),
        ({"subject": "self-assessment//a-01"}, "header-malformed"),
        ({"subject": "s" * 49}, "header-malformed"),
        ({"seen": "scoring/2024-year"}, "header-malformed"),
        ({"seen": "scoring/2024-year@1 appraisal/2024-year@1"}, "header-malformed"),
        ({"seen": "scoring/2024-year@1 scoring/2024-year@2"}, "header-malformed"),
        ({"traceparent": "00-1-2-01"}, "header-malformed"),
        ({"comment": "no"}, "header-malformed"),
    ],
)
def test_a_signed_header_that_is_not_well_formed_is_named(
    tmp_path: Path, header: dict[str, str], expected: str
) -> None:
    chronicle = Chronicle()
    chronicle.open(SUBMISSION)
    chronicle.tell(SUBMISSION, "self-assessment/a-01", DECLARED)
    chronicle.tell(SUBMISSION, "self-assessment/a-01", DECLARED, header=header)
    chronicle.write(tmp_path)
    found = audited(tmp_path, chronicle.policy()).findings
    assert [(each.name, each.position) for each in found] == [(expected, 1)]


def test_good_headers_hold_with_the_attributes_that_are_seldom_there(tmp_path: Path) -> None:
    chronicle = Chronicle()
    chronicle.open(SUBMISSION)
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    seen = {"scoring/2024-year": 0, "appraisal/2024-year": 12}
    header = {"traceparent": trace, "actor": "appraisal"}
    chronicle.tell(SUBMISSION, "self-assessment/a-01", DECLARED, seen=seen, header=header)
    chronicle.write(tmp_path)
    assert audited(tmp_path, chronicle.policy()).holds


@pytest.mark.parametrize(
    "spoil",
    [
        lambda leaf: leaf.replace(b",", b", ", 1),
        lambda leaf: leaf.replace(b'"actor"', b'"\\u0061ctor"', 1),
        lambda leaf: leaf[:-1] + b',"version":"1"}',
        lambda leaf: b'{"actor":"' + b"0" * 32 + b'",' + leaf[1:],
    ],
)
def test_a_signed_header_that_is_not_canonical_is_named(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    chronicle = Chronicle()
    chronicle.open(SUBMISSION)
    entry = chronicle.tell(SUBMISSION, "self-assessment/a-01", DECLARED)
    chronicle.logs[SUBMISSION] = [Entry(SUBMISSION, 0, spoil(entry.leaf), entry.salt, entry.data)]
    chronicle.write(tmp_path)
    assert [each.name for each in audited(tmp_path, chronicle.policy()).findings] == ["header-not-canonical"]


@pytest.mark.parametrize("leaf", [b"", b"[]", b'"x"', b"{}", b"\xff", b'{"actor":1}', b"null"])
def test_a_signed_entry_that_is_no_header_is_named(tmp_path: Path, leaf: bytes) -> None:
    chronicle = Chronicle()
    chronicle.open(SUBMISSION)
    entry = chronicle.tell(SUBMISSION, "self-assessment/a-01", DECLARED)
    chronicle.logs[SUBMISSION] = [Entry(SUBMISSION, 0, leaf, entry.salt, entry.data)]
    chronicle.write(tmp_path)
    assert [each.name for each in audited(tmp_path, chronicle.policy()).findings] == ["header-malformed"]


def test_a_signed_event_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    chronicle = Chronicle()
    chronicle.open(SUBMISSION)
    entry = chronicle.tell(SUBMISSION, "self-assessment/a-01", DECLARED, header={"type": EvidenceUploaded.type})
    assert canonical(entry.header) == entry.leaf
    chronicle.write(tmp_path)
    assert [each.name for each in audited(tmp_path, chronicle.policy()).findings] == ["data-malformed"]


# Erased and withheld data


def _rewritten(folder: Path, log: str, kind: str, line: bytes) -> str:
    """Put another line in the place of the first entry's of a type; its file and position."""
    position = next(entry.position for entry in YEAR.logs[log] if entry.type == kind)
    number, at = divmod(position, 256)
    [file] = [path for path in (folder / log / "data").rglob(f"{number:03}*") if path.is_file()] or list(
        (folder / log / "data").glob(f"{number:03}.p/*")
    )
    lines = unpack_data(file.read_bytes())
    lines[at] = line
    file.write_bytes(pack_data(lines))
    return f"{file.relative_to(folder).as_posix()} @{position}"


def test_erased_words_are_named_and_are_no_finding(folder: Path) -> None:
    place = _rewritten(folder, APPRAISAL, "appraisal.appraisal-reasoned.v1", b"erased")
    verdict = audited(folder)
    assert verdict.holds
    assert verdict.erased == (f"{place} appraisal.appraisal-reasoned.v1",)
    assert {line.check: line.checked for line in verdict.checks}[Check.ERASED] == 1


def test_an_erased_score_is_a_finding(folder: Path) -> None:
    place = _rewritten(folder, SUBMISSION, PointsDeclared.type, b"erased")
    verdict = audited(folder)
    assert ("erased-not-erasable", place) in {(each.name, each.place) for each in verdict.findings}
    assert "not-recomputed" in names(verdict)


def test_withheld_words_are_counted_and_never_verified(folder: Path) -> None:
    _rewritten(folder, SUBMISSION, "submission.evidence-named.v1", b"withheld")
    verdict = audited(folder)
    assert verdict.holds
    checked = {line.check: line.checked for line in verdict.checks}
    assert checked[Check.WITHHELD] == 1
    assert checked[Check.DATA] == verdict.entries - 1


def test_withheld_scores_are_a_finding_where_the_period_publishes_everything(folder: Path) -> None:
    _rewritten(folder, SUBMISSION, PointsDeclared.type, b"withheld")
    assert {"withheld-public", "not-recomputed"} <= names(audited(folder))


def test_scores_that_the_publication_policy_withholds_are_not_recomputed_and_not_verified(tmp_path: Path) -> None:
    def withheld(event: Any) -> Any:
        return tuple(each.model_copy(update={"publication": "totals-only"}) for each in event.agencies)

    year = Year(changed(AgenciesAdded, agencies=withheld), redeclared=140)
    year.write(tmp_path)
    _rewritten(tmp_path, SUBMISSION, PointsDeclared.type, b"withheld")
    assert names(audited(tmp_path, year.policy())) == {"not-recomputed"}


# The command


def parindex(*arguments: str | Path, guard: str = "") -> subprocess.CompletedProcess[str]:
    program = f"{guard}\nfrom deploy.cli import main\nmain()\n"
    command = [sys.executable, "-c", program] if guard else [sys.executable, "-m", "deploy.cli"]
    return subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


NO_NETWORK = """
import sys
def guard(event, _):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        sys.stderr.write(f"{event}\\n")
        raise SystemExit(77)
sys.addaudithook(guard)
"""


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    file = tmp_path / "policy"
    file.write_text(POLICY.text())
    return file


def test_the_command_says_that_a_clean_archive_holds_without_any_connection(folder: Path, policy_file: Path) -> None:
    ended = parindex("audit", folder, "--policy", policy_file, "--period", PERIOD, guard=NO_NETWORK)
    assert (ended.returncode, ended.stderr) == (0, "")
    line = ended.stdout.splitlines()[0]
    assert line.startswith("HỢP LỆ: 8 sổ, ")
    assert line.endswith(f"computed again digit by digit: {PERIOD}")


def test_the_command_names_a_changed_byte_and_ends_with_1(folder: Path, policy_file: Path) -> None:
    data = folder / SURVEY / data_path(0, len(YEAR.logs[SURVEY]))
    data.write_bytes(data.read_bytes().replace(b"SIPAS", b"SIPAT", 1))
    ended = parindex("audit", folder, "--policy", policy_file)
    assert ended.returncode == 1
    assert ended.stdout.startswith("KHÔNG HỢP LỆ: ")
    position = next(entry.position for entry in YEAR.logs[SURVEY] if b"SIPAS" in (entry.data or b""))
    assert f"data-differs {data.relative_to(folder)} @{position}:" in ended.stdout
    told = json.loads(CliRunner().invoke(app, [str(folder), "--policy", str(policy_file), "--json"]).stdout)
    assert told["holds"] is False
    assert ("data-differs", position) in {(each["name"], each["position"]) for each in told["findings"]}
    assert {each["check"] for each in told["checks"]} == set(Check)


@pytest.mark.parametrize(
    ("archive", "policy", "why"),
    [("archive", "none", "No such file"), ("archive", "broken", "line 1"), ("empty", "policy", "holds no log")],
)
def test_the_command_ends_with_2_and_one_line_if_it_cannot_read(
    folder: Path, policy_file: Path, archive: str, policy: str, why: str
) -> None:
    policy_file.with_name("broken").write_text("log nonsense\n")
    ended = CliRunner().invoke(app, [str(folder.with_name(archive)), "--policy", str(policy_file.with_name(policy))])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert why in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_command_line_ends_with_2_where_there_is_no_archive(policy_file: Path) -> None:
    ended = parindex("audit", policy_file.with_name("empty"), "--policy", policy_file)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("parindex: không kiểm toán được / cannot audit: ")
