"""Replays many stored runs, to see whether all of them still go as recorded."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from orchestrator.errors import AnabranchError
from orchestrator.planning.finding import FindPlanner
from orchestrator.tasks.hindsight.aside import Aside
from orchestrator.tasks.hindsight.replaying import Replayed, replay
from storage.errors import JournalDamaged, StorageError, TaskNotFound
from storage.events import Event, EventType
from storage.listing import Place
from storage.reading import checked
from storage.store import Store
from storage.tasks import Task, TaskStatus

log = structlog.get_logger()

PAGE = 100
"""How many tasks are listed at a time."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Strict replays of many runs: how many were identical, and why the others were not, by task id.

    ``without_run`` are tasks that failed or were cancelled before their run ended.
    """

    identical: int = 0
    differing: Mapping[str, str] = field(default_factory=dict)
    without_run: tuple[str, ...] = ()


async def verify(
    runs: AsyncIterable[tuple[str, Sequence[Event]]], find: FindPlanner, *, aside: Aside | None = None
) -> Verification:
    """Replay every run, going on when one differs, is damaged, or has a planner that does not end."""
    aside = aside or Aside()
    identical = 0
    differing: dict[str, str] = {}
    async for task_id, events in runs:
        try:
            await _replayed(aside, task_id, events, find)
        except (AnabranchError, StorageError) as error:
            differing[task_id] = f"{error} ({error.code})"
        except Exception as error:
            log.exception("a replay failed", task=task_id)
            differing[task_id] = f"{type(error).__name__}: {error} ({AnabranchError.code})"
        else:
            identical += 1
    return Verification(identical, differing)


async def _replayed(aside: Aside, task_id: str, events: Sequence[Event], find: FindPlanner) -> Replayed:
    async def given() -> Sequence[Event]:
        return events

    return await aside.run(given, lambda events: replay(task_id, list(checked(task_id, events)), find))


async def verify_stored(store: Store, task_ids: Sequence[str], find: FindPlanner) -> Verification:
    """Replay the runs of these tasks, or if none are given, of all ended tasks that have a complete run."""
    unreadable: dict[str, str] = {}
    without: list[str] = []
    whole = dict.fromkeys(task_ids, True) or {
        task.id: task.status is TaskStatus.SUCCEEDED async for task in _ended(store)
    }

    async def runs() -> AsyncIterator[tuple[str, Sequence[Event]]]:
        async for task_id, events in _journals(store, list(whole), unreadable):
            if whole[task_id] or (events and events[-1].type is EventType.RUN_FINISHED):
                yield task_id, events
            else:
                without.append(task_id)

    found = await verify(runs(), find)
    return replace(found, differing={**unreadable, **found.differing}, without_run=tuple(without))


async def _ended(store: Store) -> AsyncIterator[Task]:
    """All tasks that have ended and may have a run, newest first."""
    before: Place | None = None
    while page := await store.list(limit=PAGE, before=before):
        before = Place.of(page[-1])
        for task in page:
            if task.status.terminal and task.status is not TaskStatus.DEAD and task.started_at is not None:
                yield task


async def _journals(
    store: Store, task_ids: list[str], unreadable: dict[str, str]
) -> AsyncIterator[tuple[str, Sequence[Event]]]:
    """The journals in the given order; ``unreadable`` gets the reasons why others cannot be read."""
    done = 0
    while done < len(task_ids):
        try:
            async for journal in store.journals(task_ids[done:]):
                done += 1
                yield journal
        except (JournalDamaged, TaskNotFound) as error:
            unreadable[task_ids[done]] = f"{error} ({error.code})"
            done += 1
