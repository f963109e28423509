"""The live view of a run, drawn on a terminal while it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orchestrator.cli.saying import clear
from orchestrator.cli.terminal import cell
from orchestrator.cli.transfer import Transfer
from orchestrator.cli.view import SCOPES, WORK, Row, RunView, Vote
from orchestrator.structured import task_group
from orchestrator.visible import one_line
from workers.engines.vllm.supervision import Starting
from workers.models.files import Progress as Download

REFRESH_SECONDS = 0.125
DEEPEST = 8
"""Levels of scopes that are indented."""
SYMBOLS = {
    "succeeded": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "cancelled": "[dim]-[/]",
    "waiting": "[dim]·[/]",
}
OUTCOMES = {"undecided": "yellow", "abstained": "yellow", "limited": "yellow", "failed": "red"}
"""The colours of the outcomes that are not as wished."""


class Display:
    """Draws a :class:`RunView` on a terminal, and before that the start of the engine."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.time) -> None:
        self.view = RunView()
        self._console = console
        self._clock = clock
        self._progress: Download | Starting | None = None
        self._transfer = Transfer()
        self._spinner = Spinner("dots")

    def preparing(self, progress: Download | Starting) -> None:
        """Take note of the progress of a model's download or a server's start."""
        self._progress = progress
        if isinstance(progress, Download):
            self._transfer.take(progress)

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Draw while the block runs; the last drawing stays on the screen."""
        clear()
        with Live(self, console=self._console, auto_refresh=False, redirect_stdout=False) as live:

            async def draw() -> None:
                while True:
                    live.refresh()
                    await asyncio.sleep(REFRESH_SECONDS)

            async with task_group() as group:
                drawing = group.create_task(draw(), name="live view")
                try:
                    yield
                finally:
                    drawing.cancel()

    def __rich__(self) -> RenderableType:
        if self.view.started_at is None:
            return self._preparing()
        room = max(4, self._console.height - 8 - 2 * len(self.view.votes))
        return Group(self._head(), self._table(room), *self._votes())

    def _preparing(self) -> RenderableType:
        match self._progress:
            case Download(done, total, source) if done < total:
                line = Table.grid(padding=(0, 1))
                line.add_row(
                    "fetching the model",
                    ProgressBar(total, done, width=30),
                    self._transfer.told(),
                    Text(f"from {source}", style="dim", overflow="ellipsis", no_wrap=True),
                )
                return line
            case Starting(server, seconds, said):
                text = Text(f"starting {server} · {seconds:.0f} s  ", no_wrap=True, overflow="ellipsis")
                self._spinner.update(text=text.append(one_line(said), style="dim"))
            case _:
                self._spinner.update(text="starting the engine …")
        return self._spinner

    def _head(self) -> RenderableType:
        view = self.view
        text = view.headline(self._clock())
        if view.finished_at is not None:
            return Text.assemble(
                (f"{text} · ", "bold"), (view.outcome, f"bold {OUTCOMES.get(view.outcome, '')}")
            )
        self._spinner.update(text=Text(text, style="bold"))
        return self._spinner

    def _table(self, room: int) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=40)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        shown, hidden = _fitting(list(self.view.rows.values()), room)
        for row in shown:
            table.add_row(*self._cells(row))
        if hidden:
            running = sum(row.state == "running" for row in hidden)
            table.add_row("", f"[dim]… {len(hidden)} more, {running} of them running[/]")
        return table

    def _cells(self, row: Row) -> Iterator[RenderableType]:
        if row.state == "running" and row.kind not in SCOPES:
            yield Text(self._spinner.render(self._clock()).plain[:1], style="cyan")  # type: ignore[union-attr]
        else:
            yield SYMBOLS.get(row.state, " ")
        yield f"{'  ' * min(row.path.count('.'), DEEPEST)}{cell(first_line(row.label or row.kind))}"
        yield f"{row.tokens:,} tok" if row.tokens else ""
        end = row.settled_at or (self._clock() if row.state == "running" else None)
        timed = row.started_at is not None and end is not None and row.kind in WORK
        yield f"{end - row.started_at:.1f} s" if timed else ""  # type: ignore[operator]
        if row.cluster is not None:
            yield f"[bold]{letter(row.cluster)}[/] {cell(first_line(row.claim))}"
        elif row.state == "running" and row.text:
            yield Text(latest(row.text, max(20, self._console.width - 66)), style="dim", no_wrap=True)
        else:
            yield f"[dim]{cell(first_line(row.claim or row.remark))}[/]"

    def _votes(self) -> Iterator[RenderableType]:
        for vote in self.view.votes.values():
            if vote.counts:
                yield _agreement(vote)
            if vote.verdict:
                yield Text(first_line(vote.verdict), style="dim", overflow="ellipsis", no_wrap=True)


def _agreement(vote: Vote) -> RenderableType:
    """Who agreed: the clusters with their counts, and the entropy so far."""
    ranked = sorted(enumerate(vote.counts), key=lambda pair: -pair[1])
    parts = [
        f"[bold]{letter(cluster)}[/] {cell(first_line(vote.claims.get(cluster, ''), 24))} "
        f"[green]{'█' * min(count, 24)}[/] {count}"
        for cluster, count in ranked[:4]
    ]
    if len(ranked) > 4:
        parts.append(f"[dim]and {len(ranked) - 4} more[/]")
    if vote.entropy is not None:
        parts.append(f"entropy {vote.entropy:.2f} nats")
    return Text.from_markup("   ".join(parts), overflow="ellipsis", emoji=False)


def _fitting(rows: list[Row], room: int) -> tuple[list[Row], list[Row]]:
    """The rows that fit, in order, and the rest; running rows take precedence, then the latest."""
    if len(rows) <= room:
        return rows, []
    ranked = sorted(range(len(rows)), key=lambda i: (rows[i].state != "running", -i))
    kept = set(ranked[:room])
    return [rows[i] for i in sorted(kept)], [row for i, row in enumerate(rows) if i not in kept]


def letter(cluster: int) -> str:
    """A short name for a cluster: A, B, …, Z, then numbers."""
    return chr(ord("A") + cluster) if cluster < 26 else str(cluster + 1)


def first_line(text: str, width: int = 80) -> str:
    """The text on one line, cut if it is long."""
    line = one_line(" ".join(text[: 20 * width].split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"


def latest(text: str, width: int = 80) -> str:
    """The end of a text that is still being written, on one line."""
    line = one_line(" ".join(text.split()))
    return line if len(line) <= width else f"…{line[1 - width :]}"
