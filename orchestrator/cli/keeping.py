"""The commands that keep, move and drop traces, from ``export`` to ``requeue``; ``check`` and ``backup``."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Literal, TextIO

import typer

from orchestrator.bodies import task_body
from orchestrator.cli.elsewhere import opened_runs
from orchestrator.cli.picture import picture
from orchestrator.cli.saying import dump, say, tell
from orchestrator.client.local import StoredRuns
from orchestrator.errors import InvalidRequest, translated
from orchestrator.opening import opened_store
from orchestrator.permissions import keep_private
from orchestrator.settings import Settings
from orchestrator.tasks.recordings import import_recordings, read_recordings
from orchestrator.visible import json_spelled
from storage.archive import Limits, opened
from storage.errors import ArchiveError, JournalDamaged, StorageDamaged
from storage.listing import Place
from storage.opening import back_up, check_exists, open_store
from storage.reading import read_journal
from storage.spans import spans
from storage.store import Store
from storage.tasks import Task
from storage.trace import Trace

Format = Literal["jsonl", "otel", "svg"]
LINES = 1000
"""How many lines are written at a time."""
BEGINNING = 1000
"""How many bytes tell what a file holds."""
LARGEST_LIST = 256_000_000
"""The most bytes of a file of recorded branches, which is read as a whole."""
TASKS = 500
"""How many tasks are held in memory at a time."""
DAMAGED = 1
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def export_trace(trace_id: str, settings: Settings, *, form: Format, content: bool, to: TextIO) -> None:
    """Write one trace: as JSON Lines, which ``import`` reads, as OpenTelemetry spans, or as a picture.

    Raises:
        TaskNotFound: there is no such trace.
        Unavailable: the task has not ended, so its journal is not complete.
    """

    async def run() -> None:
        async with opened_runs(settings) as runs:
            lines: list[str] = []
            async for line in runs.export(trace_id):
                lines.append(json_spelled(line) if shown else line)
                if len(lines) == LINES:
                    await asyncio.to_thread(to.writelines, lines)
                    lines.clear()
            await asyncio.to_thread(to.writelines, lines)

    async def read() -> Trace:
        async with opened_runs(settings) as runs:
            return await runs.trace(trace_id)

    shown = to.isatty()  # a file gets the very bytes that were stored
    if form == "jsonl":
        asyncio.run(run())
    elif form == "svg":
        to.write(picture(asyncio.run(read())))
    else:
        to.write(f"{json.dumps(spans(asyncio.run(read()), content=content))}\n")


def import_files(files: Sequence[Path], settings: Settings, *, tenant: str | None, limits: Limits) -> None:
    """Read traces that ``export`` has written, or branches that others have recorded, and print their ids.

    Raises:
        InvalidRequest: a file cannot be read.
        Unavailable: a file is in neither format, is cut short, exceeds the limits, or holds a trace that is
            already stored; names the file.
    """
    recordings = {file: read_recordings(file) for file in files if _is_list(file, limits)}
    if recordings and settings.url is not None:
        raise InvalidRequest(f"{next(iter(recordings))}: recorded branches are imported into a database only")

    async def run() -> None:
        if recordings:
            async with opened_store(settings) as store:
                for file in files:
                    if (problems := recordings.get(file)) is not None:
                        for solution in await import_recordings(store, problems, tenant=tenant):
                            say(solution.trace_id)
                    else:
                        say((await StoredRuns(store).import_(file, tenant=tenant, limits=limits)).id)
            return
        async with opened_runs(settings) as runs:
            for file in files:
                say((await runs.import_(file, tenant=tenant, limits=limits)).id)

    asyncio.run(run())


def _is_list(file: Path, limits: Limits) -> bool:
    """Whether a file holds recorded branches, a JSON list. Raises like :func:`import_files`."""
    try:
        with opened(file, limits) as content:
            found = content.read(BEGINNING).lstrip().startswith(b"[")
    except ArchiveError as error:
        raise InvalidRequest(f"{file} cannot be read: {error}") from None
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}") from None
    if found and (size := file.stat().st_size) > LARGEST_LIST:
        raise InvalidRequest(f"{file} has {size:,} bytes; a list of recordings may have {LARGEST_LIST:,}")
    return found


def prune_traces(
    settings: Settings, *, older_than: str | None, keep: int | None, max_bytes: int | None, tenant: str | None
) -> None:
    """Remove ended tasks, the oldest first, until the bounds hold; print how much was removed.

    Raises:
        InvalidRequest: no bound is given, or one cannot be understood.
    """
    if older_than is None and keep is None and max_bytes is None:
        raise InvalidRequest(
            "give --older-than, --keep or --max-bytes; without a bound nothing would be removed"
        )
    seconds = None if older_than is None else read_span(older_than)

    async def run() -> str:
        async with opened_store(settings) as store:
            gone = await store.prune(older_than=seconds, keep=keep, max_bytes=max_bytes, tenant=tenant)
            files = await store.batches.prune(older_than=seconds, tenant=tenant)
            also = f"; {files} files and batches" if files else ""
            return f"removed {gone.tasks} tasks, and {gone.texts} texts that no other task uses{also}"

    say(asyncio.run(run()))


def requeue_task(task_id: str, settings: Settings) -> None:
    """Put a dead task back into the queue.

    Raises:
        TaskNotFound: there is none with that id.
        Unavailable: it is not dead.
    """

    async def run() -> None:
        async with opened_runs(settings) as runs:
            await runs.requeue(task_id)

    asyncio.run(run())
    who = "the service" if settings.url is not None else "anabranch serve"
    tell(f"{task_id} is back in the queue; {who} will run it")


def check_database(settings: Settings, *, as_json: bool) -> None:
    """Search the database for damage, and for tasks and journals that cannot be read.

    Exits with 1 if there is any.

    Raises:
        Unavailable: there is no such database, or it cannot be reached.
    """

    async def run() -> dict[str, Any]:
        found: dict[str, Any] = {"database": [], "tasks": [], "journals": [], "checked": 0}
        await check_exists(settings.database)
        await asyncio.to_thread(keep_private, settings, engine=settings.fix_permissions)
        try:
            async with await open_store(settings.database) as store:
                found["database"] += await store.check()
                async for task in _all_tasks(store):
                    found["checked"] += 1
                    if (damage := _damage(task)) is not None:
                        found["tasks"].append(damage)
                    try:
                        await read_journal(store, task.id)
                    except JournalDamaged as error:
                        found["journals"].append(str(error))
        except StorageDamaged as error:  # nothing behind this can be read
            found["database"].append(str(error))
        return found

    with translated():
        found = asyncio.run(run())
    if as_json:
        dump(found)
    else:
        for what in ("database", "tasks", "journals"):
            for line in found[what]:
                say(line)
        say(
            f"{found['checked']} tasks checked; problems of the database: {len(found['database'])}, "
            f"unreadable tasks: {len(found['tasks'])}, unreadable journals: {len(found['journals'])}"
        )
    if any(found[what] for what in ("database", "tasks", "journals")):
        raise typer.Exit(DAMAGED)


def _damage(task: Task) -> str | None:
    """What makes a task one that nobody could be shown; None if nothing does."""
    try:
        task_body(task)
    except JournalDamaged as error:
        return task.damage or str(error)
    return task.damage


async def _all_tasks(store: Store) -> AsyncIterator[Task]:
    last = None
    while page := await store.list(limit=TASKS, before=last):
        for task in page:
            yield task
        last = Place.of(page[-1])


def back_up_database(to: Path, settings: Settings, *, overwrite: bool, salvage: bool) -> None:
    """Copy the SQLite file to ``to`` while it is in use, and say how large the copy is.

    With ``salvage``, copy the rows that can be read of a damaged one.

    Raises:
        Unavailable: it cannot be copied; for PostgreSQL, the message names ``pg_dump``.
    """
    with translated():
        keep_private(settings)
        size = asyncio.run(back_up(settings.database, to.absolute(), overwrite=overwrite, salvage=salvage))
    tell(f"{to}: {size / 1e6:,.1f} MB")


def read_span(text: str) -> float:
    """``90m``, ``36h`` or ``30d`` in seconds.

    Raises:
        InvalidRequest: it is not a span of time.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if found is None:
        raise InvalidRequest(
            f"{text!r} is not a span of time; write a number with s, m, h, d or w, such as 30d"
        )
    return float(found[1]) * UNITS[found[2]]
