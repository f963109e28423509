"""The events of a task as they happen, whether it runs here or elsewhere, or has already ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing

from orchestrator.tasks.feed import Progress
from orchestrator.tasks.hearing import Hearing
from orchestrator.tasks.lookup import Lookup
from orchestrator.tasks.runner import Runner
from orchestrator.tasks.turns import Turns
from storage.events import Event
from storage.store import Store
from storage.tasks import TaskStatus

POLL_SECONDS = 15.0
"""How often a task is looked at of which nothing is heard, in case that something was not told."""


async def followed(
    store: Store,
    runner: Runner,
    turns: Turns,
    hearing: Hearing,
    lookup: Lookup,
    task_id: str,
    after: int,
    stored: bool = False,
) -> AsyncGenerator[Event | Progress, None]:
    """The events of a task after number ``after``, as they happen, up to its last one.

    With ``stored`` each as the store has it, and no progress.

    Raises:
        StorageError: there is no such task (any more), or the database cannot be read.
    """
    read = None
    async with AsyncExitStack() as listening:
        heard = False
        while True:
            if (feed := runner.feed_of(task_id)) is not None:
                await listening.aclose()
                heard = False
                listen = feed.listen_to_stored if stored else feed.listen
                async with aclosing(listen(store, task_id, after)) as live:
                    async for item in live:
                        after = item.seq if isinstance(item, Event) else after
                        yield item
            # It has ended, waits in the queue, or runs in another process, perhaps after running here.
            turn = turns.next_of(task_id)
            task = await lookup.get(task_id)
            stands = task.status, task.lease_fence
            if task.status is TaskStatus.RUNNING or stands != read:
                async for event in store.read(task_id, after=after):
                    after = event.seq
                    yield event
            read = stands
            if task.status.terminal:
                return
            if heard:
                await turns.wait(turn, POLL_SECONDS)
            else:  # and look once more: what happened in between was not told
                await listening.enter_async_context(hearing.open())
                heard = True
