"""A call is sent a further time, or after a wait, only with the permission of whoever made it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from tests.workers.engines.raw_server import DONE, HEAD, USAGE, Exchange, event, raw_server
from tests.workers.hostile_engines import LAST, Hostile, call
from tests.workers.pool.harness import chunks, pool_of, text_of
from tests.workers.turning import until
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Chunk
from workers.engines.openai.engine import OpenAIEngine
from workers.errors import EngineInterrupted
from workers.pool.member import Member, Sharing
from workers.pool.pace import InFlightLimit


class Lost(Exception):
    """The lease is lost."""


@dataclass
class Lease:
    """What a process knows of its lease."""

    valid: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    lost: bool = False

    async def permit(self) -> None:
        self.asked += 1
        await self.valid.wait()
        if self.lost:
            raise Lost

    def of(self, asked: Call) -> Call:
        return replace(asked, permit=self.permit)


async def test_calls_whose_connections_break_while_the_lease_is_lost_are_not_sent_again() -> None:
    """As after SIGSTOP and SIGCONT: all servers have hung up meanwhile, and another process has the task."""
    broken, answered = asyncio.Event(), 0

    async def script(exchange: Exchange) -> None:
        nonlocal answered
        answered += 1
        await exchange.send(HEAD + event("he"))
        await broken.wait()
        exchange.reset()

    lease = Lease()
    lease.valid.set()
    async with raw_server(script) as one, raw_server(script) as two:
        engines = [OpenAIEngine(server.url, name=name) for server, name in ((one, "one"), (two, "two"))]
        async with pool_of([Member(engine, sharing=Sharing.NEVER) for engine in engines]) as pool:
            calls = [lease.of(call(f"number {number}")) for number in range(6)]
            reading = [asyncio.create_task(chunks(pool, each)) for each in calls]
            await until(lambda: answered == 6)
            lease.valid.clear()
            asked = lease.asked
            broken.set()
            await until(lambda: lease.asked == asked + 6)  # each asks before it is sent again
            await asyncio.sleep(0.1)
            assert answered == 6
            lease.lost = True
            lease.valid.set()
            results = await asyncio.gather(*reading, return_exceptions=True)
            assert [type(result) for result in results] == [Lost] * 6
            assert answered == 6
            assert all(replica.in_flight == 0 for replica in pool.snapshot().replicas)


async def test_a_request_whose_connection_was_gone_is_not_repeated_without_permission() -> None:
    """A server closes idle connections without notice, and the engine sends once more by itself."""

    async def script(exchange: Exchange) -> None:
        await gone.wait()
        exchange.reset()

    gone = asyncio.Event()
    lease = Lease()
    lease.valid.set()
    async with raw_server(script) as server:
        engine = OpenAIEngine(server.url)
        await engine.capabilities()
        reading = asyncio.create_task(anext(engine.generate(lease.of(call()))))
        await until(lambda: bool(server.exchanges))
        lease.valid.clear()
        gone.set()
        await until(lambda: lease.asked == 3)
        await asyncio.sleep(0.05)
        assert len(server.exchanges) == 1
        lease.lost = True
        lease.valid.set()
        with pytest.raises(Lost):
            await reading
        assert len(server.exchanges) == 1
        await engine.close()


async def test_a_request_that_may_be_repeated_is() -> None:
    async def script(exchange: Exchange) -> None:
        if len(server.exchanges) == 1:
            exchange.reset()
        else:
            await exchange.send(HEAD + event("hello", "stop") + event(usage=USAGE) + DONE)

    lease = Lease()
    lease.valid.set()
    async with raw_server(script) as server:
        engine = OpenAIEngine(server.url)
        assert [chunk.text async for chunk in engine.generate(lease.of(call()))] == ["hello"]
        assert lease.asked == 4  # each of the two before it, and in the moment in which it left
        await engine.close()


@pytest.mark.parametrize("renewed", [True, False])
async def test_a_request_for_which_a_connection_had_to_be_opened_asks_as_it_leaves(renewed: bool) -> None:
    """A process that is stopped just then may go on when another has the task."""

    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("hello", "stop") + event(usage=USAGE) + DONE)

    lease = Lease()
    lease.valid.set()

    async def permit() -> None:
        await lease.permit()
        lease.valid.clear()

    async with raw_server(script) as server:
        engine = OpenAIEngine(server.url)
        await engine.capabilities()
        reading = asyncio.create_task(anext(engine.generate(replace(call(), permit=permit))))
        await until(lambda: lease.asked == 2)
        await asyncio.sleep(0.05)
        assert not server.exchanges
        if renewed:
            lease.valid.set()
            assert (await reading).text == "hello"
        else:
            reading.cancel()
            await asyncio.wait([reading])
            await asyncio.sleep(0.05)
        assert len(server.exchanges) == renewed
        await engine.close()


@virtual_time
async def test_a_call_that_has_waited_for_its_place_asks_before_it_is_sent() -> None:
    async def slow(engine: Hostile, asked: Call):  # type: ignore[no-untyped-def]
        await asyncio.sleep(100)
        yield Chunk("slow", 1)
        yield LAST

    engine = Hostile(slow)
    async with pool_of([Member(engine, sharing=Sharing.NEVER)], stall_seconds=1_000.0) as pool:
        pool._replicas[0].limit = InFlightLimit(1, 1)
        first = asyncio.create_task(chunks(pool, call("first")))
        lease = Lease()
        second = asyncio.create_task(chunks(pool, lease.of(call("second"))))
        await asyncio.sleep(50)
        assert (engine.asked, lease.asked) == (1, 0)
        assert text_of(await first) == "slow"
        await asyncio.sleep(50)
        assert (engine.asked, lease.asked) == (1, 1)
        lease.valid.set()
        assert text_of(await second) == "slow"
        assert engine.asked == 2


@virtual_time
@pytest.mark.parametrize("renewed", [True, False])
async def test_a_straggler_is_not_sent_a_second_time_without_permission(renewed: bool) -> None:
    async def speak(engine: Hostile, asked: Call):  # type: ignore[no-untyped-def]
        if "slow" in asked.prompt.segments[0].text:
            await asyncio.sleep(5)
        yield Chunk("here", 1)
        yield LAST

    engines = [Hostile(speak, name="one"), Hostile(speak, name="two")]
    members = [Member(engine, sharing=Sharing.NEVER) for engine in engines]
    async with pool_of(members, hedge_after=3.0, stall_seconds=1_000.0) as pool:
        for number in range(25):
            await chunks(pool, call(f"number {number}"))
        lease = Lease()
        lease.valid.set()
        reading = asyncio.create_task(chunks(pool, lease.of(call("slow"))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        lease.valid.clear()
        await asyncio.sleep(3)
        assert sum(engine.asked for engine in engines) == 26
        assert lease.asked == 2
        if renewed:
            lease.valid.set()
        # What comes of the first attempt needs no permission.
        assert text_of(await asyncio.wait_for(reading, 60)) == "here"
        assert sum(engine.asked for engine in engines) == (27 if renewed else 26)


@virtual_time
async def test_a_call_without_a_permit_is_sent_again_at_once() -> None:
    async def speak(engine: Hostile, asked: Call):  # type: ignore[no-untyped-def]
        if engine.asked == 1:
            raise EngineInterrupted("broken")
        yield Chunk("well", 1)
        yield LAST

    async with pool_of([Member(Hostile(speak), sharing=Sharing.NEVER)]) as pool:
        assert text_of(await chunks(pool, call())) == "well"
