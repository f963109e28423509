"""What the tests of access run in processes of their own: ``python -m tests.storage.spenders NAME URL …``."""

from __future__ import annotations

import asyncio
import sys

from storage.access import Reservation
from storage.accounts import Amount, Rate
from storage.opening import open_store
from tests.storage.processes import say


async def draw(url: str, owner: str) -> None:
    """Ask 60 times at once, in batches of different sizes, and say how many requests were admitted."""
    async with await open_store(url) as store:
        say("ready")
        sys.stdin.readline()
        batches = [[("key:a", "tenant:t")] * (1 + i % 5) for i in range(20)]
        found = await asyncio.gather(*(store.access.draw(batch) for batch in batches))
        say(sum(isinstance(each, Rate) for batch in found for each in batch))


async def reserve(url: str, owner: str) -> None:
    """Reserve 7 tokens for each of 40 tasks at once, settle every second with 3, and say which were had."""
    async with await open_store(url) as store:
        say("ready")
        sys.stdin.readline()

        async def one(number: int) -> str | None:
            name = f"{owner}-{number}"
            wanted = Reservation(id=name, accounts=("key:a", "tenant:t"), amount=Amount(7, 7))
            if await store.access.reserve(wanted, 600) is not None:
                return None
            if number % 2:
                await store.access.settle(name, Amount(3, 3))
            return name

        found = await asyncio.gather(*(one(number) for number in range(40)))
        say(*filter(None, found))


async def hold(url: str, owner: str) -> None:
    """Reserve for a task that is never stored, under a lease that ends at once, and wait to be killed."""
    async with await open_store(url) as store:
        wanted = Reservation(id=owner, accounts=("key:a",), amount=Amount(50))
        say("held" if await store.access.reserve(wanted, 0.0) is None else "refused")
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run({"draw": draw, "reserve": reserve, "hold": hold}[sys.argv[1]](sys.argv[2], sys.argv[3]))
