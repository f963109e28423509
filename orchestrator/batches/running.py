"""Runs the lines of a batch in this process, as many at a time as is wanted."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from itertools import count

from orchestrator.batches.lines import Line
from orchestrator.errors import AnabranchError, translated
from orchestrator.structured import task_group
from orchestrator.tasks.service import Service
from storage.tasks import NewTask, Task, TaskStatus

Came = Task | AnabranchError
"""What a line has come to: a task that has ended, or why there is none."""


@asynccontextmanager
async def running(
    service: Service, lines: Sequence[Line], name: str, at_once: int
) -> AsyncIterator[AsyncIterator[tuple[Line, Came, bool]]]:
    """What each line comes to, as they end, and whether it was run now; those that were run before are not.

    A line is found again by the ``name`` of the batch, its content, the model, and how many lines before it
    have the same content. Tasks that the end of the block interrupts go back into the queue, and whoever runs
    the batch again continues them from their journals.

    Raises:
        Unavailable: the engine or the database cannot be used.
        HandedBack: the service hands its tasks back.
    """
    ended: asyncio.Queue[tuple[Line, Came, bool]] = asyncio.Queue()
    keyed = [each for each in lines if isinstance(each.task, NewTask)]

    async def told() -> AsyncGenerator[tuple[Line, Came, bool], None]:
        for line in lines:
            if isinstance(line.task, AnabranchError):
                yield line, line.task, False
        for _ in keyed:
            yield await ended.get()

    async def work(waiting: Iterator[tuple[Line, NewTask]]) -> None:
        for line, new in waiting:
            await ended.put((line, *await _came_of(service, new)))

    model = await _model(service) if keyed else ""
    waiting = iter(tuple(_with_keys(keyed, name, model)))
    async with task_group() as group, aclosing(told()) as results:
        workers = [
            group.create_task(work(waiting), name=f"batch {number}")
            for number in range(min(at_once, len(keyed)))
        ]
        try:
            yield results
        finally:
            for worker in workers:
                worker.cancel()


async def _model(service: Service) -> str:
    with translated():
        return (await service.engine.capabilities()).model


def _with_keys(lines: Sequence[Line], name: str, model: str) -> Iterator[tuple[Line, NewTask]]:
    """The tasks of lines, with the beginnings of their idempotency keys."""
    seen: Counter[str] = Counter()
    for line in lines:
        new = line.task
        assert isinstance(new, NewTask)
        asked = [name, model, new.question, new.planner, dict(new.options), new.seed]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]
        seen[digest] += 1
        yield line, replace(new, idempotency_key=f"batch {digest} {seen[digest]}")


async def _came_of(service: Service, new: NewTask) -> tuple[Came, bool]:
    """The task of a line: one that succeeded before, or a new one, run to its end now.

    A failed task keeps its key; the next attempt, when the batch is run again, gets another.
    """
    for attempt in count(1):
        try:
            task, ran = await service.run_new(
                replace(new, idempotency_key=f"{new.idempotency_key} {attempt}"), keep=True
            )
        except AnabranchError as error:
            if error.http_status >= 500:  # it is not about this line
                raise
            return error, False
        if ran or task.status is TaskStatus.SUCCEEDED:
            return task, ran
    raise AssertionError
