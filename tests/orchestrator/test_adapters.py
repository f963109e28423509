"""LoRA adapters: a vLLM server lists each as a model of its own, which can have a role of the pool."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from orchestrator.engines import build_engine
from orchestrator.settings import Settings
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from planners.vote import vote
from storage.opening import open_store
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.server import application
from workers.pool.pool import Pool


@asynccontextmanager
async def serving(base: str, answers: Mapping[str, str]) -> AsyncIterator[tuple[str, list[str]]]:
    """One server with a base model and its adapters, listed and chosen by name as vLLM does.

    Yields its URL, and the models that were asked, in order.
    """
    simulators = {name: Simulator(said, name=name, model=name) for name, said in answers.items()}
    faces = {name: application(simulator) for name, simulator in simulators.items()}
    asked: list[str] = []

    async def complete(request: web.Request) -> web.StreamResponse:
        name = json.loads(await request.read())["model"]
        asked.append(name)
        found = await faces[name].router.resolve(request)
        return await found.handler(request)

    async def models(request: web.Request) -> web.Response:
        cards = [
            {
                "id": name,
                "object": "model",
                "owned_by": "vllm",
                "root": f"/models/{name}",
                "parent": None if name == base else base,
                "max_model_len": 4096 if name == base else None,
            }
            for name in answers
        ]
        return web.json_response({"object": "list", "data": cards})

    async def others(request: web.Request) -> web.StreamResponse:
        found = await faces[base].router.resolve(request)
        return await found.handler(request)

    app = web.Application()
    app.router.add_post("/v1/{path:.*}", complete)
    app.router.add_get("/v1/models", models)
    app.router.add_get("/{path:.*}", others)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", asked
    finally:
        for simulator in simulators.values():
            await simulator.close()
        await runner.cleanup()


async def test_adapters_of_one_server_vote_by_their_roles() -> None:
    answers = {"base": r"\boxed{7}", "math-lora": r"\boxed{8}", "law-lora": r"\boxed{7}"}
    async with serving("base", answers) as (url, asked), await open_store("memory") as store:
        engine = build_engine(Settings(engine=f"{url},math=math-lora@{url},law=law-lora@{url}"))
        assert isinstance(engine, Pool)
        assert (await engine.capabilities()).roles == {"math", "law"}
        del asked[:]  # what it was probed with
        service = Service(store, engine, planners={"vote": vote})
        options = {"n": 3, "rule": "fixed", "voters": {"branch": 1, "math": 3, "law": 1}}
        solution = await service.solve(parse({"query": "How many?", "planner": "vote", "options": options}))
        assert sorted(asked) == ["base", "law-lora", "math-lora"]
        assert (solution.answer, solution.confidence) == ("8", 0.6)
        shown = {(one.model, one.roles) for one in engine.snapshot().replicas}
        assert shown == {("base", ()), ("math-lora", ("math",)), ("law-lora", ("law",))}
        replayed = await service.replay(solution.trace_id)
        assert replayed.result.answer is not None
        assert replayed.result.answer.claim == "8"
        await engine.close()
