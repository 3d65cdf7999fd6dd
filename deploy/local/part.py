"""A part of the stack: one process, what it needs, how it is started, when it is ready, how it is stopped."""

import asyncio
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from deploy.fault import Fault

NOBODY: Final = 65_534
_SET_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG, prctl(2)


class NotReady(Exception):
    """A part does not answer yet; its text says what was seen."""


async def nothing() -> None:
    """For a part that needs no more when it is ready."""


@dataclass(frozen=True)
class Launch:
    """A program to start. With `unprivileged` root gives its rights away, for programs that refuse root."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    unprivileged: bool = False

    def start(self, output: IO[bytes] | int, death: signal.Signals = signal.SIGKILL) -> subprocess.Popen[bytes]:
        """Start it in a process group of its own; it gets the signal `death` when the process that started it dies."""
        parent, libc = os.getpid(), ctypes.CDLL(None) if sys.platform == "linux" else None
        argv, options = list(self.argv), dict[str, Any]()
        if self.unprivileged and os.geteuid() == 0:
            if _open_to_all(Path(argv[0])) and _open_to_all(self.cwd.parent):
                options = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            else:
                argv = [*_nobody_who_may_pass(death), *argv]

        def die_with_parent() -> None:
            if libc is not None:
                libc.prctl(_SET_DEATH_SIGNAL, int(death))
                if os.getppid() != parent:
                    os._exit(1)

        try:
            return subprocess.Popen(  # noqa: S603 - the argument list is this package's own
                argv,
                cwd=self.cwd,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **self.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, prepared before the fork
                **options,
            )
        except OSError as error:
            raise Fault(f"cannot start {argv[0]}: {error.strerror or error}") from error

    async def complete(self, log: Path, seconds: float = 60) -> None:
        """Run it to its end. Raises Fault with its last line if it fails."""
        with log.open("ab") as output:
            process = self.start(output)
        try:
            code = await asyncio.wait_for(asyncio.to_thread(process.wait), seconds)
        except TimeoutError:
            process.kill()
            raise Fault(f"{Path(self.argv[0]).name} took more than {seconds:g} s; see {log}") from None
        if code != 0:
            raise Fault(f"{Path(self.argv[0]).name} failed: {last_line(log)}")


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    `launch` prepares what the process needs and says how it is started, at each start; `ready` returns when it
    answers and raises NotReady otherwise; `settle` runs after the first answer, again while it raises NotReady.
    A process that ends before it was ready is started again for `retry` seconds. `stop` asks it to end; after
    `patience` seconds it is killed; `death` is what it gets when the supervisor dies.
    """

    name: str
    launch: Callable[[], Awaitable[Launch]]
    ready: Callable[[], Awaitable[None]]
    needs: tuple[str, ...] = ()
    settle: Callable[[], Awaitable[None]] = nothing
    retry: float = 2.0
    stop: signal.Signals = signal.SIGTERM
    death: signal.Signals = signal.SIGKILL
    patience: float = 8.0


def last_line(log: Path) -> str:
    """The last line of a log that says something, at most 300 characters."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 8192))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return f"nothing in {log}"
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), f"nothing in {log}")


def own_by_nobody(path: Path) -> None:
    """Give a file or folder to the user that unprivileged programs run as."""
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


def _open_to_all(path: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


def _nobody_who_may_pass(death: signal.Signals) -> list[str]:
    """The words before a program that runs as nobody but may pass folders such as root's own, and read there.

    It changes nothing that is not its own. `access(2)` drops the capability of a user that is not root unless the
    fix-up of capabilities is off, and PostgreSQL checks its programs with that call.
    """
    if shutil.which("setpriv") is None:
        raise Fault("root cannot run PostgreSQL in a folder of its own: install setpriv, or be another user")
    nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    passing = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--securebits=+no_setuid_fixup"]
    return [*nobody, *passing, f"--pdeathsig={death.name.removeprefix('SIG')}"]
