"""What a service is asked about its stored runs: read from its store, and computed beside its event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from orchestrator.errors import TraceTooLarge, translated
from orchestrator.planning.finding import FindPlanner
from orchestrator.runtime.change import Change
from orchestrator.tasks.hindsight.aside import STUCK_SECONDS, Aside
from orchestrator.tasks.hindsight.counterfactual import Counterfactual, check_change, counterfactual
from orchestrator.tasks.hindsight.difference import TraceDifference, difference
from orchestrator.tasks.hindsight.replaying import Replayed, replay
from storage.events import Event
from storage.reading import checked
from storage.store import Store
from storage.trace import Trace

T = TypeVar("T")

LARGEST = 64_000_000
"""The most bytes of a journal that are read for one request."""


class Hindsight:
    """Answers for one service. Every question may raise TraceTooLarge, for a journal over ``LARGEST``.

    Journals are checked beside the event loop, too: a long one would hold it up.
    """

    def __init__(self, store: Store, find: FindPlanner, *, stuck_seconds: float = STUCK_SECONDS) -> None:
        self._store = store
        self._find = find
        self._aside = Aside(stuck_seconds=stuck_seconds)

    async def trace(self, task_id: str, show: Callable[[Trace], T]) -> T:
        """What ``show`` makes of the stored steps of a task."""
        with translated():
            task = await self._store.get(task_id)
            return await self._aside.call(
                lambda: self._journal(task_id), lambda events: show(Trace.of(task, events))
            )

    async def replay(self, task_id: str) -> Replayed:
        """See :func:`~orchestrator.tasks.hindsight.replaying.replay`."""
        with translated():
            return await self._aside.run(
                lambda: self._journal(task_id),
                lambda events: replay(task_id, _checked(task_id, events), self._find),
            )

    async def counterfactual(self, task_id: str, at: str, change: Change) -> Counterfactual:
        """See :func:`~orchestrator.tasks.hindsight.counterfactual.counterfactual`."""
        with translated():
            return await self._aside.run(
                lambda: self._journal(task_id),
                lambda events: counterfactual(
                    task_id, _checked(task_id, events), self._find, at=at, change=change
                ),
            )

    async def check_change(self, task_id: str, at: str, change: Change) -> None:
        """See :func:`~orchestrator.tasks.hindsight.counterfactual.check_change`."""
        with translated():
            await self._aside.call(
                lambda: self._journal(task_id),
                lambda events: check_change(checked(task_id, events), at, change),
            )

    async def difference(self, before: str, after: str, show: Callable[[TraceDifference], T]) -> T:
        """What ``show`` makes of :func:`~orchestrator.tasks.hindsight.difference.difference`."""

        async def both() -> tuple[list[Event], list[Event]]:
            return await self._journal(before), await self._journal(after)

        with translated():
            return await self._aside.call(
                both, lambda events: show(difference(_checked(before, events[0]), _checked(after, events[1])))
            )

    async def _journal(self, task_id: str) -> list[Event]:
        size = await self._store.size(task_id)
        if size > LARGEST:
            raise TraceTooLarge(task_id, f"{size / 1e6:,.0f} MB")
        return [event async for event in self._store.read(task_id)]


def _checked(task_id: str, events: Sequence[Event]) -> list[Event]:
    return list(checked(task_id, events))
