"""What a claim and a submission cost while many tasks wait: ``python -m benchmarks.queueing [--postgres]``.

A claim goes from tenant to tenant, not from task to task. So it should take no longer where 10,000 tasks
wait than where 100 do, and somewhat longer where 100 tenants wait than where one does. Each length has a
database of its own, and all are measured in turns, so that what else the machine does falls on all alike. The
figures are medians: of the processor's time for SQLite, which works in this process, or else of the clock's.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.checks import Check, at_most
from benchmarks.postgres import postgres
from storage.opening import open_store
from storage.queueing import Rules
from storage.store import Store
from storage.tasks import NewTask

RULES = Rules(most=20_000, most_of_tenant=20_000)
LENGTHS = ((100, 1), (10_000, 1), (10_000, 10), (10_000, 100), (10_000, 1_000))
"""How many tasks wait, and of how many tenants."""


@asynccontextmanager
async def filled(url: str, tasks: int, tenants: int) -> AsyncIterator[Store]:
    """A store in which tasks wait."""
    async with await open_store(url) as store:
        for first in range(0, tasks, 500):
            numbers = range(first, min(tasks, first + 500))
            await asyncio.gather(*(store.submit(new(number % tenants)) for number in numbers))
        yield store


def new(tenant: int) -> NewTask:
    """A task of a tenant."""
    return NewTask(question={"query": "How many clips?"}, planner="direct", tenant=f"tenant-{tenant}")


async def measured(urls: Sequence[str], rounds: int, clock: Callable[[], float]) -> list[tuple[float, float]]:
    """Seconds of a claim and of a submission, for each of the ``LENGTHS``."""
    claims: list[list[float]] = [[] for _ in LENGTHS]
    submissions: list[list[float]] = [[] for _ in LENGTHS]
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(filled(url, *length))
            for url, length in zip(urls, LENGTHS, strict=True)
        ]
        for turn in range(rounds):
            for place, store in enumerate(stores):
                began = clock()
                if await store.claim("me", 3600, rules=RULES) is None:
                    raise AssertionError("a task waits")
                claimed = clock()
                await store.submit(new(turn % LENGTHS[place][1]), RULES)
                claims[place].append(claimed - began)
                submissions[place].append(clock() - claimed)
    return [
        (statistics.median(claim), statistics.median(submission))
        for claim, submission in zip(claims, submissions, strict=True)
    ]


async def report(name: str, urls: Sequence[str], rounds: int) -> list[Check]:
    """The figures of one database, printed and checked."""
    clock = time.process_time if name == "SQLite" else time.perf_counter
    found = await measured(urls, rounds, clock)
    print(f"{name}: milliseconds of {rounds} claims and submissions, medians")
    for (tasks, tenants), (claim, submission) in zip(LENGTHS, found, strict=True):
        queue = f"{tasks:6} tasks of {tenants:5} tenants"
        print(f"  {queue}: claim {1e3 * claim:.2f}, submission {1e3 * submission:.2f}")
    short, long, ten, *_ = (claim for claim, _ in found)
    return [
        at_most(f"{name}: claim, 10,000 tasks over 100", long / short, 1.5),
        at_most(f"{name}: claim, 10 tenants over one", ten / long, 1.5),
    ]


async def new_databases(url: str) -> list[str]:
    """The URLs of new databases of a PostgreSQL server, one for each of the ``LENGTHS``."""
    import asyncpg

    connection = await asyncpg.connect(url)
    names = [f"queue_{place}" for place in range(len(LENGTHS))]
    for name in names:
        await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return [url.replace("/postgres?", f"/{name}?") for name in names]


async def run(rounds: int, *, on_postgres: bool) -> list[Check]:
    """The figures of SQLite, or of PostgreSQL."""
    if not on_postgres:
        with TemporaryDirectory() as folder:
            files = [f"sqlite:///{Path(folder) / f'{place}.db'}" for place in range(len(LENGTHS))]
            return await report("SQLite", files, rounds)
    with postgres() as server:
        return await report("PostgreSQL", await new_databases(server.url), rounds)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queueing", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="measure PostgreSQL instead of SQLite")
    parser.add_argument("--rounds", type=int, default=100, help="claims and submissions of each queue")
    given = parser.parse_args(argv)
    checks = asyncio.run(run(given.rounds, on_postgres=given.postgres))
    for check in checks:
        verdict = "ok" if check.passed else "FAIL"
        print(f"{verdict:<4} {check.name}: {check.value:.2f} (at most {check.bound:g})")
    return 0 if all(check.passed for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
