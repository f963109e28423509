"""What is done to the service: it is followed, flooded with submissions, and asked with and without a key."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.service.listeners import Followed, Listeners
from benchmarks.service.probing import Caller
from benchmarks.service.processes import Server, has_keys, probe, service, simulator
from storage.listing import Place
from storage.opening import open_store

SAMPLE_SECONDS = 0.25
SUBMITTING = 32
"""Submissions at the same time while tasks are followed."""

ANSWER = " ".join(["step"] * 60) + " Answer: 72"
DECODE_RATE = 30.0
PAUSE = 0.02
QUESTION = {"query": "How many clips?", "planner": "direct"}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done; ``patience`` is how many seconds all of the tasks or submissions may take."""

    listeners: int = 1000
    tasks: int = 500
    submissions: int = 5000
    requests: int = 2000
    patience: float = 600.0


@dataclass(slots=True)
class Load:
    """What came of following: times in seconds, memory in bytes."""

    seconds: float = 0.0
    tasks: Counter[str] = field(default_factory=Counter)
    followed: Sequence[Followed] = ()
    most_open: int = 0
    probes: Sequence[tuple[str, int, float]] = ()
    calm: Sequence[tuple[str, int, float]] = ()
    memory: list[tuple[float, int]] = field(default_factory=list)
    before: int = 0

    @property
    def readers(self) -> list[Followed]:
        """The listeners that read."""
        return [each for each in self.followed if each.reads]

    @property
    def resumed(self) -> int:
        """How often listeners that read were cut off and came back."""
        return sum(each.connections - 1 for each in self.readers)

    @property
    def errors(self) -> list[str]:
        """All that went wrong, for people."""
        of_listeners = [f"{each.task_id}: {each.error}" for each in self.followed if each.error]
        gaps = [
            f"{each.task_id}: events missing before {each.gaps[0]}" for each in self.followed if each.gaps
        ]
        of_tasks = [
            f"{count} tasks {status}" for status, count in self.tasks.items() if status != "succeeded"
        ]
        asked = Counter(status for _, status, _ in (*self.probes, *self.calm))
        of_probes = [f"{count} calls answered {status}" for status, count in asked.items() if status != 200]
        return [*of_listeners, *gaps, *of_tasks, *of_probes]


async def load(size: Size, folder: Path) -> Load:
    """Submit tasks, let many listeners follow them, a third of which never read, and time other calls."""
    found = Load()
    async with (
        simulator(decode_rate=DECODE_RATE, answer=ANSWER) as engine,
        service(engine, folder, "load") as server,
    ):
        listeners = Listeners(server.url, server.headers)
        async with _session(server) as session:
            first = await _submitted(session, server, "first", size.patience)
            await _ended(session, server, first, size.patience)
            paths = (f"/v1/tasks/{first}", "/v1/tasks?limit=20", "/livez")
            async with probe(server, paths, pause=PAUSE) as calm:
                await asyncio.sleep(min(5.0, size.tasks / 50))
            found.calm = [(path, status, seconds) for path, status, seconds in calm]
            found.before = server.memory()
            watching = asyncio.create_task(_watch(server, listeners, found))
            began = time.monotonic()
            async with probe(server, paths, pause=PAUSE) as probes:
                await _followed(size, session, server, listeners, found)
            found.seconds = time.monotonic() - began
            watching.cancel()
            found.probes = [(path, status, seconds) for path, status, seconds in probes]
        listeners.close()
    found.followed = listeners.all
    return found


async def _followed(
    size: Size, session: aiohttp.ClientSession, server: Server, listeners: Listeners, found: Load
) -> None:
    submitting = asyncio.Semaphore(SUBMITTING)
    each_task = size.listeners / size.tasks
    following: list[asyncio.Task[Followed]] = []

    async def one(number: int) -> str:
        async with submitting:
            task_id = await _submitted(session, server, f"load {number}", size.patience)
        for listener in range(math.ceil(number * each_task), math.ceil((number + 1) * each_task)):
            follow = listeners.follow(task_id, reads=listener % 3 != 0)
            following.append(asyncio.create_task(follow, name=f"listener {listener}"))
        return task_id

    async with asyncio.timeout(size.patience):
        ids = await asyncio.gather(*(one(number) for number in range(size.tasks)))
        await asyncio.gather(*following)
        for task_id in ids:
            found.tasks[(await _ended(session, server, task_id, size.patience))["status"]] += 1


async def _watch(server: Server, listeners: Listeners, found: Load) -> None:
    began = time.monotonic()
    while True:
        found.memory.append((time.monotonic() - began, server.memory()))
        found.most_open = max(found.most_open, listeners.open)
        await asyncio.sleep(SAMPLE_SECONDS)


@dataclass(slots=True)
class Flood:
    """What came of many submissions at the same moment."""

    accepted: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)
    refusals: Counter[str] = field(default_factory=Counter)
    unaccepted: list[str] = field(default_factory=list)
    health: Sequence[tuple[str, int, float]] = ()
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        """How many were accepted and are not stored."""
        return len(self.accepted - self.stored)


async def flood(size: Size, folder: Path) -> Flood:
    """Submit very many tasks at once, each on its own connection until it is accepted, and watch health."""
    found = Flood()

    async def one(session: aiohttp.ClientSession, server: Server, number: int) -> None:
        try:
            key = f"flood {number}"
            found.accepted.add(await _submitted(session, server, key, size.patience, found.refusals))
        except RuntimeError as error:
            found.unaccepted.append(f"submission {number}: {error}")

    async with simulator(decode_rate=math.inf, answer="Answer: 72") as engine:
        async with service(engine, folder, "flood") as server:
            async with _session(server) as session, probe(server, ["/healthz"], pause=0.05) as health:
                began = time.monotonic()
                await asyncio.gather(*(one(session, server, number) for number in range(size.submissions)))
                found.seconds = time.monotonic() - began
            found.health = [(path, status, seconds) for path, status, seconds in health]
        async with await open_store(f"sqlite:///{folder / 'flood'}.db") as store:
            last: Place | None = None
            while page := await store.list(limit=500, before=last):
                found.stored |= {task.id for task in page}
                last = Place.of(page[-1])
    return found


@dataclass(frozen=True, slots=True)
class Price:
    """Median seconds of one small request without a key, with one, and with one that has a limit."""

    without: float
    with_key: float
    with_limit: float


async def price(size: Size, folder: Path) -> Price | None:
    """Ask three services in turns, so that whatever else the machine does meets all of them alike.

    None if this version knows no keys.
    """
    if not has_keys():
        return None
    async with (
        simulator(decode_rate=math.inf, answer="Answer: 72") as engine,
        service(engine, folder, "open", keyed=False) as plain,
        service(engine, folder, "keyed", keyed=True) as keyed,
        service(engine, folder, "limited", keyed=True, rate=1e6) as limited,
    ):
        callers = []
        for server in (plain, keyed, limited):
            async with _session(server) as session:
                task_id = await _submitted(session, server, "price", size.patience)
                await _ended(session, server, task_id, size.patience)
            callers.append((Caller(server.url, server.headers), f"/v1/tasks/{task_id}"))
        try:
            times: list[list[float]] = await asyncio.to_thread(_in_turns, callers, size.requests)
        finally:
            for caller, _ in callers:
                caller.close()
        return Price(*(statistics.median(each) for each in times))


def _in_turns(callers: Sequence[tuple[Caller, str]], requests: int) -> list[list[float]]:
    times: list[list[float]] = [[] for _ in callers]
    for number in range(requests + requests // 10):
        for place, (caller, path) in enumerate(callers):
            status, seconds = caller.ask(path)
            if status != 200:
                raise RuntimeError(f"GET {path} was answered with {status}")
            if number >= requests // 10:  # the first ones fill caches
                times[place].append(seconds)
    return times


def _session(server: Server) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        headers=server.headers,
        timeout=aiohttp.ClientTimeout(total=120),
    )


async def _submitted(
    session: aiohttp.ClientSession,
    server: Server,
    key: str,
    patience: float,
    refusals: Counter[str] | None = None,
) -> str:
    """The id of a new task, as a patient client gets it: with a key, and again when it is told to come back.

    Raises:
        RuntimeError: it is not accepted; the text says why.
    """
    until, why = time.monotonic() + patience, "no time was left"
    while time.monotonic() < until:
        pause = 1.0
        try:
            async with session.post(
                f"{server.url}/v1/tasks", json=QUESTION, headers={"Idempotency-Key": key}
            ) as response:
                body = await response.json()
                if response.status in (200, 202):
                    return str(body["id"])
                why = f"{response.status} {body.get('code', body)}"
                if response.status not in (429, 503):
                    break
                pause = float(response.headers.get("Retry-After", pause))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = type(error).__name__
        if refusals is not None:
            refusals[why] += 1
        await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))
    raise RuntimeError(why)


async def _ended(session: aiohttp.ClientSession, server: Server, task_id: str, patience: float) -> Any:
    async with asyncio.timeout(patience):
        while True:
            async with session.get(f"{server.url}/v1/tasks/{task_id}") as response:
                task = await response.json()
            if task["status"] not in ("queued", "running"):
                return task
            await asyncio.sleep(0.2)
