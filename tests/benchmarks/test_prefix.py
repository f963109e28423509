"""The peer is called as the pool calls, its sessions are the families, and its best policy is what counts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiohttp import web

from benchmarks.prefix import MIXED, Row, Scenario, best, checks_of, family_calls, ideal_tokens, send
from benchmarks.prefix_router import SESSION, calling
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.server import application
from workers.errors import EngineInterrupted, EngineUnavailable


def row(policy: str, computed: int, p95: float, *, failed: int = 0) -> Row:
    return Row("4 replicas", policy, 384, failed, computed, 1_000, computed / 1_000, 1.0, p95, 0.3)


async def serve(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"


async def test_calls_reach_the_servers_whole_and_with_their_family_as_the_session() -> None:
    sessions: list[str | None] = []

    async def note(request: web.Request, _response: web.StreamResponse) -> None:
        sessions.append(request.headers.get(SESSION))

    simulator = Simulator("word word")
    app = application(simulator)
    app.on_response_prepare.append(note)
    runner, url = await serve(app)
    families = family_calls(2, 1, shared=800)
    try:
        async with calling(url) as caller:
            latencies, firsts, failed = await send(caller, families, 0.001, 0.0, 1)
    finally:
        await runner.cleanup()
    assert (len(latencies), failed) == (16, 0)
    assert all(0 < first <= latency for first, latency in zip(sorted(firsts), sorted(latencies), strict=True))
    assert sorted(sessions, key=str) == ["1/0"] * 8 + ["1/1"] * 8
    assert simulator.counters().prompt_tokens_computed == ideal_tokens(families)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, 'data: {"choices": [{"delta": {"content": "wo"}}]}\n\n', EngineInterrupted),
        (502, "no worker", EngineUnavailable),
    ],
)
async def test_an_answer_that_is_not_whole_is_a_failure(
    status: int, body: str, error: type[Exception]
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner, url = await serve(app)
    ((call, *_),) = family_calls(1, 1, shared=100)
    try:
        async with calling(url) as caller:
            with pytest.raises(error):
                [chunk async for chunk in caller.generate(call)]
    finally:
        await runner.cleanup()


def test_families_of_mixed_widths_have_all_of_them() -> None:
    families = family_calls(60, 1, shared=10, widths=MIXED)
    assert {len(family) for family in families} == set(MIXED)
    assert str(Scenario(4, widths=MIXED)) == "4 replicas, 2 to 24 branches"
    assert {len(family) for family in family_calls(9, 1, shared=10)} == {8}


def test_each_measure_is_held_against_the_policy_that_is_best_in_it() -> None:
    rows: Sequence[Row] = [
        row("anabranch", 1_010, 1.5),
        row("cache_aware", 3_000, 3.0),
        row("sticky_least_loaded", 1_000, 1.6),
        row("power_of_two", 2_000, 1.4),
        row("round_robin", 900, 1.0, failed=4),
    ]
    assert best(rows).splitlines()[-1] == (
        "| 4 replicas | 1,010 | 1,000 `sticky_least_loaded` | 1.500 | 1.400 `power_of_two` |"
    )
    p95 = next(check for check in checks_of(rows[:4]) if check.name.startswith("p95"))
    assert not p95.passed
    assert p95.bound == pytest.approx(1.4 * 1.03)
