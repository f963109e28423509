"""One trace as one file, to keep, to send, and to read into another database.

The format is JSON Lines in UTF-8. The first line is a header, then comes a line for each event, then a line
that says how many there were, so that a file cut short is noticed::

    {"format": "anabranch-trace", "version": 1, "task": {"id": …, "question": …, …}}
    {"seq": 0, "type": "run_started", "path": "", "at": 1767225600.0, "data": {…}}
    {"events": 1}

Texts are written in place, without references. Reading a file and writing it again gives the same bytes.

A file may come from anybody, so reading one takes bounded memory and time, whatever is in it.
"""

from __future__ import annotations

import asyncio
import json
import math
import stat
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

from pydantic import TypeAdapter, ValidationError

from storage import codec
from storage.errors import ArchiveError, IllegalTransition, JournalDamaged
from storage.events import Event, EventType
from storage.reading import LATEST, PATH, Reading, explained
from storage.store import Store
from storage.tasks import Priority, Task, TaskStatus

FORMAT = "anabranch-trace"
VERSION = 1
"""Increased when a reader of the previous version would misunderstand a file."""

_UNTOLD = ("lease_owner", "lease_expires_at", "damage", "submitted_by", "trace_parent")
"""The first three are empty in an ended task that can be exported; keys and spans of callers say nothing in
another database."""
_FIELDS = tuple(field.name for field in fields(Task) if field.name not in _UNTOLD)
_USUAL = {"priority": Priority.INTERACTIVE, "deadline": None}
"""Members that files once had not; left out where they say this."""
_TASK = TypeAdapter(Task)
_TIMES = ("created_at", "started_at", "finished_at")
_NUMBERS = {"seed": 2**63, "attempts": 2**31, "lease_fence": 2**31}
_NAMES = {"id": 64, "parent_id": 64, "tenant": 256, "planner": 256, "idempotency_key": 256}
_NESTING = 400
"""How deep the objects and lists of a line may be nested; what a journal can hold is flatter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a file may be at most. What a line becomes in memory is up to some twenty times its length."""

    file_bytes: int = 1_000_000_000
    line_bytes: int = 16_000_000
    events: int = 1_000_000
    seconds: float = 600.0  # until all has been read and checked; storing it comes on top


LIMITS = Limits()


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
    values = {name: getattr(task, name) for name in _FIELDS}
    values = {name: value for name, value in values.items() if name not in _USUAL or value != _USUAL[name]}
    yield _line({"format": FORMAT, "version": VERSION, "task": values})
    count = 0
    async for event in store.read(task_id):
        yield _line(
            {"seq": event.seq, "type": event.type, "path": event.path, "at": event.at, "data": event.data}
        )
        count += 1
    yield _line({"events": count})


def read_lines(path: Path, limits: Limits = LIMITS) -> Iterator[str]:
    """The lines of a file, one in memory at a time. Opens it at the first one.

    Raises:
        ArchiveError: it is no regular file, is larger than the limits, or is not UTF-8; names the line.
        OSError: it cannot be read.
    """
    with opened(path, limits) as file:
        number, left = 0, limits.file_bytes
        while line := file.readline(limits.line_bytes + 1):
            number, left = number + 1, left - len(line)
            if len(line) > limits.line_bytes:
                raise _wrong(f"line {number} is longer than {limits.line_bytes:,} bytes")
            if left < 0:  # it has grown since it was opened
                raise _wrong(f"line {number}: the file is larger than {limits.file_bytes:,} bytes")
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                hint = "; it is compressed, gunzip it first" if line.startswith(b"\x1f\x8b") else ""
                raise _wrong(f"line {number} is not UTF-8: {error.reason}{hint}") from None


def opened(path: Path, limits: Limits = LIMITS) -> BinaryIO:
    """The file, open for reading.

    Raises:
        ArchiveError: it is no regular file, or is larger than the limits.
        OSError: it cannot be read.
    """
    found = path.stat()  # before opening: a pipe would wait for its writer
    if not stat.S_ISREG(found.st_mode):
        raise _wrong(f"it is not a regular file but a {_kind(found.st_mode)}")
    if found.st_size > limits.file_bytes:
        raise _wrong(f"it has {found.st_size:,} bytes, and may have at most {limits.file_bytes:,}")
    return path.open("rb")


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "directory"
    return "pipe" if stat.S_ISFIFO(mode) else "device"


async def restore(
    store: Store,
    lines: Iterable[str],
    *,
    tenant: str | None = None,
    check: Callable[[Task], object] | None = None,
    limits: Limits = LIMITS,
) -> Task:
    """Read a file into ``store`` under the task's old id, for ``tenant`` or, if None, for its old tenant.

    ``check`` looks at the task before anything is stored, and raises ValueError or JournalDamaged to refuse
    it. The lines may be read in another thread.

    Raises:
        ArchiveError: the file is not of this format, is incomplete, or exceeds the limits; names the line.
        TaskExists: the store has a task with that id or idempotency key.
        JournalConflict: the events contradict each other.
    """
    numbered = (
        (number, _object(number, line, limits)) for number, line in enumerate(lines, 1) if line.strip()
    )
    task = _task(*await asyncio.to_thread(_next, numbered, "header"))
    if tenant is not None:
        task = replace(task, tenant=tenant)
    if check is not None:
        try:
            check(task)
        except ValidationError as error:
            raise _wrong(f"line 1: {explained(error, most=5)}") from None
        except (JournalDamaged, ValueError) as error:
            raise _wrong(f"line 1: {error}") from error
    events = _Events(numbered, task.id, limits)
    try:
        return await store.restore(task, events)
    finally:
        events.abandoned = True


class _Events:
    """The events of a file, each checked as it is read; ends only if the file is complete."""

    def __init__(self, numbered: Iterator[tuple[int, dict[str, Any]]], task_id: str, limits: Limits) -> None:
        self.abandoned = False
        self._numbered = numbered
        self._task_id = task_id
        self._limits = limits

    def __iter__(self) -> Iterator[Event]:
        reading = Reading(self._task_id)
        until, count = monotonic() + self._limits.seconds, 0
        for number, members in self._numbered:
            if "events" in members:
                self._end(number, members["events"], count)
                return
            if count == self._limits.events:
                raise _wrong(f"line {number}: the file has more than {count:,} events")
            if monotonic() > until or self.abandoned:
                raise _wrong(f"line {number}: reading takes more than {self._limits.seconds:g} s")
            event = _event(number, members, count)
            try:
                reading.check(event)
            except JournalDamaged as error:
                raise _wrong(f"line {number}: {error}") from None
            count += 1
            yield event
        raise _wrong(f"the file ends after {count} events, without the line that counts them")

    def _end(self, number: int, told: object, count: int) -> None:
        if told != count:
            raise _wrong(f"line {number}: the file had {told} events, but {count} are left")
        if (more := next(self._numbered, None)) is not None:
            raise _wrong(f"line {more[0]}: there is something after the last line")


def _wrong(why: str) -> ArchiveError:
    return ArchiveError(why if len(why) <= 500 else f"{why[:500]} …")  # what is wrong may be a long text


def _line(members: Mapping[str, Any]) -> str:
    return codec.dumps(members) + "\n"


def _object(number: int, line: str, limits: Limits) -> dict[str, Any]:
    if len(line) > limits.line_bytes:
        raise _wrong(f"line {number} is longer than {limits.line_bytes:,} characters")
    if line.startswith("\ufeff"):
        raise _wrong(f"line {number} begins with a byte order mark; save the file as UTF-8 without one")
    try:
        members = json.loads(line, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_members)
    except RecursionError:
        raise _wrong(f"line {number} is nested more than {_NESTING} deep") from None
    except ValueError as error:
        raise _wrong(f"line {number} is not JSON: {error}") from error
    if not isinstance(members, dict):
        raise _wrong(f"line {number} is not a JSON object")
    if line.count("[") + line.count("{") > _NESTING and _deeper(members, _NESTING):
        raise _wrong(f"line {number} is nested more than {_NESTING} deep")
    return members


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"an object has more than one member {twice[:80]!r}")
    return members


def _deeper(value: object, most: int) -> bool:
    """Whether lists and objects are nested more than ``most`` deep; takes no stack for it."""
    level = [value]
    for _ in range(most + 1):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def _no_number(name: str) -> float:
    raise ValueError(f"{name[:80]} is not a number")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


def _next(numbered: Iterator[tuple[int, dict[str, Any]]], what: str) -> tuple[int, dict[str, Any]]:
    try:
        return next(numbered)
    except StopIteration:
        raise _wrong(f"the file is empty; its first line should be the {what}") from None


def _task(number: int, header: Mapping[str, Any]) -> Task:
    if header.get("format") != FORMAT:
        raise _wrong(f'line {number} is not a header of this format: it has no "format": "{FORMAT}"')
    if header.get("version") != VERSION:
        raise _wrong(
            f"line {number}: the file has version {header.get('version')!r} of the format, but this program "
            f"reads version {VERSION}; read it with the version of anabranch that wrote it, or a newer one"
        )
    values = header.get("task")
    odd = (set(values if isinstance(values, dict) else ()) ^ set(_FIELDS)) - _USUAL.keys()
    if not isinstance(values, dict) or odd:
        raise _wrong(f"line {number}: the task's fields differ: {', '.join(sorted(odd))}")
    try:
        task = _TASK.validate_python({**values, "status": TaskStatus(values["status"])})
    except ValidationError as error:
        raise _wrong(f"line {number}: {explained(error, most=5)}") from None
    except ValueError as error:
        raise _wrong(f"line {number}: {error}") from error
    if not task.status.terminal:
        raise _wrong(f"line {number}: the task is {task.status}; only tasks that have ended can be read")
    for name, most in _NAMES.items():
        _check_name(number, name, values[name], most)
    for name, bound in _NUMBERS.items():
        if not 0 <= getattr(task, name) < bound:
            raise _wrong(f"line {number}: {name}: it must be from 0 to {bound - 1}")
    for name in _TIMES:
        if not 0 <= (getattr(task, name) or 0.0) < LATEST:
            raise _wrong(f"line {number}: {name}: it must be in seconds since 1970")
    for wrong, why in (
        (task.finished_at is None, "finished_at: a task that has ended must have one"),
        (not 0 <= task.attempts <= task.lease_fence, "attempts: there cannot be more than lease_fence"),
        (task.fork_at is not None and task.parent_id is None, "fork_at: a fork must have a parent_id"),
        (task.fork_at and PATH.fullmatch(task.fork_at) is None, "fork_at: no node has such a path"),
    ):
        if wrong:
            raise _wrong(f"line {number}: {why}")
    return task


def _check_name(number: int, name: str, value: str | None, most: int) -> None:
    if value is None:
        return
    if not value.strip() or len(value) > most:
        raise _wrong(f"line {number}: {name}: it must have 1 to {most} characters, not {len(value)}")
    # Ids are made by us. The others may hold what a service takes, such as the wide blank of Japanese.
    ours = name.endswith("id")
    if not value.isprintable() if ours else any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
        raise _wrong(f"line {number}: {name}: {value!a} has characters that cannot be shown")


def _event(number: int, members: Mapping[str, Any], expected: int) -> Event:
    match members:
        case {
            "seq": int(seq),
            "type": str(kind),
            "path": str(path),
            "at": int() | float() as at,
            "data": dict(data),
        } if len(members) == 5 and not isinstance(seq, bool):
            pass
        case _:
            raise _wrong(f"line {number} is not an event: it should have seq, type, path, at and data")
    if seq != expected:
        raise _wrong(f"line {number}: event {str(seq)[:20]} comes where {expected} should")
    try:
        return Event(seq, EventType(kind), path, float(at), data)
    except (ValueError, OverflowError) as error:
        raise _wrong(f"line {number}: {error}") from error
