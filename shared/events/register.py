"""What every service's register records: which logs exist and with which key."""

from typing import Annotated, ClassVar

from pydantic import Field

from shared.events import Event, Id


class RegisterOpened(Event):
    """The first entry of a register: the deployment, and the table that holds the offset of its clock.

    `clock_offset` is the offset in whole microseconds when the register was opened: 0 unless the deployment's name ends
    in `.demo` or `.test`.
    """

    type: ClassVar[str] = "*.register-opened.v1"
    deployment: Annotated[str, Field(min_length=1, max_length=200)]
    clock_table: str
    clock_offset: int


class LogOpened(Event):
    """A log exists: its name, its verification key, the generation that the key comes from, its partition."""

    type: ClassVar[str] = "*.log-opened.v1"
    log: str
    key: str
    generation: Id
    partition: int


EVENTS: tuple[type[Event], ...] = (RegisterOpened, LogOpened)
