"""A figure of the benchmark: what was measured, beside its floor, its target and what others reached."""

import json
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Self


@dataclass(frozen=True)
class Figure:
    """One measured figure; `unit` is `/s` (more is better) or `ms` (less is better).

    `floor` is what the machine does in the same run without what is measured. `target` is of the figure itself, or with
    `of_floor` of its ratio to the floor. `others` is what other systems reached on such a machine, as published.
    """

    name: str
    unit: str
    value: float
    floor_name: str
    floor: float
    target: float | None = None
    of_floor: bool = False
    others: str = ""

    @property
    def ratio(self) -> float:
        """The figure as a part of its floor."""
        return self.value / self.floor

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        reached = self.ratio if self.of_floor else self.value
        return reached <= self.target if self.unit == "ms" else reached >= self.target

    def line(self) -> str:
        """The figure as a line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of_line(cls, line: str) -> Self:
        """Read back `line`."""
        return cls(**json.loads(line))


def tell(figures: Iterable[Figure]) -> None:
    """Hand figures to the process that prints the table."""
    sys.stdout.writelines(f"{figure.line()}\n" for figure in figures)
    sys.stdout.flush()


def rounds(count: int, budget: float) -> Iterator[int]:
    """The numbers of so many rounds; on a slow machine fewer, but one: none begins after so many seconds."""
    until = monotonic() + budget
    for number in range(count):
        if number and monotonic() > until:
            return
        yield number


def median(values: Sequence[float]) -> float:
    """The middle of what some rounds gave."""
    return statistics.median(values)


def percentile(values: Sequence[float], per_cent: int) -> float:
    """The smallest value that so many per cent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * per_cent // 100) - 1]
