"""Two processes on one database: together they admit exactly what one would, and a crash keeps nothing."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from storage.accounts import Amount, Limits
from storage.opening import open_store

pytestmark = pytest.mark.timeout(600)  # on a busy machine, starting two processes takes its time


@asynccontextmanager
async def process(action: str, url: str, owner: str) -> AsyncIterator[Process]:
    """A process that runs an action of tests/storage/spenders.py, killed at the end."""
    command = [sys.executable, "-m", "tests.storage.spenders", action, url, owner]
    running = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def line(running: Process) -> str:
    assert running.stdout is not None
    return (await running.stdout.readline()).decode().strip()


async def both(action: str, url: str) -> list[str]:
    """What two processes say that begin the action at the same moment."""
    async with AsyncExitStack() as started:
        running = [await started.enter_async_context(process(action, url, owner)) for owner in "ab"]
        assert await asyncio.gather(*map(line, running)) == ["ready", "ready"]
        for each in running:
            assert each.stdin is not None
            each.stdin.write(b"go\n")
        return list(await asyncio.gather(*map(line, running)))


async def test_processes_admit_together_what_the_rate_allows(database_url: str) -> None:
    """120 requests on a burst of 50; at one request in a thousand seconds, no more become free meanwhile."""
    async with await open_store(database_url) as store:
        await store.access.set_limits("key:a", Limits(rate=0.001, burst=80))
        await store.access.set_limits("tenant:t", Limits(rate=0.001, burst=50))
        admitted = [int(found) for found in await both("draw", database_url)]
        assert sum(admitted) == 50
        found = await store.access.draw([("key:a",)] * 40)
        assert [each is not None and hasattr(each, "remaining") for each in found] == [True] * 30 + [
            False
        ] * 10


async def test_processes_reserve_together_what_the_budget_allows(database_url: str) -> None:
    async with await open_store(database_url) as store:
        await store.access.set_limits("key:a", Limits(tokens=200))
        await store.access.set_limits("tenant:t", Limits(concurrency=1_000, tokens=10_000))
        had = [name.split() for name in await both("reserve", database_url)]
        names = had[0] + had[1]
        settled = [name for name in names if int(name.partition("-")[2]) % 2]
        kept = len(names) - len(settled)
        accounts = await store.access.accounts(["key:a", "tenant:t"])
        for account in accounts.values():
            assert account.held == kept
            assert account.reserved == Amount(7 * kept, 7 * kept)
            assert account.spent == Amount(3 * len(settled), 3 * len(settled))
        assert 7 * kept + 3 * len(settled) <= 200
        assert len(names) >= 200 // 7, "what was free was given"


async def test_processes_hold_together_no_more_tasks_than_may_run(database_url: str) -> None:
    async with await open_store(database_url) as store:
        await store.access.set_limits("key:a", Limits(tokens=1_000_000))
        await store.access.set_limits("tenant:t", Limits(concurrency=9))
        had = [name.split() for name in await both("reserve", database_url)]
        account = (await store.access.accounts(["tenant:t"]))["tenant:t"]
        kept = [name for name in had[0] + had[1] if not int(name.partition("-")[2]) % 2]
        assert account.held == len(kept) <= 9 <= len(had[0] + had[1])


async def test_what_a_killed_process_held_is_free_again(database_url: str) -> None:
    async with await open_store(database_url) as store:
        await store.access.set_limits("key:a", Limits(tokens=60))
        async with process("hold", database_url, "lost") as running:
            assert await line(running) == "held"
            running.kill()
            await running.wait()
        [lapsed] = await store.access.lapsed()
        assert (lapsed.id, lapsed.amount) == ("lost", Amount(50))
        await store.access.settle("lost", Amount())
        account = (await store.access.accounts(["key:a"]))["key:a"]
        assert (account.held, account.reserved, account.spent) == (0, Amount(), Amount())
