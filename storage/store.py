"""What lasts, as other packages see it: tasks, their leases, and their journals.

This is only the contract. Two stores keep it: :mod:`storage.sql` on SQLite or PostgreSQL, and
:mod:`storage.memory` in dictionaries that are lost at the end. :func:`storage.opening.open_store` opens the
one that a URL names.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from time import time
from types import TracebackType
from typing import Any, Self

from typing_extensions import Unpack

from storage.access import AccessStore
from storage.batches import Batches
from storage.codec import Redact
from storage.errors import StorageError
from storage.events import Event
from storage.listing import Place, Wanted
from storage.queueing import NO_RULES, Lengths, Rules
from storage.tasks import Claim, NewTask, Pruned, Task, TaskStatus
from storage.webhooks import Webhooks

CANCEL_POLL_SECONDS = 0.5
"""How often a store that is not told of cancellations looks for them."""

MAX_ATTEMPTS = 5
"""Claims after which a task whose process died each time is given up as dead."""


class Writer(ABC):
    """Appends to the journal of one task, on behalf of the claim whose fence it carries.

    A writer that has failed once keeps failing: a journal with a hole would be worse than none.
    """

    @abstractmethod
    def append(self, event: Event) -> None:
        """Hand ``event`` over to be stored soon. Takes microseconds and never waits.

        Raises:
            JournalConflict: ``event.seq`` is not the next number.
            NotStorable: its data is not JSON. Nothing was appended, and the writer still works.
            StorageError: an earlier append could not be stored.
        """

    @abstractmethod
    async def flush(self) -> None:
        """Return when all that was appended would survive a crash.

        Raises:
            LeaseLost: another process has claimed the task.
            StorageError: the database refused; only what was flushed before is certain to be stored.
        """

    @abstractmethod
    async def room(self) -> None:
        """Wait while so much is queued that appending more would only use up memory."""


class Store(ABC):
    """Tasks and journals. Safe for concurrent use from one event loop; many processes may share a database.

    Every method may raise StorageUnavailable; those that name a task raise TaskNotFound.
    """

    access: AccessStore
    """Who may use the service, and how much, in the same database."""

    redact: Redact | None = None
    """What every string passes through before it is stored."""

    batches: Batches
    """Files of questions, and the batches that answer them."""

    webhooks: Webhooks
    """Who is told that tasks have ended; whatever ends a task notes it there in the same transaction."""

    @abstractmethod
    async def close(self) -> None:
        """Store what is queued and close the connections. Closing twice does nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def failed(self) -> str | None:
        """Why this store can take nothing more until it is opened again, for people; None if it can."""
        return None

    async def probe(self) -> None:  # noqa: B027 — a store that can always be written to has nothing to try
        """Write something small that changes nothing anybody sees, as storing a task would.

        Raises:
            StorageError: a task could not be stored now; the message says why, and what to do.
        """

    def free_bytes(self) -> int | None:
        """Bytes left for other files on the disk of the database; None where that is not known."""
        return None

    async def time(self) -> float:
        """Seconds since the epoch, by the clock from which tasks have their times."""
        return time()

    async def check(self) -> Sequence[str]:
        """Search the whole database for damage; what is wrong with it, for people. Takes as long as it takes.

        Tasks and journals are not read: :meth:`list` and :meth:`read` say which of them are damaged.
        """
        return ()

    # Tasks

    @abstractmethod
    async def submit(self, new: NewTask, rules: Rules = NO_RULES) -> Task:
        """Queue a task, or return the one that has the same idempotency key.

        Raises:
            IdempotencyConflict: the key belongs to a task that asked for something else; names the members.
            QueueFull, TenantQueueFull: as many tasks wait as the rules allow, whichever process they came to.
            DeadlineUnreachable: it would not begin before its deadline.
            DeadlinePassed: its deadline has passed.
        """

    @abstractmethod
    async def start(self, new: NewTask, owner: str, lease_seconds: float) -> Claim:
        """Submit and claim in one transaction, for callers that run the task themselves.

        Raises:
            IdempotencyConflict, DeadlinePassed: as in :meth:`submit`.
            IllegalTransition: the idempotency key belongs to a task that cannot be claimed now.
        """

    @abstractmethod
    async def get(self, task_id: str) -> Task:
        """The task as it stands."""

    @abstractmethod
    async def list(
        self, *, limit: int = 100, before: Place | None = None, **wanted: Unpack[Wanted]
    ) -> tuple[Task, ...]:
        """The wanted tasks, newest first; ``before`` is the last place of the previous page."""

    @abstractmethod
    async def request_cancel(self, task_id: str) -> Task:
        """Cancel a queued task; ask the owner of a running one to stop (which it sees at its next heartbeat).

        A task that has ended stays as it is.
        """

    async def cancellations(self, held: Callable[[], Collection[str]]) -> AsyncIterator[str]:
        """The ids of those among the ``held`` tasks that somebody wants cancelled, each soon after that.

        Never ends. ``held`` is asked again and again, since it changes; an id may come more than once. While
        the database cannot be reached, nothing comes, and nothing is raised.
        """
        while True:
            await asyncio.sleep(CANCEL_POLL_SECONDS)
            for task_id in tuple(held()):
                with suppress(StorageError):
                    if (await self.get(task_id)).cancel_requested:
                        yield task_id

    @abstractmethod
    def changes(self) -> AsyncIterator[Collection[str] | None]:
        """The ids of tasks that were submitted, claimed, ended or deleted, or have got events, wherever that
        was; each soon after it. None: any may have changed.

        Never ends. The first thing that comes is None, and an id may come more than once. While the
        database cannot be reached, nothing comes, and nothing is raised. A database that does not tell is
        looked at: what other processes delete then goes unnoticed, and so does what they restore.
        """

    # Leases

    @abstractmethod
    async def claim(
        self,
        owner: str,
        lease_seconds: float,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        below: int | None = None,
        rules: Rules = NO_RULES,
    ) -> Claim | None:
        """Take the next task; None if there is none.

        That is the oldest that has begun and was handed back, or whose lease has lapsed; or else, of those
        that wait to begin, the one whose turn it is by the rules (see :mod:`storage.queueing`), over all
        processes.

        A lapsed task that has used up its attempts becomes dead instead, with the reason in its error; so
        does a task whose row cannot be read. One whose deadline has passed before it began has failed. With
        ``below``, tasks that have had so many attempts are left to wait.
        """

    @abstractmethod
    async def expire(self) -> Sequence[str]:
        """End the tasks whose deadlines passed before they began: as failed, with the outcome ``expired``.

        Returns the ids of those that this store has ended since the last call, here or in :meth:`claim`; of
        many, some are left for the next call.
        """

    @abstractmethod
    async def waiting(self) -> Lengths:
        """How many tasks wait to begin, by line and tenant."""

    @abstractmethod
    async def claim_task(self, task_id: str, owner: str, lease_seconds: float) -> Claim:
        """Take this task.

        Raises:
            JournalDamaged: its row cannot be read.
            IllegalTransition: it has ended, or is running under a lease that has not lapsed.
        """

    @abstractmethod
    async def heartbeat(self, claim: Claim) -> Claim:
        """Renew the lease. The task of the new claim says whether cancellation was requested.

        Raises:
            LeaseLost: another process has claimed the task, or it has ended.
        """

    @abstractmethod
    async def release(self, claim: Claim) -> Task:
        """Hand the task back to the queue, after the events appended before; the attempt does not count.

        Raises like :meth:`heartbeat`.
        """

    @abstractmethod
    async def requeue(self, task_id: str, *, submitted_by: str | None = None) -> Task:
        """Put a dead task back into the queue, with its journal and a full number of attempts.

        One that no key has asked for is asked for by ``submitted_by`` from now on. A queued task stays as it
        is.

        Raises:
            IllegalTransition: it is neither.
        """

    @abstractmethod
    async def finish(
        self,
        claim: Claim,
        status: TaskStatus,
        *,
        outcome: str | None = None,
        solution: Any = None,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """End the task, in one transaction with the events that were appended before.

        Raises:
            IllegalTransition: ``status`` is not terminal.
            LeaseLost: as in :meth:`heartbeat`.
            NotStorable: ``solution`` or ``error`` is not JSON.
        """

    # Journals

    @abstractmethod
    def writer(self, task_id: str, fence: int, *, next_seq: int = 0) -> Writer:
        """A writer that continues the journal at ``next_seq``. There may be one for each claim."""

    @abstractmethod
    def read(self, task_id: str, *, after: int = -1) -> AsyncIterator[Event]:
        """The stored events with ``seq`` larger than ``after``, in order, a page in memory at a time."""

    async def journals(self, task_ids: Iterable[str]) -> AsyncIterator[tuple[str, Sequence[Event]]]:
        """The whole journals of many tasks, in the given order; faster than calling :meth:`read` for each.

        Raises:
            TaskNotFound: there is no task with one of the ids.
        """
        for task_id in task_ids:
            yield task_id, [event async for event in self.read(task_id)]

    @abstractmethod
    async def last_seq(self, task_id: str) -> int:
        """The number of the last stored event; -1 if there is none."""

    @abstractmethod
    async def restore(self, task: Task, events: Iterable[Event]) -> Task:
        """Store a task that has ended and its journal as they are, in one transaction.

        The events are taken one by one, perhaps in another thread, before anything is stored; what taking
        them raises is raised again.

        Raises:
            IllegalTransition: the task has not ended.
            TaskExists: there is a task with its id, or with its idempotency key.
            JournalConflict: an event contradicts another.
            NotStorable: something in it is not JSON.
        """

    # Retention

    @abstractmethod
    async def delete(self, task_id: str) -> Pruned:
        """Remove a task that has ended, with its journal and the texts that no other task uses.

        Raises:
            IllegalTransition: it has not ended, or an open task is a fork of it.
        """

    @abstractmethod
    async def size(self, task_id: str) -> int:
        """Bytes in the rows of the task and its journal, without indexes.

        A text that several tasks use is divided equally among them, so the sizes of all tasks add up.
        """

    @abstractmethod
    async def prune(
        self,
        *,
        older_than: float | None = None,
        keep: int | None = None,
        max_bytes: int | None = None,
        tenant: str | None = None,
    ) -> Pruned:
        """Remove tasks that have ended, the oldest first, until every given bound holds.

        ``older_than`` is in seconds since a task ended, ``keep`` the number of ended tasks that may stay,
        ``max_bytes`` bounds the sum of :meth:`size`; with ``tenant``, all of this is about that tenant's
        tasks only. Queued and running tasks are never removed, nor are the tasks that they are forks of.
        """
