"""The supervisor: starts the parts of a stack, restarts one that dies, and ends them all when it is asked to end."""

import asyncio
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import psutil

from deploy.fault import Fault
from deploy.local import compose, kafka, postgres, seaweedfs, services, zipkin
from deploy.local.home import SERVICES, Home
from deploy.local.part import Launch, NotReady, Part, last_line
from deploy.local.record import Process, Record, State

STOP_ORDER: Final = (SERVICES, ("zipkin", "traces", "kafka", "s3"), ("postgres",))
POLL: Final = 0.15  # seconds between two questions whether a part is ready
ANSWER: Final = 10.0  # seconds that one such question may take
START: Final = 150.0  # seconds from its first start in which a part must be ready
FIRST_PAUSE: Final = 0.1  # seconds before a restart, doubled up to LAST_PAUSE while the part does not stay up
LAST_PAUSE: Final = 5.0
STEADY: Final = 10.0  # seconds of being up after which the pause begins small again
MAX_LOG: Final = 16 * 1024 * 1024  # bytes after which a start begins a new log file and keeps one old one


def parts(home: Home, names: Sequence[str]) -> list[Part]:
    """The parts of these names, as the compose file has them."""
    containers = compose.read(home.variables)
    every = [
        postgres.part(home, containers["postgres"]),
        kafka.part(home, containers["kafka"]),
        seaweedfs.part(home, containers["s3"]),
        *zipkin.parts(home),
        *(services.part(home, name, containers[name], containers) for name in SERVICES),
    ]
    return [part for part in every if part.name in names]


class Keeper:
    """Keeps one part up: its process, its readiness, its restarts, its log."""

    def __init__(self, part: Part, log: Path, state: Process, changed: Callable[[], None]) -> None:
        self.part, self._log, self._state, self._changed = part, log, state, changed
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self.settled = asyncio.Event()

    async def run(self, needs: Sequence["Keeper"]) -> None:
        """Start the part when what it needs has settled; keep it up until `stop`. Raises Fault if it cannot start."""
        for keeper in needs:
            await keeper.settled.wait()
        begun, pause = time.monotonic(), FIRST_PAUSE
        while not self._stopping:
            started = time.monotonic()
            await self._start()
            if await self._until_ready(begun):
                self._set(State.READY)
                await self._ended()
            if self._stopping:
                return
            if not self.settled.is_set() and time.monotonic() - begun > self.part.retry:
                raise Fault(f"{self.part.name} ended before it was ready: {last_line(self._log)}")
            cause = f"ended with {self._code()}: {last_line(self._log)}"
            self._state.restarts += 1
            self._set(State.RESTARTING, cause)
            pause = FIRST_PAUSE if time.monotonic() - started > STEADY else min(pause * 2, LAST_PAUSE)
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        """Ask the process to end, and kill its group when it does not."""
        self._stopping = True
        if self._process is not None and self._process.poll() is None:
            self._set(State.STOPPING)
            self._process.send_signal(self.part.stop)
            try:
                await asyncio.wait_for(self._ended(), self.part.patience)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                await self._ended()
        self._set(State.STOPPED)

    async def _start(self) -> None:
        launch = await self.part.launch()
        self._process = self._spawn(launch)
        self._state.pid = self._process.pid
        self._set(State.STARTING, self._state.cause)

    def _spawn(self, launch: Launch) -> subprocess.Popen[bytes]:
        with _open_log(self._log) as output:
            return launch.start(output, self.part.death)

    async def _until_ready(self, begun: float) -> bool:
        """Whether the part answers before its process ends. Raises Fault when the first start takes too long."""
        assert self._process is not None
        cause = "no answer"
        while self._process.poll() is None:
            try:
                await asyncio.wait_for(self.part.ready(), ANSWER)
                if not self.settled.is_set():
                    await self.part.settle()
                    self.settled.set()
                return True
            except (NotReady, TimeoutError) as error:
                cause = str(error) or cause
            if self._stopping:
                return False
            if not self.settled.is_set() and time.monotonic() - begun > START:
                raise Fault(f"{self.part.name} is not ready after {START:g} s: {cause}")
            await asyncio.sleep(POLL)
        return False

    async def _ended(self) -> None:
        assert self._process is not None
        while self._process.poll() is None:  # noqa: ASYNC110 - nothing tells of a process' end but asking
            await asyncio.sleep(0.05)

    def _code(self) -> str:
        code = 0 if self._process is None else self._process.returncode
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _set(self, state: State, cause: str | None = None) -> None:
        self._state.state, self._state.cause, self._state.since = state, cause, time.time()
        if state in {State.RESTARTING, State.STOPPED}:
            self._state.pid = None
        self._changed()


class Supervisor:
    """All keepers of one home, and the record of them."""

    def __init__(self, home: Home, names: Sequence[str]) -> None:
        me = psutil.Process()
        self._home = home
        self._record = Record(me.pid, me.create_time())
        self._keepers: dict[str, Keeper] = {}
        for part in parts(home, names):
            state = self._record.processes[part.name] = Process(since=time.time())
            self._keepers[part.name] = Keeper(part, home.log(part.name), state, self._save)
        self._asked = asyncio.Event()

    async def run(self) -> bool:
        """Run until a signal to end, or until a part fails at its first start; whether all went well."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._asked.set)
        self._save()
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(self._keep(keeper)) for keeper in self._keepers.values()]
        tasks += [asyncio.create_task(self._all_settled()), asyncio.create_task(self._asked.wait())]
        await self._asked.wait()
        failed = self._record.state is State.FAILED
        if not failed:
            self._set(State.STOPPING)
        for names in STOP_ORDER:
            await asyncio.gather(*(self._keepers[name].stop() for name in names if name in self._keepers))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not failed:
            self._set(State.STOPPED)
        return not failed

    async def _keep(self, keeper: Keeper) -> None:
        needs = [self._keepers[name] for name in keeper.part.needs if name in self._keepers]
        try:
            await keeper.run(needs)
        except Fault as fault:
            self._fail(str(fault))
        except Exception as error:
            # a part that nobody keeps must not look like one that runs
            logging.exception("keeping %s failed", keeper.part.name)
            self._fail(f"{keeper.part.name}: {type(error).__name__}: {error}")

    async def _all_settled(self) -> None:
        for keeper in self._keepers.values():
            await keeper.settled.wait()
        self._set(State.READY)

    def _fail(self, cause: str) -> None:
        logging.error(cause)
        if self._record.state is not State.FAILED:
            self._set(State.FAILED, cause)
        self._asked.set()

    def _set(self, state: State, cause: str | None = None) -> None:
        self._record.state, self._record.cause = state, cause
        self._save()

    def _save(self) -> None:
        self._record.save(self._home.record)


def _open_log(path: Path) -> IO[bytes]:
    if path.exists() and path.stat().st_size > MAX_LOG:
        path.replace(path.with_suffix(".old.log"))
    return path.open("ab")


def main() -> None:
    """`python -m deploy.local.supervisor HOME PART…`: one supervisor a home."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it reports every attempt to reach a broker that starts
    home = Home.load(Path(sys.argv[1]))
    with (home.path / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit("another supervisor runs in this home") from None
        raise SystemExit(0 if asyncio.run(_run(home)) else 1)


async def _run(home: Home) -> bool:
    return await Supervisor(home, sys.argv[2:]).run()


if __name__ == "__main__":
    main()
