"""Random calls, consumers and faults on virtual time: whatever happens, calls end and the books balance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from random import Random

import pytest

from tests.workers.pool.metrics import samples
from tests.workers.virtual_time import VirtualTimeLoop
from workers.calls import Call, Chunk, Prompt, Sampling, Segment
from workers.engine import Health
from workers.engines.simulator.engine import CostModel, Fault, FaultKind, Simulator
from workers.errors import WorkerError
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool

CHAOS_SECONDS = 90.0
END_SECONDS = 1_500.0
"""Of the longest way to an end: four attempts that hang, each behind others that do."""

ROLES = ("branch", "judge", "planner")
FAULTS: tuple[FaultKind, ...] = (
    "refuse",
    "reject",
    "overload",
    "reset",
    "hang",
    "garbage",
    "slow",
)


class Moody(Simulator):
    """Tells its load, takes its time to hang up, and may say that it is well or not against the truth."""

    mood: bool | None = None
    roomy = False  # whether it has more places than there are consumers that stop reading
    hanging_up = 0.0  # seconds

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        try:
            async with aclosing(super().generate(call)) as stream:
                async for chunk in stream:
                    yield chunk
        finally:
            if self.hanging_up:
                await asyncio.sleep(self.hanging_up)

    async def health(self) -> Health:
        return await super().health() if self.mood is None else Health(self.mood, "moody")

    async def load(self) -> tuple[int, int] | None:
        counters = self.counters()
        return counters.in_flight, counters.waiting


class Scenario:
    """One run; all of it follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = Random(seed)
        self.chaos = True
        self.grain = rng.choice((0.0, 0.05, 1.0))
        self.engines = [self._engine(number) for number in range(rng.randrange(1, 5))]
        roles = rng.random() < 0.3
        self.pool = Pool(
            [
                Member(
                    engine,
                    roles=frozenset(rng.sample(ROLES, rng.randrange(len(ROLES)))) if roles else frozenset(),
                    sharing=rng.choice((None, Sharing.COMPUTED, Sharing.IN_FLIGHT, Sharing.NEVER)),
                    index_blocks=rng.choice((8, 1_000)),
                )
                for engine in self.engines
            ],
            max_waiting=rng.choice((4, 40, 10_000)),
            attempts=rng.randrange(1, 5),
            stall_seconds=rng.choice((1.0, 10.0)),
            patience=rng.choice((5.0, 30.0)),
            hedge_after=rng.choice((None, 1.2, 3.0)),
        )
        # Places that nobody reads from are places that others wait for, as many as a replica has.
        self.unread = rng.random() < 0.5 and all(engine.roomy for engine in self.engines)
        self.over = asyncio.Event()
        self.outcomes: dict[str, int] = {}

    def _engine(self, number: int) -> Moody:
        rng = self.rng
        roomy = rng.random() < 0.5
        kinds = rng.sample([kind for kind in FAULTS if not (roomy and kind == "overload")], rng.randrange(4))
        faults = [
            Fault(
                kind=kind,
                probability=rng.choice((0.02, 0.1, 0.5)),
                after_tokens=rng.choice((0, 1, 7)),
                seconds=rng.choice((0.0, 1.0, 20.0)),
                when=lambda _: self.chaos,
            )
            for kind in kinds
        ]
        engine = Moody(
            "four" * rng.choice((1, 20, 60)),
            name=f"s{number}",
            cost=CostModel(
                latency=rng.choice((0.0, 0.05)),
                prefill_tokens_per_s=rng.choice((500, 20_000)),
                decode_tokens_per_s=rng.choice((10, 200)),
                jitter=rng.choice((0.0, 0.5)),
            ),
            max_concurrency=None if roomy else rng.choice((1, 2, 8)),
            share_in_flight=rng.random() < 0.5,
            cache_blocks=rng.choice((0, 64, 16_384)),
            faults=faults,
            seed=number,
        )
        engine.roomy = roomy
        engine.hanging_up = rng.choice((0.0, 0.0, 0.05))
        return engine

    async def run(self) -> None:
        rng, pool = self.rng, self.pool
        clock = asyncio.get_running_loop().time
        await pool.capabilities()
        calls = [asyncio.create_task(self._one()) for _ in range(rng.choice((5, 40, 120)))]
        troubles = [asyncio.create_task(self._trouble(engine)) for engine in self.engines]
        await asyncio.gather(*troubles)
        self.chaos = False
        began = clock()
        if rng.random() < 0.2:
            await pool.close()
        _, late = await asyncio.wait(calls, timeout=END_SECONDS)
        held = [call for call in late if call.get_name() != "unread"]
        assert not held, f"{len(held)} calls did not end: {pool.snapshot()}"
        self.over.set()
        _, late = await asyncio.wait(calls, timeout=END_SECONDS)
        assert not late, f"{len(late)} calls did not end: {pool.snapshot()}"
        for call in calls:
            call.result()
        self.seconds = clock() - began
        await asyncio.sleep(130)  # a warming that hangs
        self._check_books()
        await pool.close()
        self._check_books()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, others

    def _check_books(self) -> None:
        pool = self.pool
        pool.check_integrity()
        snapshot = pool.snapshot()
        assert (snapshot.families, snapshot.waiting, snapshot.parked) == (0, 0, 0), snapshot
        assert pool._admission.tenants == {}
        for engine, replica in zip(self.engines, pool._replicas, strict=True):
            assert replica.occupied == replica.left_behind == 0, snapshot
            assert replica.idle.is_set()
            assert not replica.computing
            assert replica.warming is None
            assert replica.pending_prefill == 0
            counters = engine.counters()
            assert counters.in_flight == counters.waiting == 0, counters
        samples(pool.metrics())
        tally = snapshot.replicas
        assert sum(one.finished for one in tally) == self.outcomes.get("finished", 0)

    def _seconds(self, mean: float) -> float:
        """A random time; all are multiples of one where things are to happen in the same moment."""
        seconds = self.rng.expovariate(1 / mean)
        return round(seconds / self.grain) * self.grain if self.grain else seconds

    async def _trouble(self, engine: Moody) -> None:
        """What happens to one replica, until all is well again."""
        rng, clock = self.rng, asyncio.get_running_loop().time
        if rng.random() < 0.7:
            while clock() < CHAOS_SECONDS:
                await asyncio.sleep(self._seconds(10.0))
                match rng.randrange(7):
                    case 0:
                        engine.kill("chaos")
                    case 1 | 2:
                        engine.revive()
                    case 3:
                        engine.mood = rng.choice((None, True, False))
                    case 4:
                        engine.mood = None
                    case 5:
                        with suppress(TimeoutError):
                            async with asyncio.timeout(rng.choice((0, 1, 20))):
                                await self.pool.drain(engine.name)
                    case 6:
                        self.pool.resume(engine.name)
        await asyncio.sleep(max(0.0, CHAOS_SECONDS - clock()))
        engine.revive()
        engine.mood = None
        self.pool.resume(engine.name)

    async def _one(self) -> None:
        rng, pool = self.rng, self.pool
        await asyncio.sleep(self._seconds(rng.choice((0.1, CHAOS_SECONDS / 2))))
        family = rng.choice((None, "a", "b", f"{rng.random()}"))
        stem = f"{family or rng.random()} ".ljust(rng.choice((0, 300, 4_000)), "s")
        prompt = Prompt((Segment("system", stem), Segment("user", f"{rng.random()}".ljust(80))))
        call = Call(
            prompt,
            Sampling(max_tokens=rng.choice((1, 256))),
            role=rng.choice(ROLES),
            family=family,
            tenant=rng.choice("xyz"),
            priority=rng.choice((0.0, 1.0)),
        )
        way = rng.randrange(10)
        if way == 0:
            await pool.warm(replace(prompt, segments=prompt.segments[:1]), tenant=call.tenant, role=call.role)
        elif way == 1:
            reading = asyncio.create_task(self._read(call))
            await asyncio.sleep(self._seconds(2.0))
            for _ in range(rng.randrange(4)):
                reading.cancel()
                await asyncio.sleep(0)
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
        elif way == 2:
            await self._read(call, most=rng.randrange(1, 10))
        elif way == 3:
            await self._read(call, pause=self._seconds(1.0))
        elif way == 4 and self.unread:
            await self._read(call, stop=rng.randrange(1, 5))
        else:
            await self._read(call)

    async def _read(self, call: Call, *, most: int = 10**9, pause: float = 0.0, stop: int = 0) -> None:
        stream = self.pool.generate(call)
        assert isinstance(stream, AsyncGenerator)
        text, number, last = "", 0, None
        try:
            async for chunk in stream:
                assert last is None
                number += 1
                text = chunk.text if chunk.restarted else text + chunk.text
                last = self._last(chunk, text, call)
                if number == most:
                    break
                if number == stop and last is None:
                    task = asyncio.current_task()
                    assert task is not None
                    task.set_name("unread")
                    await self.over.wait()
                await asyncio.sleep(pause)
            else:
                assert last is not None
        except WorkerError as error:
            self._count(error.code)
        finally:
            await stream.aclose()

    def _last(self, chunk: Chunk, text: str, call: Call) -> str | None:
        if chunk.finish_reason is None:
            return None
        self._count("finished")
        engine = next(engine for engine in self.engines if engine.name == chunk.worker)
        roles = self.pool._replica(engine.name).roles
        served = self.pool._placement.serving(call.role)
        assert any(one.name == engine.name for one in served), f"{engine.name} is for {roles}: {call.role}"
        assert text == engine._script._say(call, Random)[: call.sampling.max_tokens * 4]
        return chunk.finish_reason

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


def run(seed: int) -> Scenario:
    found = []

    async def whole() -> None:
        found.append(Scenario(seed))
        await found[0].run()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(whole())
    return found[0]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_calls_end_and_the_books_balance(seed: int) -> None:
    run(seed)
