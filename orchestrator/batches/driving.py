"""Drives one batch of a service: has its lines answered by tasks, and notes what came of each."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace

import structlog

from orchestrator.access.caller import Caller, Scope
from orchestrator.batches.endpoints import (
    Endpoint,
    Item,
    WrongLine,
    answered,
    item_of,
    lines_in,
    unanswered,
)
from orchestrator.errors import AnabranchError, TaskFailed
from orchestrator.structured import task_group
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from storage.batches import BatchStatus, FileNotFound, HeldBatch, LineResult, Noted
from storage.errors import JournalDamaged, StorageError
from storage.listing import Place
from storage.tasks import NewTask, Priority, Task, TaskStatus

log = structlog.get_logger()

TOLD_ERRORS = 100
"""Of so many wrong lines a batch says what is wrong."""

NOTE_SECONDS = 0.5
"""How often results are stored, and how soon a wish to cancel is seen."""

LONGEST_PAUSE = 5.0
"""The most seconds until it is tried again whether there is room for a line."""

END_SECONDS = 30.0
"""How long a task may take to end that is cancelled with its batch."""

NOTED = 200
"""The most results that are stored in one transaction."""

LARGE = 64 * 1024
"""Bytes of a line that is read beside the event loop."""

_ASKING = (BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS)

_ENDS = {
    BatchStatus.CANCELLED: ("batch_cancelled", "the batch was cancelled before this line was answered"),
    BatchStatus.EXPIRED: ("batch_expired", "this line was not answered within the completion window"),
}


class Driver:
    """Drives a batch that this process holds, from wherever whoever held it before has left it.

    Each line is a task with an idempotency key that is made of the batch and the line, so nothing is asked
    twice: not after a crash, and not by two processes. At most ``width`` of them wait or run at a time; the
    others stay in the file.
    """

    def __init__(
        self, service: Service, endpoint: Endpoint, held: HeldBatch, *, width: int, most_lines: int
    ) -> None:
        self._service = service
        self._store = service.store.batches
        self._endpoint = endpoint
        self._held = held
        self._width = width
        self._most_lines = most_lines
        self._results: list[LineResult] = []
        self._ending: BatchStatus | None = None
        self._stop = asyncio.Event()
        self._turn = asyncio.Lock()
        self._renew_at = 0.0

    @property
    def batch_id(self) -> str:
        """Which batch it is."""
        return self._held.batch.id

    async def run(self) -> None:
        """Drive the batch to its end.

        Raises:
            LeaseLost: another process drives it.
            StorageError: the database cannot be used; whoever claims the batch next goes on.
        """
        async with task_group() as group:
            noting = group.create_task(self._note_results(), name=f"results of {self.batch_id}")
            try:
                if self._held.batch.status is BatchStatus.VALIDATING:
                    await self._validate()
                if not self._held.batch.status.terminal:
                    await self._answer_all()
            except (WrongLine, FileNotFound) as error:  # it was good, and somebody has changed it
                told = {"code": error.code, "message": str(error), "line": None, "param": "input_file_id"}
                await self._note((), Noted(status=BatchStatus.FAILED, errors=[told]))
            noting.cancel()
        await self._end()

    # -- reading ----------------------------------------------------------------------------------

    async def _lines(self) -> AsyncIterator[tuple[int, bytes]]:
        batch = self._held.batch
        file = await self._store.file(batch.input_file_id, batch.tenant)
        async with (
            aclosing(self._store.read_file(file)) as parts,  # type: ignore[type-var]
            aclosing(lines_in(parts, self._service.settings.max_body_bytes)) as lines,  # type: ignore[type-var]
        ):
            async for line in lines:
                yield line

    async def _item(self, number: int, text: bytes) -> Item:
        endpoint = self._held.batch.endpoint
        if len(text) < LARGE:
            return item_of(number, text, endpoint)
        return await asyncio.to_thread(item_of, number, text, endpoint)

    async def _validate(self) -> None:
        """Look through the whole file: either all of its lines can be asked, or the batch has failed."""
        wrong: list[Mapping[str, object]] = []
        seen: dict[str, int] = {}

        def note(code: str, message: str, line: int | None = None, param: str | None = None) -> None:
            if len(wrong) < TOLD_ERRORS:
                wrong.append({"code": code, "message": message[:1000], "line": line, "param": param})

        try:
            async with aclosing(self._lines()) as lines:  # type: ignore[type-var]
                async for number, text in lines:
                    try:
                        item = await self._item(number, text)
                    except WrongLine as error:
                        note("invalid_line", str(error), error.line, error.param)
                        continue
                    first = seen.setdefault(item.custom_id, number)
                    if first != number:
                        note("duplicate_custom_id", f"custom_id is that of line {first}", number, "custom_id")
                    if len(seen) > self._most_lines:
                        note("too_many_lines", f"a batch has at most {self._most_lines:,} lines", number)
                        break
        except WrongLine as error:
            note("invalid_line", str(error), error.line)
        except FileNotFound as error:
            note("file_not_found", str(error), None, "input_file_id")
        if not seen and not wrong:
            note("empty_file", "the file has no lines")
        if wrong:
            await self._note((), Noted(status=BatchStatus.FAILED, errors=wrong))
        else:
            await self._note((), Noted(status=BatchStatus.IN_PROGRESS, total=len(seen)))

    # -- asking -----------------------------------------------------------------------------------

    async def _answer_all(self) -> None:
        """Have each line answered that has no result, until there is one, or the batch is to end."""
        done = await self._store.done(self.batch_id)
        self._look(self._held)
        turn = asyncio.Lock()
        async with aclosing(self._lines()) as lines:  # type: ignore[type-var]

            async def work() -> None:
                while not self._stop.is_set():
                    async with turn:
                        if (line := await anext(lines, None)) is None:
                            return
                    if line[0] not in done:
                        await self._answer(await self._item(*line))

            async with task_group() as group:
                for number in range(self._width):
                    group.create_task(work(), name=f"lines of {self.batch_id}, {number}")

    async def _answer(self, item: Item) -> None:
        """Have a line answered, and take what comes of it."""
        try:
            new = self._task_of(item)
            task = await self._stored(new)
            if task is not None and (task := await self._ended(task)) is not None:
                result = await self._told(item, task)  # meanwhile, there may be another list
                self._results.append(result)
        except AnabranchError as error:
            its_own = isinstance(error, TaskFailed) or error.code == JournalDamaged.code
            if error.http_status >= 500 and not its_own:
                raise
            body = self._endpoint.refusal(error)
            self._results.append(answered(item, error.http_status, self.batch_id, body, tokens=(0, 0)))

    def _task_of(self, item: Item) -> NewTask:
        batch = self._held.batch
        key = f"{batch.id} {item.line}"
        fields = self._endpoint.fields(item.body, key)
        marks = {"batch_id": batch.id, "custom_id": item.custom_id}
        own = fields.get("metadata", {})
        if isinstance(own, dict) and len(own) + len(marks) <= 16:
            fields["metadata"] = {**marks, **own}
        apart = {"tenant": batch.tenant, "priority": Priority.BATCH, "idempotency_key": key}
        return self._service.check(parse({**fields, **apart}))

    async def _stored(self, new: NewTask) -> Task | None:
        """The task of a line, once there is room for it; None if the batch is to end before.

        Raises:
            AnabranchError: there will never be room for it.
        """
        key = self._held.batch.submitted_by
        caller = Caller(tenant=new.tenant, scopes=frozenset({Scope.SUBMIT}), key=key)
        pause = NOTE_SECONDS
        while not self._stop.is_set():
            try:
                return await self._service.accept(new, caller)
            except AnabranchError as error:
                if not error.retryable or error.http_status not in (429, 503):
                    raise
                pause = min(LONGEST_PAUSE, max(2 * pause, min(error.retry_after or 0.0, LONGEST_PAUSE)))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()
        return None

    async def _ended(self, task: Task) -> Task | None:
        """The task once it has ended; if the batch is to end before, it is cancelled."""
        async with task_group() as group:
            ending = group.create_task(self._followed(task.id), name=f"end of {task.id}")
            stopped = group.create_task(self._stop.wait(), name=f"end of the batch of {task.id}")
            await asyncio.wait([ending, stopped], return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not ending.done():
                await self._service.cancel(task.id)
                await asyncio.wait([ending], timeout=END_SECONDS)
                ending.cancel()
        task = await self._service.task(task.id)
        return task if task.status.terminal else None

    async def _followed(self, task_id: str) -> None:
        async with aclosing(self._service.events(task_id)) as events:
            async for _ in events:
                pass

    async def _told(self, item: Item, task: Task) -> LineResult:
        """The result of a line whose task has ended."""
        solution = task.solution if isinstance(task.solution, Mapping) else {}
        usage = solution.get("usage")
        told = usage if isinstance(usage, Mapping) else {}
        prompt, completion = (int(told.get(name) or 0) for name in ("prompt", "completion"))
        try:
            body, status = await self._endpoint.answer(task, item.body), 200
        except AnabranchError as error:
            if task.status is TaskStatus.CANCELLED and self._ending is not None:
                return unanswered(item, *_ENDS[self._ending])
            body, status = self._endpoint.refusal(error), error.http_status
        return answered(item, status, task.id, body, tokens=(prompt, completion))

    # -- noting -----------------------------------------------------------------------------------

    async def _note_results(self) -> None:
        """Store results now and then, keep the lease, and see whether the batch is to end."""
        while True:
            await asyncio.sleep(NOTE_SECONDS)
            if self._results or time.monotonic() >= self._renew_at:
                await self._flush()
                await self._check_key()
            else:
                async with self._turn:
                    self._look(replace(self._held, batch=await self._store.get(self.batch_id, None)))

    async def _flush(self) -> None:
        while True:
            taken, self._results = self._results[:NOTED], self._results[NOTED:]
            try:
                await self._note(taken)
            except BaseException:
                self._results = [*taken, *self._results]
                raise
            if not self._results:
                return

    async def _note(self, results: list[LineResult] | tuple[()] = (), changes: Noted = Noted()) -> None:  # noqa: B008 - it is frozen
        async with self._turn:
            self._look(await self._store.note(self._held, results, changes))
        self._renew_at = time.monotonic() + self._held.lease_seconds / 3

    def _look(self, held: HeldBatch) -> None:
        self._held = held
        if held.batch.status is BatchStatus.CANCELLING:
            self._ending = BatchStatus.CANCELLED
        elif held.batch.status in _ASKING and time.time() >= held.batch.expires_at:
            self._ending = self._ending or BatchStatus.EXPIRED
        if self._ending is not None:
            self._stop.set()

    async def _check_key(self) -> None:
        """Let the batch end if the key that asked for it was revoked, or has expired."""
        name = self._held.batch.submitted_by
        if name is None:
            return
        key = await self._service.store.access.key(name)
        if key is None or key.revoked_at is not None or (key.expires_at or math.inf) <= time.time():
            await self._store.request_cancel(self.batch_id, None)

    async def _end(self) -> None:
        """Store what is left, and say how the batch has ended."""
        if self._held.batch.status.terminal:
            return
        await self._flush()
        if self._ending is not None:
            await self._cancel_tasks()
            done, why = await self._store.done(self.batch_id), _ENDS[self._ending]
            with suppress(WrongLine, FileNotFound):
                async with aclosing(self._lines()) as lines:  # type: ignore[type-var]
                    async for number, text in lines:
                        if number not in done:
                            item = await self._item(number, text)
                            self._results.append(unanswered(item, *why))
                        if len(self._results) >= NOTED:
                            await self._flush()
            await self._flush()
            await self._note((), Noted(status=self._ending))
        else:
            if len(await self._store.done(self.batch_id)) < self._held.batch.total:
                raise RuntimeError(f"lines of batch {self.batch_id} have no result")
            await self._note((), Noted(status=BatchStatus.FINALIZING))
            await self._note((), Noted(status=self._wanted_end()))
        log.info("batch ended", batch=self.batch_id, status=self._held.batch.status.value)

    def _wanted_end(self) -> BatchStatus:
        """How a batch ends whose lines all have results; it may have been cancelled at the last moment."""
        return self._ending or BatchStatus.COMPLETED

    async def _cancel_tasks(self) -> None:
        """Cancel what whoever drove the batch before has asked, and not cancelled."""
        batch, before = self._held.batch, None
        while True:
            page = await self._service.store.list(
                limit=NOTED, before=before, tenant=batch.tenant, is_open=True, created_from=batch.created_at
            )
            for task in page:
                if (task.idempotency_key or "").startswith(f"{batch.id} "):
                    await self._service.cancel(task.id)
            if len(page) < NOTED:
                return
            before = Place(page[-1].created_at, page[-1].id)

    async def leave(self) -> None:
        """Store what there is, and let another process drive the batch."""
        with suppress(StorageError):
            if self._results:
                await self._flush()
            await self._store.release(self._held)
