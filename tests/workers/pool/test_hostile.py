"""Whatever an engine does, a pool goes on, and its books balance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from tests.workers.hostile_engines import ENGINES, LAST, Hostile, PanicException, call
from tests.workers.pool.harness import chunks, pool_of, text_of
from tests.workers.turning import turning
from tests.workers.virtual_time import virtual_time
from workers.calls import Call, Chunk, Prompt, Segment
from workers.engine import Capabilities, Health
from workers.errors import EngineProtocolError, WorkerError
from workers.pool.member import Member, Sharing
from workers.pool.observed import Observed, observed
from workers.pool.pool import Pool


async def well(engine: Hostile, call: Call) -> AsyncGenerator[Chunk, None]:
    yield Chunk("well", 1)
    yield LAST


@pytest.mark.parametrize("name", ENGINES)
@virtual_time
async def test_a_pool_fails_no_call_because_one_of_its_engines_is_hostile(name: str) -> None:
    code, speak = ENGINES[name]
    bad, good = Hostile(speak), Hostile(well, name="good")
    members = [Member(engine, sharing=Sharing.NEVER) for engine in (bad, good)]
    async with turning(within=500, every=0.1), pool_of(members) as pool:
        received = await asyncio.gather(*(chunks(pool, call(f"number {number}")) for number in range(8)))
        bad.free.set()
        await asyncio.sleep(1)
        assert bad.asked
        assert pool.snapshot().replicas[0].in_flight == 0
    if code not in ("stop", "length"):
        assert {text_of(stream) for stream in received} == {"well"}


@pytest.mark.parametrize("name", ENGINES)
@virtual_time
async def test_a_call_to_a_pool_ends_where_there_is_nothing_else(name: str) -> None:
    code, speak = ENGINES[name]
    bad = Hostile(speak)
    members = [Member(bad, sharing=Sharing.NEVER)]
    async with turning(within=500, every=0.1), pool_of(members, attempts=2) as pool:
        asked = asyncio.create_task(chunks(pool, call()))
        if code in ("stop", "length"):
            assert (await asked)[-1].finish_reason == code
        else:
            with pytest.raises(WorkerError) as caught:
                await asked
            assert caught.value.code in (code, "engine_timeout", "engine_unavailable")
            assert len(str(caught.value)) < 3_000
        bad.free.set()
        await asyncio.sleep(1)
        assert pool.snapshot().replicas[0].in_flight == 0


@pytest.mark.parametrize("name", ENGINES)
@virtual_time
async def test_the_books_of_a_hostile_engine_alone_balance(name: str) -> None:
    bad = Hostile(ENGINES[name][1])
    engine = Observed(bad)

    async def ask() -> list[Chunk]:
        return [chunk async for chunk in engine.generate(call())]

    async with turning(within=500, every=0.1):
        asked = asyncio.create_task(ask())
        await asyncio.sleep(50)
        bad.free.set()
        await asyncio.sleep(1)
        asked.cancel()
        await asyncio.wait([asked])
    (one,) = engine.snapshot().replicas
    assert one.in_flight == 0
    assert one.finished + one.failed + one.aborted == 1
    assert min(one.prompt_tokens, one.completion_tokens, one.wasted_tokens) >= 0


@virtual_time
async def test_a_call_that_is_cancelled_frees_its_place_even_if_the_engine_does_not_listen() -> None:
    bad = Hostile(ENGINES["hangs_and_does_not_listen"][1])
    async with turning(every=0.05), pool_of([Member(bad, sharing=Sharing.NEVER)]) as pool:
        asked = asyncio.create_task(chunks(pool, call()))
        await asyncio.sleep(1)
        asked.cancel()
        await asyncio.wait([asked])
        assert asked.cancelled()
        assert pool.snapshot().replicas[0].in_flight == 0
        bad.free.set()
        await asyncio.sleep(1)


# What engines are asked besides calls


Act = Callable[[asyncio.Event], Any]


class Sick(Hostile):
    """An engine whose other methods do what ``act`` does."""

    def __init__(self, what: str, act: Act, **options: Any) -> None:
        super().__init__(well, **options)
        self._what = what
        self._act = act

    async def _do(self, what: str) -> Any:
        return await self._act(self.free) if what == self._what else None

    async def capabilities(self) -> Capabilities:
        return await self._do("capabilities") or await super().capabilities()

    async def health(self) -> Health:
        return await self._do("health") or Health(True)

    async def close(self) -> None:
        await self._do("close")

    async def load(self) -> Any:
        return await self._do("load")


async def panics(free: asyncio.Event) -> None:
    raise PanicException("index out of bounds")


async def interrupts(free: asyncio.Event) -> None:
    raise KeyboardInterrupt


async def cancels(free: asyncio.Event) -> None:
    raise asyncio.CancelledError


async def fails(free: asyncio.Event) -> None:
    raise ValueError("x" * 10_000_000)


async def lies(free: asyncio.Event) -> object:
    return [b"\xff", {}]


async def stays(free: asyncio.Event) -> None:
    while not free.is_set():
        try:
            await free.wait()
        except asyncio.CancelledError:
            continue


ACTS = [panics, interrupts, cancels, fails, lies, stays]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("what", ["capabilities", "health", "load", "close"])
@virtual_time
async def test_an_engine_that_is_sick_holds_up_no_pool(what: str, act: Act) -> None:
    sick, good = Sick(what, act, name="sick"), Hostile(well, name="good")
    async with turning(within=500, every=0.5):
        pool = Pool([Member(engine, sharing=Sharing.NEVER) for engine in (sick, good)])
        await pool.capabilities()
        for number in range(20):
            assert text_of(await chunks(pool, call(f"number {number}"))) == "well"
            await asyncio.sleep(3)
        health = await pool.health()
        assert health.ok
        assert len(health.detail) < 5_000
        assert "sick" in health.detail or what != "capabilities"  # the others are not needed
        pool.check_integrity()
        await pool.close()
        sick.free.set()
        await asyncio.sleep(1)


@pytest.mark.parametrize("act", ACTS)
@virtual_time
async def test_an_engine_alone_that_is_sick_is_contained(act: Act) -> None:
    async with turning(within=500, every=0.5):
        one = Sick("capabilities", act)
        if act is not stays:
            with pytest.raises(EngineProtocolError):
                await Observed(one).capabilities()
        one = Sick("health", act)
        health = await Observed(one).health()
        assert not health.ok
        assert len(health.detail) < 3_000
        one.free.set()
        one = Sick("close", act)
        await Observed(one).close()
        one.free.set()
        await asyncio.sleep(1)


@virtual_time
async def test_a_bug_in_supervision_is_told_and_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pool_of([Member(Hostile(well), sharing=Sharing.NEVER)]) as pool:

        def broken(*_: object) -> Any:
            raise ZeroDivisionError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr("workers.pool.supervision.contract.health", broken)
            await asyncio.sleep(30)
            health = await pool.health()
            assert health.ok
            assert (
                "the watch on hostile failed and was begun again: ZeroDivisionError: a bug" in health.detail
            )
            assert text_of(await chunks(pool, call())) == "well"


@virtual_time
async def test_a_pool_without_its_supervision_is_not_healthy() -> None:
    async with pool_of([Member(Hostile(well), sharing=Sharing.NEVER)]) as pool:
        life = pool._supervisor._life
        assert life is not None
        life.cancel()
        await asyncio.wait([life])
        health = await pool.health()
        assert not health.ok
        assert "the supervision of pool ended" in health.detail


@pytest.mark.parametrize("error", [ValueError("no"), PanicException("no"), KeyboardInterrupt(), None])
async def test_books_of_an_engine_that_cannot_be_read_are_replaced(error: BaseException | None) -> None:
    class Bookkeeper(Hostile):
        def snapshot(self) -> Any:
            if error is not None:
                raise error

        metrics = snapshot

        async def warm(self, prompt: Prompt, *, tenant: str, role: str) -> bool:
            return True

    engine = observed(Bookkeeper(well))
    await engine.capabilities()
    assert [chunk.text async for chunk in engine.generate(call())] == ["well", ""]
    assert engine.snapshot().replicas[0].finished == 1
    assert 'calls_total{outcome="finished",replica="hostile"} 1' in engine.metrics()
    assert await engine.warm(Prompt((Segment("user", "a"),)), tenant="a", role="b")  # type: ignore[attr-defined]
