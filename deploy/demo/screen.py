"""What the demonstration shows while it plays: its steps, and the provisional table that moves as events flow."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy.client import Client, Refused
from deploy.demo.patience import until

PAUSE: Final = 0.15
"""Seconds between two reads of the table at least; a read itself waits until there is something new."""
NAME: Final = "Cơ quan\nAgency"
COLUMNS: Final = (
    "Hạng\nRank",
    NAME,
    "Tự chấm\nSelf",
    "Thẩm định\nAppraised",
    "Còn mở\nOpen",
    "Điều tra\nSurvey",
    "Tạm tính\nTotal",
)


class Screen:
    """Tells the steps, with the seconds since `begun` (of the monotonic clock), and shows the live table of one period.

    Where the output is no terminal, the table is printed as a few lines at the end of a step instead of moving.
    """

    def __init__(self, console: Console, begun: float, period: str) -> None:
        self._console, self._begun, self._period = console, begun, period
        self._body: dict[str, Any] = {"rows": [], "heads": {}}
        self._following: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def following(self, reader: Client) -> AsyncIterator[None]:
        """Keep the table up to date with what `reader` may see, and moving on a terminal."""
        live = Live(console=self._console, get_renderable=self._table, refresh_per_second=8, transient=True)
        self._following = asyncio.create_task(self._follow(reader), name="live table")
        try:
            with live if self._console.is_terminal else nullcontext():
                yield
        finally:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    def tell(self, vi: str, en: str) -> None:
        """One line: what has just been done."""
        self._console.print(
            f"[dim]{time.monotonic() - self._begun:5.1f} s[/]  {vi} [dim]· {en}[/]",
            highlight=False,
            soft_wrap=not self._console.is_terminal,
        )

    async def reach(self, sizes: Mapping[str, int]) -> None:
        """Wait until the table is computed from logs of these sizes; where it does not move, print it then.

        Raises Fault if that takes longer than `SECONDS`.
        """

        async def reached() -> bool:
            if self._following is not None and self._following.done():
                self._following.result()  # raises what ended it
            heads = self._body["heads"]
            return all(heads[log]["size"] >= size if log in heads else not size for log, size in sizes.items())

        await until(reached, "the table does not come up to date; see `parindex status`")
        if not self._console.is_terminal:
            for row in self._body["rows"]:
                self._console.print(f"         {_line(row)}", highlight=False, soft_wrap=True)

    async def _follow(self, reader: Client) -> None:
        query = ""
        while True:
            try:
                self._body = await reader.get("scoring", f"/periods/{self._period}/table{query}")
                query = f"?after={self._body['version']}"
            except Refused as refused:
                if refused.code != "period-unknown":  # the scoring service has not heard of the period yet
                    raise
            await asyncio.sleep(PAUSE)

    def _table(self) -> Table:
        sizes = {log.partition("/")[0]: head["size"] for log, head in sorted(self._body["heads"].items())}
        heads = "  ".join(f"{service} {size}" for service, size in sizes.items())
        caption = f"tính từ / computed from: {heads}" if heads else "…"
        table = Table(title=f"Bảng tạm tính / provisional table, {self._period}", caption=caption)
        for heading in COLUMNS:
            table.add_column(heading, justify="left" if heading == NAME else "right", no_wrap=heading != NAME)
        for row in self._body["rows"]:
            table.add_row(*cells(row))
        return table


def cells(row: Mapping[str, Any]) -> list[Text]:
    """A row of the provisional table as it is shown, with comma decimals."""
    shown = [
        str(row.get("rank") or "–"),
        row["name_vi"],
        comma(row["self_assessed"]),
        comma(row["appraised"]),
        str(row["appraised_open"]),
        comma(row["survey"]),
        comma(row["total"]),
    ]
    return [Text(cell, style="bold" if place in {1, 6} else "") for place, cell in enumerate(shown)]


def comma(number: str) -> str:
    """A decimal as it is written here: at least two digits after a comma (`90,05`)."""
    whole, _, rest = number.partition(".")
    return f"{whole},{rest:0<2}"


def _line(row: Mapping[str, Any]) -> str:
    rank, name, declared, appraised, left, survey, total = (cell.plain for cell in cells(row))
    return (
        f"{rank:>2}  {name:<36} tự đánh giá {declared:>6}  thẩm định {appraised:>6} (còn {left:>2})"
        f"  điều tra {survey:>6}  tổng {total:>6}"
    )
