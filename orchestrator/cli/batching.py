"""The command ``batch``: a file of questions in, the result of each of its lines out."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import typer

from orchestrator.api.batching import bodies_of
from orchestrator.batches.lines import FIELDS, Line, read_lines
from orchestrator.batches.records import Record, is_csv, read_records
from orchestrator.batches.results import CANNOT_BE_ENCODED, Result, csv_header, result_of
from orchestrator.batches.running import running
from orchestrator.cli.ending import INTERRUPTED, TERMINATED, run_here
from orchestrator.cli.saying import clear, tell
from orchestrator.cli.solving import Inputs, handing_back, opened
from orchestrator.cli.tallying import Tally, shown
from orchestrator.cli.ticking import Announcer
from orchestrator.errors import AnabranchError, HandedBack, InvalidRequest
from orchestrator.settings import Settings
from orchestrator.tasks.service import Service

FAILED = 1
TOLD_PROBLEMS = 10
"""Of so many wrong lines it is said before the first call what is wrong; of all of them in the results."""

GO_ON = "the same command goes on from here"


@dataclass(frozen=True, slots=True)
class Files:
    """What is read and what is written. ``out`` None: standard output, as JSON Lines.

    ``carry`` names what lines have besides their questions, and what their results repeat.
    """

    file: Path
    out: Path | None
    carry: tuple[str, ...] = ()
    limit: int | None = None

    def records(self) -> list[Record]:
        """The lines of the file.

        Raises:
            InvalidRequest: it cannot be read, or would be overwritten.
        """
        if self.out is not None and self.out.exists() and self.file.exists() and self.out.samefile(self.file):
            raise InvalidRequest(f"--out: {self.out} is the file of the questions; name another")
        fields = FIELDS - set(self.carry)
        return read_records(self.file, fields=fields, limit=self.limit)


class Writer:
    """Writes results in the order of the lines, each as soon as all before it are there."""

    def __init__(self, file: TextIO, order: Sequence[Line], *, carry: tuple[str, ...], as_csv: bool) -> None:
        self._file = file
        self._order = [line.number for line in order]
        self._waiting: dict[int, Result] = {}
        self._next = 0
        self._carry = carry
        self._as_csv = as_csv
        self._begun = False

    async def take(self, result: Result) -> None:
        """Take a result; the disk may take its time."""
        await asyncio.to_thread(self._take, result)

    def _take(self, result: Result) -> None:
        if self._as_csv and not self._begun:
            self._file.write(csv_header(self._carry))
        self._begun = True
        self._waiting[result.line] = result
        while self._next < len(self._order) and (ready := self._waiting.pop(self._order[self._next], None)):
            self._file.write(ready.as_csv(self._carry) if self._as_csv else ready.as_json())
            self._next += 1
        self._file.flush()


def batch_here(
    files: Files, inputs: Inputs, settings: Settings, *, name: str | None, at_once: int, quiet: bool
) -> None:
    """Answer the questions of a file in this process, and write the result of each line.

    Lines that were answered before under the same name, by the same model in the same way, are not answered
    again; those that were interrupted go on.

    Raises:
        InvalidRequest: the file or an option is wrong, or two lines have the same id.
        Unavailable: the engine or the database cannot be used.
        typer.Exit: a line has no answer, or Ctrl-C or a SIGTERM came.
    """
    records, toolbox = files.records(), inputs.toolbox(settings)
    tally = Tally(len(records))

    async def run() -> None:
        async with opened(settings, toolbox, Announcer()) as service, handing_back(service):
            lines = read_lines(
                records, inputs.asking, service.check, carry=files.carry, bodies=bodies_of(service)
            )
            _tell_problems(lines)
            async with _written(files.out) as file:
                as_csv = files.out is not None and is_csv(files.out)
                writer = Writer(file, lines, carry=files.carry, as_csv=as_csv)
                async with shown(tally, quiet=quiet):
                    await _run(service, lines, name or files.file.name, at_once, tally, writer)

    try:
        run_here(run())
    except KeyboardInterrupt:
        clear()
        tell(f"interrupted: {tally.told()}; {_way_on(settings)}")
        raise typer.Exit(INTERRUPTED) from None
    except HandedBack:
        tell(f"interrupted: {tally.told()}; {_way_on(settings)}")
        raise typer.Exit(TERMINATED) from None
    if not quiet:
        where = "" if files.out is None else f"; written to {files.out}"
        tell(f"{tally.told()}{where}")
    if tally.failed:
        raise typer.Exit(FAILED)


async def _run(
    service: Service, lines: Sequence[Line], name: str, at_once: int, tally: Tally, writer: Writer
) -> None:
    async with running(service, lines, name, at_once) as results:
        async for line, came_of, ran in results:
            result = result_of(line, came_of)
            tally.take(result, ran=ran)
            await writer.take(result)


def _tell_problems(lines: Sequence[Line]) -> None:
    wrong = [(line.number, line.task) for line in lines if isinstance(line.task, AnabranchError)]
    for number, why in wrong[:TOLD_PROBLEMS]:
        tell(f"line {number}: {why}")
    if len(wrong) > TOLD_PROBLEMS:
        tell(f"{len(wrong) - TOLD_PROBLEMS:,} more lines are wrong; their results say why")


def _way_on(settings: Settings) -> str:
    if settings.database == "memory":
        return "nothing of it is kept, since the database is `memory`"
    return GO_ON


@asynccontextmanager
async def _written(out: Path | None) -> AsyncIterator[TextIO]:
    """A file that takes its name when the block has ended well; until then it has ``.part`` at the end."""
    if out is None:
        yield sys.stdout
        return
    part = out.with_name(f"{out.name}.part")
    file = await asyncio.to_thread(_begun, part)
    try:
        yield file
        await asyncio.to_thread(part.replace, out)  # while nobody else may write it
    finally:
        await asyncio.to_thread(file.close)


def _begun(part: Path) -> TextIO:
    """An empty file that this process alone writes; it is free again when the process has ended.

    Raises:
        InvalidRequest: it cannot be written, or another process writes it.
    """
    while True:
        try:
            file = part.open("a", encoding="utf-8", errors=CANNOT_BE_ENCODED, newline="")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(file, part):
                    file.truncate(0)
                    return file
            except BaseException:
                file.close()
                raise
            file.close()  # whoever wrote it has just given it its name
        except BlockingIOError:
            raise InvalidRequest(
                f"--out: another command writes {part}; wait for it, or name another file"
            ) from None
        except OSError as error:
            raise InvalidRequest(f"--out: {part} cannot be written: {error}") from None


def _is_at(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
