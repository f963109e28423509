"""What the tests run in processes of their own: ``python -m tests.storage.processes NAME URL …``."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import structlog

from storage.errors import LeaseLost, StorageUnavailable
from storage.events import Event, EventType
from storage.opening import open_store
from storage.store import Store
from storage.tasks import Claim, NewTask, TaskStatus


def say(*words: object) -> None:
    """One line to whoever started this process."""
    print(*words, flush=True)


async def claim_all(url: str, owner: str) -> None:
    """Run every task that can be had, and say which."""
    async with await open_store(url) as store:
        say("ready")
        sys.stdin.readline()
        while (claim := await store.claim(owner, 30)) is not None:
            await work(store, claim)
            say(claim.task.id)


async def work(store: Store, claim: Claim) -> None:
    """A run of three events."""
    writer = store.writer(claim.task.id, claim.fence)
    for seq in range(3):
        writer.append(Event(seq, EventType.DECISION, "", time.time(), {"owner": claim.owner}))
        await asyncio.sleep(0)
    await store.finish(claim, TaskStatus.SUCCEEDED)


async def write_for_ever(url: str, owner: str) -> None:
    """Claim one task and journal until killed; say the number of each event that a flush promised to keep."""
    async with await open_store(url) as store:
        claim = await store.claim(owner, 0.3)
        assert claim is not None
        seq = await store.last_seq(claim.task.id) + 1
        writer = store.writer(claim.task.id, claim.fence, next_seq=seq)
        while True:
            for _ in range(5):
                writer.append(
                    Event(seq, EventType.DECISION, "", time.time(), {"owner": owner, "text": "x" * 300})
                )
                seq += 1
            await writer.flush()
            say(seq - 1)


async def submit_for_ever(url: str, owner: str) -> None:
    """Submit tasks, say the id of each that was accepted, and go on after a refusal until told to end."""
    async with await open_store(url) as store:
        ending = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        refused = False
        while not ending.done():
            try:
                task = await store.submit(NewTask(question={"query": owner}, planner="vote"))
            except StorageUnavailable as error:
                if not refused:
                    say("refused", error)
                refused = True
                await asyncio.sleep(0.01)
            else:
                say("accepted", task.id)
        say("failed", store.failed())


async def be_idle(url: str, owner: str) -> None:
    """Submit a task, and then only wait until the store reports that it has failed."""
    async with await open_store(url) as store:
        say("accepted", (await store.submit(NewTask(question={"query": owner}, planner="vote"))).id)
        while "rescued" not in (store.failed() or ""):  # noqa: ASYNC110 — a store tells only who asks
            await asyncio.sleep(0.05)
        say("failed", store.failed())


async def sleep_through_the_lease(url: str, owner: str) -> None:
    """Claim a task, say so, and when told to go on, try everything that an owner may do."""
    async with await open_store(url) as store:
        claim = await store.claim(owner, 0.5)
        assert claim is not None
        writer = store.writer(claim.task.id, claim.fence)
        writer.append(Event(0, EventType.DECISION, "", time.time(), {"owner": owner}))
        await writer.flush()
        say("claimed")
        await asyncio.to_thread(sys.stdin.readline)
        writer.append(Event(1, EventType.DECISION, "", time.time(), {"owner": owner}))
        attempts: dict[str, Callable[[], Awaitable[object]]] = {
            "flush": writer.flush,
            "heartbeat": lambda: store.heartbeat(claim),
            "release": lambda: store.release(claim),
            "finish": lambda: store.finish(claim, TaskStatus.SUCCEEDED),
        }
        for name, attempt in attempts.items():
            try:
                await attempt()
                say(name, "accepted")
            except LeaseLost:
                say(name, "refused")


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    action = {
        "claim_all": claim_all,
        "write_for_ever": write_for_ever,
        "submit_for_ever": submit_for_ever,
        "be_idle": be_idle,
        "sleep_through_the_lease": sleep_through_the_lease,
    }[sys.argv[1]]
    asyncio.run(action(sys.argv[2], sys.argv[3]))
