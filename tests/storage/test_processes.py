"""Several processes on one database: shared queues, crashes, and processes that wake up late."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest import mock

import pytest

from storage.errors import LeaseLost
from storage.opening import open_store
from storage.tasks import NewTask, TaskStatus


@asynccontextmanager
async def process(action: str, url: str, owner: str) -> AsyncIterator[Process]:
    """A process that runs an action of tests/storage/processes.py, killed at the end."""
    command = [sys.executable, "-m", "tests.storage.processes", action, url, owner]
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


def tell(running: Process) -> None:
    assert running.stdin is not None
    running.stdin.write(b"go\n")


async def test_processes_share_a_queue_and_no_task_runs_twice(database_url: str) -> None:
    async with await open_store(database_url) as store:
        tasks = [(await store.submit(NewTask(question=i, planner="vote"))).id for i in range(60)]
        async with process("claim_all", database_url, "a") as a, process("claim_all", database_url, "b") as b:
            assert [await line(a), await line(b)] == ["ready", "ready"]
            tell(a)
            tell(b)
            outputs = await asyncio.gather(a.communicate(), b.communicate())
        done = [task_id for output, _ in outputs for task_id in output.decode().split()]
        assert sorted(done) == sorted(tasks)
        for task_id in tasks:
            owners = {event.data["owner"] async for event in store.read(task_id)}
            assert len(owners) == 1
            assert await store.last_seq(task_id) == 2
            assert (await store.get(task_id)).status is TaskStatus.SUCCEEDED


async def test_killed_process_loses_nothing_that_a_flush_promised(database_url: str) -> None:
    async with await open_store(database_url) as store:
        task = await store.submit(NewTask(question="q", planner="vote"))
        promised = -1
        for attempt in range(3):
            async with process("write_for_ever", database_url, f"process-{attempt}") as running:
                for _ in range(20):
                    promised = int(await line(running))
                running.kill()
                rest, _ = await running.communicate()
                promised = max([promised, *map(int, rest.split())])
            events = [event async for event in store.read(task.id)]
            assert [event.seq for event in events] == list(range(len(events)))
            assert events[-1].seq >= promised
            await asyncio.sleep(0.4)  # the lease lapses, and the next process takes the task over
        assert {event.data["owner"] for event in events} == {"process-0", "process-1", "process-2"}
        assert (await store.get(task.id)).attempts == 3


async def test_process_stopped_beyond_its_lease_can_write_nothing_more(database_url: str) -> None:
    async with await open_store(database_url) as store:
        task = await store.submit(NewTask(question="q", planner="vote"))
        async with process("sleep_through_the_lease", database_url, "zombie") as zombie:
            assert await line(zombie) == "claimed"
            os.kill(zombie.pid, signal.SIGSTOP)
            await asyncio.sleep(0.7)
            claim = await store.claim("heir", 30)
            assert claim is not None
            os.kill(zombie.pid, signal.SIGCONT)
            tell(zombie)
            said, _ = await zombie.communicate()
        assert said.decode().splitlines() == [
            "flush refused",
            "heartbeat refused",
            "release refused",
            "finish refused",
        ]
        assert await store.last_seq(task.id) == 0
        assert (await store.heartbeat(claim)).task.lease_owner == "heir"


@pytest.mark.postgres
async def test_leases_follow_the_clock_of_the_server_not_of_the_host(new_database_url: str) -> None:
    async with await open_store(new_database_url) as store:
        claim = await store.start(NewTask(question="q", planner="vote"), "right", 30)
        for skewed in (time.time() - 3600, time.time() + 3600):
            with mock.patch("time.time", return_value=skewed):
                assert await store.claim("skewed", 30) is None
                claim = await store.heartbeat(claim)
        assert claim.task.lease_expires_at is not None
        assert abs(claim.task.lease_expires_at - claim.task.created_at - 30) < 20
        with mock.patch("time.time", return_value=0.0):
            late = await store.start(NewTask(question="q", planner="vote"), "skewed", 0.01)
        await asyncio.sleep(0.05)
        assert await store.claim("right", 30) is not None
        with pytest.raises(LeaseLost):
            await store.heartbeat(late)
