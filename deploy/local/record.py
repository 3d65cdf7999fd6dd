"""The record that a supervisor keeps of itself and its processes, `stack.json`, for the command line and tests."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import psutil

from deploy.fault import Fault
from deploy.local.home import write_private


class State(StrEnum):
    """Where a process, or the stack as a whole, stands."""

    WAITING = "waiting"  # for what it needs
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass
class Process:
    """One process: `since` is the time of its state in seconds since 1970, `cause` what ended or hinders it."""

    state: State = State.WAITING
    pid: int | None = None
    restarts: int = 0
    since: float = 0.0
    cause: str | None = None


@dataclass
class Record:
    """The supervisor, told apart from a later process of the same id by `created`, and its processes by name."""

    pid: int
    created: float
    state: State = State.STARTING
    cause: str | None = None
    processes: dict[str, Process] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """What stands in the file; None if there is none. Raises Fault if it cannot be read."""
        try:
            body = json.loads(path.read_text())
            processes = {name: _process(value) for name, value in body.pop("processes").items()}
            return cls(**body | {"state": State(body["state"])}, processes=processes)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Fault(f"cannot read {path}: {error}; delete it if no stack is up") from error

    def save(self, path: Path) -> None:
        """Replace the file."""
        write_private(path, json.dumps(asdict(self), indent=1) + "\n")

    def is_alive(self) -> bool:
        """Whether this very supervisor still runs."""
        process = _running(self.pid)
        return process is not None and abs(process.create_time() - self.created) < 1

    def process(self, name: str) -> psutil.Process | None:
        """The running process of this name, if it is the supervisor's own child."""
        known = self.processes.get(name)
        found = _running(known.pid) if known is not None and known.pid is not None else None
        return found if found is not None and found.ppid() == self.pid else None


def _process(body: Mapping[str, Any]) -> Process:
    return Process(**{**body, "state": State(body["state"])})


def _running(pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None
