"""The supervisor: a part that dies comes back, one that cannot start says why, and none outlives it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from deploy.fault import Fault
from deploy.local.part import Launch, NotReady, Part
from deploy.local.record import Process, Record, State
from deploy.local.stack import Stack, start
from deploy.local.supervisor import Keeper


async def _answers() -> None:
    """A part that is ready at once."""


def _part(
    script: str, folder: Path, ready: Callable[[], Awaitable[None]] = _answers, needs: tuple[str, ...] = ()
) -> Part:
    async def launch() -> Launch:
        return Launch(["/bin/sh", "-c", script], cwd=folder)

    return Part("part", launch, ready, needs=needs, retry=0.3, patience=1.0)


def _keeper(part: Part, folder: Path) -> tuple[Keeper, Process]:
    state = Process()
    return Keeper(part, folder / "part.log", state, lambda: None), state


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.02)


async def test_a_part_that_dies_is_started_again(tmp_path: Path) -> None:
    keeper, state = _keeper(_part("exec sleep 60", tmp_path), tmp_path)
    running = asyncio.create_task(keeper.run([]))
    await _until(lambda: state.state is State.READY)
    first = state.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await _until(lambda: state.state is State.READY and state.pid != first)
    assert state.restarts == 1
    await keeper.stop()
    await running
    assert state.state is State.STOPPED


async def test_a_part_that_cannot_start_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    async def never() -> None:
        raise NotReady("no answer")

    keeper, state = _keeper(_part("echo the disk is full >&2; exit 3", tmp_path, never), tmp_path)
    with pytest.raises(Fault, match="part ended before it was ready: the disk is full"):
        await keeper.run([])
    assert state.restarts >= 1


async def test_a_part_that_keeps_dying_is_started_ever_more_slowly(tmp_path: Path) -> None:
    keeper, state = _keeper(_part("sleep 0.01", tmp_path), tmp_path)
    keeper.settled.set()
    running = asyncio.create_task(keeper.run([]))
    await asyncio.sleep(2)
    await keeper.stop()
    await running
    assert 2 <= state.restarts <= 5


async def test_a_part_waits_for_what_it_needs(tmp_path: Path) -> None:
    needed, _ = _keeper(_part("exec sleep 60", tmp_path), tmp_path)
    keeper, state = _keeper(_part("exec sleep 60", tmp_path, needs=("other",)), tmp_path)
    running = asyncio.create_task(keeper.run([needed]))
    await asyncio.sleep(0.2)
    assert state.state is State.WAITING
    needed.settled.set()
    await _until(lambda: state.state is State.READY)
    await keeper.stop()
    await running


async def test_a_part_that_does_not_obey_is_killed_with_its_children(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 60 & echo $! > child; wait; sleep 60"
    keeper, state = _keeper(_part(script, tmp_path), tmp_path)
    running = asyncio.create_task(keeper.run([]))
    await _until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().endswith("\n"))
    child = psutil.Process(int((tmp_path / "child").read_text()))
    begun = time.monotonic()
    await keeper.stop()
    await running
    assert 0.9 < time.monotonic() - begun < 5
    assert state.state is State.STOPPED
    await _until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_part_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import pathlib, subprocess, sys, time\n"
        "from deploy.local.part import Launch\n"
        "started = Launch(['/bin/sleep', '60'], cwd=pathlib.Path(sys.argv[1])).start(subprocess.DEVNULL)\n"
        "print(started.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    deadline = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_record_survives_being_saved_and_tells_a_later_process_of_the_same_id_apart(tmp_path: Path) -> None:
    me = psutil.Process()
    record = Record(me.pid, me.create_time(), State.READY, None, {"kafka": Process(State.READY, 1, 2, 3.5, "why")})
    record.save(tmp_path / "stack.json")
    assert Record.load(tmp_path / "stack.json") == record
    assert record.is_alive()
    assert not replace(record, created=me.create_time() - 100).is_alive()
    assert record.process("kafka") is None  # process 1 is no child of this one
    assert Record.load(tmp_path / "none.json") is None


def test_a_stack_keeps_its_data_and_ends_whole(tmp_path: Path) -> None:
    stack = start(tmp_path / "home", deployment="parindex.test", only=["postgres"])
    try:
        record = stack.record
        assert record is not None
        assert list(record.processes) == ["postgres"]
        with pytest.raises(Fault, match="the stack is up without kafka"):
            start(stack.home.path, only=["kafka"])
        killed = stack.kill("postgres")
        assert stack.wait_ready("postgres", after=killed, seconds=30) != killed
        family = psutil.Process(record.pid).children(recursive=True)
        assert stack.down()
        assert not stack.down()
        assert [process.pid for process in family if process.is_running()] == []
        again = start(stack.home.path, only=["postgres"])
        assert again.home == stack.home
        assert again.postgres_admin_url == stack.postgres_admin_url
    finally:
        Stack.load(tmp_path / "home").reset()
    assert not (tmp_path / "home").exists()
