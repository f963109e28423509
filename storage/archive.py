"""One trace as one file, to keep, to send, and to read into another database.

The format is JSON Lines in UTF-8. The first line is a header, then comes a line for each event, then a line
that says how many there were, so that a file cut short is noticed::

    {"format": "anabranch-trace", "version": 1, "task": {"id": …, "question": …, …}}
    {"seq": 0, "type": "run_started", "path": "", "at": 1767225600.0, "data": {…}}
    {"events": 1}

Texts are written in place, without references. Reading a file and writing it again gives the same bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from storage import codec
from storage.errors import ArchiveError, IllegalTransition, JournalDamaged
from storage.events import Event, EventType
from storage.reading import Reading, explained
from storage.store import Store
from storage.tasks import Task, TaskStatus

FORMAT = "anabranch-trace"
VERSION = 1
"""Increased when a reader of the previous version would misunderstand a file."""

_UNTOLD = ("lease_owner", "lease_expires_at", "damage")  # an ended task that can be exported has none
_FIELDS = tuple(field.name for field in fields(Task) if field.name not in _UNTOLD)
_TASK = TypeAdapter(Task)


async def export(store: Store, task_id: str) -> AsyncIterator[str]:
    """The lines of the file, each with its newline. Holds one page of events in memory.

    Raises:
        TaskNotFound: there is no such task.
        IllegalTransition: it has not ended, so its journal is not complete.
        JournalDamaged: its row or its journal cannot be read.
    """
    task = await store.get(task_id)
    if task.damage is not None:
        raise JournalDamaged(task.damage)
    if not task.status.terminal:
        raise IllegalTransition(f"task {task_id} is {task.status}; it can be exported when it has ended")
    values = asdict(task)
    yield _line({"format": FORMAT, "version": VERSION, "task": {name: values[name] for name in _FIELDS}})
    count = 0
    async for event in store.read(task_id):
        yield _line(
            {"seq": event.seq, "type": event.type, "path": event.path, "at": event.at, "data": event.data}
        )
        count += 1
    yield _line({"events": count})


async def restore(
    store: Store,
    lines: Iterable[str],
    *,
    tenant: str | None = None,
    check: Callable[[Task], object] | None = None,
) -> Task:
    """Read a file into ``store`` under the task's old id, for ``tenant`` or, if None, for its old tenant.

    ``check`` looks at the task before anything is stored, and raises ValueError to refuse it.

    Raises:
        ArchiveError: the file is not of this format, or is incomplete; the message names the line.
        TaskExists: the store has a task with that id or idempotency key.
        JournalConflict: the events contradict each other.
    """
    numbered = ((number, _object(number, line)) for number, line in enumerate(lines, 1) if line.strip())
    task = _task(*_next(numbered, "header"))
    if tenant is not None:
        task = replace(task, tenant=tenant)
    if check is not None:
        try:
            check(task)
        except ValidationError as error:
            raise ArchiveError(f"line 1: {explained(error, most=5)}") from None
        except ValueError as error:
            raise ArchiveError(f"line 1: {error}") from error
    events: list[Event] = []
    reading = Reading(task.id)
    for number, members in numbered:
        if "events" in members:
            if members["events"] != len(events):
                raise ArchiveError(
                    f"line {number}: the file had {members['events']} events, but {len(events)} are left"
                )
            if (more := next(numbered, None)) is not None:
                raise ArchiveError(f"line {more[0]}: there is something after the last line")
            return await store.restore(task, events)
        event = _event(number, members, len(events))
        try:
            reading.check(event)
        except JournalDamaged as error:
            raise ArchiveError(f"line {number}: {error}") from None
        events.append(event)
    raise ArchiveError(f"the file ends after {len(events)} events, without the line that counts them")


def _line(members: Mapping[str, Any]) -> str:
    return codec.dumps(members) + "\n"


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        members = json.loads(line, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"line {number} is not JSON: {error}") from error
    if not isinstance(members, dict):
        raise ArchiveError(f"line {number} is not a JSON object")
    return members


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


def _next(numbered: Iterator[tuple[int, dict[str, Any]]], what: str) -> tuple[int, dict[str, Any]]:
    try:
        return next(numbered)
    except StopIteration:
        raise ArchiveError(f"the file is empty; its first line should be the {what}") from None


def _task(number: int, header: Mapping[str, Any]) -> Task:
    if header.get("format") != FORMAT:
        raise ArchiveError(f'line {number} is not a header of this format: it has no "format": "{FORMAT}"')
    if header.get("version") != VERSION:
        raise ArchiveError(
            f"line {number}: the file has version {header.get('version')!r} of the format, but this program "
            f"reads version {VERSION}; read it with the version of anabranch that wrote it, or a newer one"
        )
    values = header.get("task")
    if not isinstance(values, dict) or set(values) != set(_FIELDS):
        odd = set(values if isinstance(values, dict) else ()) ^ set(_FIELDS)
        raise ArchiveError(f"line {number}: the task's fields differ: {', '.join(sorted(odd))}")
    try:
        task = _TASK.validate_python({**values, "status": TaskStatus(values["status"])})
    except ValidationError as error:
        raise ArchiveError(f"line {number}: {explained(error, most=5)}") from None
    except ValueError as error:
        raise ArchiveError(f"line {number}: {error}") from error
    if not task.status.terminal:
        raise ArchiveError(
            f"line {number}: the task is {task.status}; only tasks that have ended can be read"
        )
    for wrong, why in (
        (task.finished_at is None, "finished_at: a task that has ended must have one"),
        (not 0 <= task.attempts <= task.lease_fence, "attempts: there cannot be more than lease_fence"),
        (task.fork_at is not None and task.parent_id is None, "fork_at: a fork must have a parent_id"),
    ):
        if wrong:
            raise ArchiveError(f"line {number}: {why}")
    return task


def _event(number: int, members: Mapping[str, Any], expected: int) -> Event:
    match members:
        case {
            "seq": int(seq),
            "type": str(kind),
            "path": str(path),
            "at": int() | float() as at,
            "data": dict(data),
        } if len(members) == 5:
            pass
        case _:
            raise ArchiveError(f"line {number} is not an event: it should have seq, type, path, at and data")
    if seq != expected:
        raise ArchiveError(f"line {number}: event {seq} comes where {expected} should")
    try:
        return Event(seq, EventType(kind), path, float(at), data)
    except ValueError as error:
        raise ArchiveError(f"line {number}: {error}") from error
