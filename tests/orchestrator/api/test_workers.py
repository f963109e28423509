"""What the API tells about the engine, and what it does while there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.orchestrator.api.conftest import Api, Open, Reply, slow
from tests.workers.pool.metrics import samples
from workers.engines.simulator.engine import Simulator
from workers.pool.member import Member
from workers.pool.pool import Pool

PROBES = 3
"""Calls by which a pool finds out about an engine."""

ANSWER = "Six sevens are 42.\nAnswer: 42"


async def until(api: Api, path: str, holds: Callable[[Reply], bool]) -> None:
    """Ask again and again, as a load balancer does."""
    async with asyncio.timeout(100):
        while True:
            if holds(await api.get(path)):
                return
            await asyncio.sleep(0.02)


async def metrics_of(api: Api) -> str:
    async with api.session.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return await response.text()


async def test_an_engine_alone_is_shown_with_its_load(open_api: Open) -> None:
    async with open_api(slow()) as api:
        task = (await api.submit()).body
        async for frame in api.frames(f"/v1/tasks/{task['id']}/events"):
            if frame.event == "progress":
                break
        pool = (await api.get("/v1/workers")).body
        assert pool["families"] == 1
        assert pool["waiting"] == 0
        (one,) = pool["replicas"]
        assert (one["name"], one["state"], one["in_flight"]) == ("simulator", "up", 1)
        value = samples(await metrics_of(api), prefix="anabranch_")
        assert value("tasks_running") == 1
        assert value("pool_in_flight", replica="simulator") == 1


async def test_a_pool_is_shown_with_what_it_did(open_api: Open) -> None:
    engines = [Simulator(ANSWER, name="a"), Simulator(ANSWER, name="b"), Simulator(name="c")]
    members = [*map(Member, engines[:2]), Member(engines[2], roles=frozenset({"large"}))]
    async with open_api(Pool(members)) as api:
        for number in range(4):
            assert (await api.submit(f"{number} " * 200, wait=60)).status == 200
        engines[1].kill("no power")
        await asyncio.gather(*(api.submit(f"more {number}", wait=60, planner="vote") for number in range(4)))
        pool = (await api.get("/v1/workers")).body
        a, b, c = pool["replicas"]
        assert c["roles"] == ["large"]
        assert [one["finished"] for one in (a, b, c)] == [
            engine.counters().finished - PROBES for engine in engines
        ]
        assert a["finished"] + b["finished"] > c["finished"] == 0
        assert 0 <= pool["hit_ratio"] <= pool["ideal_hit_ratio"] <= 1
        value = samples(await metrics_of(api), prefix="anabranch_")
        assert value("tasks_ended_total", status="succeeded") == 8
        assert value("tasks_ended_total", status="failed") == 0
        assert value("tasks_running") == 0
        for one in pool["replicas"]:
            name = one["name"]
            assert value("pool_calls_total", replica=name, outcome="finished") == one["finished"]
            assert value("pool_breaker_state", replica=name, state=one["breaker"]) == 1
            assert value("pool_wasted_tokens_total", replica=name) == one["wasted_tokens"]


async def test_without_an_engine_tasks_are_refused_with_a_time_to_return(open_api: Open) -> None:
    engines = [Simulator(ANSWER, name=name) for name in ("a", "b")]
    for engine in engines:
        engine.kill("connection refused")
    async with open_api(Pool(engines), work=False) as api:
        kept = (await api.submit()).body  # nobody has tried the engine yet
        async with api.service.working():
            await until(api, "/healthz", lambda reply: "refused" in reply.body["engine"]["detail"])
            health = await api.get("/healthz")
            assert (health.status, health.body["status"]) == (503, "unavailable")
            detail = health.body["engine"]["detail"]
            assert detail == "a is not running: connection refused; b is not running: connection refused"
            reply = await api.submit()
            assert (reply.status, reply.error) == (503, "engine_unavailable")
            assert detail in reply.message
            assert reply.body["error"]["retryable"]
            assert reply.headers["Retry-After"] == "5"
            assert (await api.get(f"/v1/tasks/{kept['id']}")).body["status"] == "queued"

            engines[1].revive()
            await until(api, "/healthz", lambda reply: reply.status == 200)
            assert (await api.submit(wait=60)).body["status"] == "succeeded"
            await until(api, f"/v1/tasks/{kept['id']}", lambda reply: reply.body["status"] == "succeeded")


async def test_an_engine_that_dies_under_way_is_noticed_too(open_api: Open) -> None:
    engine = Simulator(ANSWER, name="a")
    async with open_api(Pool([engine], patience=0.2)) as api:
        assert (await api.submit(wait=60)).body["status"] == "succeeded"
        engine.kill("no power")
        ended = (await api.submit(wait=60)).body
        assert ended["status"] == "failed"
        assert ended["error"]["code"] == "engine_unavailable"
        assert "no power" in ended["error"]["message"]
        reply = await api.submit()
        assert (reply.status, reply.error) == (503, "engine_unavailable")
        engine.revive()
        await until(api, "/healthz", lambda reply: reply.status == 200)
        assert (await api.submit(wait=60)).body["status"] == "succeeded"
