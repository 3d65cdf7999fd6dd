"""The commands of the proof on the running stack: policy, export, audit."""

import subprocess
import sys
import time
from pathlib import Path

from deploy.local.stack import Stack
from shared.events import SERVICES
from shared.tlog.checkpoint import Policy

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds for the archive to come level with what other tests have just written


def parindex(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_a_running_stack_is_exported_and_audited_with_its_own_policy(stack: Stack, tmp_path: Path) -> None:
    home, archive, file = ("--home", stack.home.path), tmp_path / "archive", tmp_path / "policy"
    until = time.monotonic() + PATIENCE
    while True:
        policy = parindex("keys", "policy", *home)
        file.write_text(policy.stdout)
        exported = parindex("archive", "export", archive, *home)
        audited = parindex("audit", archive, "--policy", file)
        if audited.returncode == 0 or time.monotonic() > until:
            break
        time.sleep(1)
    assert (policy.returncode, policy.stderr) == (0, "")
    assert (exported.returncode, exported.stderr) == (0, "")
    assert audited.returncode == 0, audited.stdout
    assert audited.stdout.startswith("HỢP LỆ: ")
    registers = {f"{stack.home.deployment}/{service}/register" for service in SERVICES}
    assert Policy.parse(policy.stdout).keys.keys() >= registers


def test_keys_are_not_taken_from_registers_that_another_key_has_signed(stack: Stack, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "secrets").mkdir(parents=True)
    for name in ("home.json", "secrets/s3-access-key", "secrets/s3-secret-key"):
        (home / name).write_text((stack.home.path / name).read_text())
    policy = Policy.parse(stack.registers.read_text())
    first, second, *others = policy.keys.values()
    swapped = [second._replace(name=first.name), first._replace(name=second.name), *others]
    (home / "secrets/registers.policy").write_text(Policy({key.name: key for key in swapped}).text())
    ended = parindex("keys", "policy", "--home", home)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the archived registers do not hold" in ended.stderr
    assert "signature-fails" in ended.stderr


def test_an_export_goes_only_where_nothing_else_is(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    ended = parindex("archive", "export", tmp_path, "--home", stack.home.path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("parindex: the archive was not exported: ")
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_without_a_stack_each_command_says_how_to_make_one(tmp_path: Path) -> None:
    for arguments in (("keys", "policy"), ("archive", "export", tmp_path / "archive")):
        ended = parindex(*arguments, "--home", tmp_path / "home")
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr.endswith("`parindex up` makes one\n")
        assert ended.stderr.count("\n") == 1
