"""Readiness and liveness tell the truth, at once, and cost little however often somebody asks."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from orchestrator.tasks import health, queue
from orchestrator.tasks.queue import Queue
from storage.store import Store
from tests.orchestrator.api.conftest import Api, Open, Reply
from workers.engines.simulator.engine import Simulator

PARTS = {"engine", "database", "disk", "queue", "loop", "connections"}


async def until(api: Api, part: str, *, ok: bool) -> Reply:
    async with asyncio.timeout(60):
        while (reply := await api.get("/healthz")).body[part]["ok"] is not ok:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return reply


async def test_all_parts_are_named(api: Api) -> None:
    reply = await api.get("/healthz")
    assert (reply.status, reply.body["status"]) == (200, "ok")
    assert {name for name, part in reply.body.items() if isinstance(part, dict)} == PARTS
    life = await api.get("/livez")
    assert (life.status, life.body) == (200, {"ok": True, "detail": ""})


async def test_a_service_that_runs_no_tasks_is_ready(open_api: Open) -> None:
    async with open_api(work=False) as api:
        reply = await api.get("/healthz")
    assert reply.status == 200
    assert reply.body["queue"] == {"ok": True, "detail": "other processes run the tasks"}


async def test_a_database_that_does_not_answer_makes_health_neither_slow_nor_pile_up(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(health, "FRESH_SECONDS", 0.0)
    probes = 0

    async def hangs() -> None:
        nonlocal probes
        probes += 1
        await asyncio.Event().wait()

    async with open_api(work=False) as api:
        assert (await api.get("/healthz")).status == 200
        monkeypatch.setattr(api.service.store, "probe", hangs)
        reply = await until(api, "database", ok=False)
        assert reply.status == 503
        assert reply.body["database"]["detail"].startswith("no answer within ")
        took = []
        for _ in range(50):
            began = time.perf_counter()
            assert (await api.get("/healthz")).status == 503
            took.append(time.perf_counter() - began)
        assert sorted(took)[25] < 0.1
        assert probes == 1


async def test_health_is_checked_once_a_second_however_often_somebody_asks(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FRESH_SECONDS", 3600.0)
    async with open_api(work=False) as api:
        probes = 0

        async def counted() -> None:
            nonlocal probes
            probes += 1

        monkeypatch.setattr(api.service.store, "probe", counted)
        replies = await asyncio.gather(*(api.get("/healthz") for _ in range(20)))
        await api.get("/healthz")
    assert {reply.status for reply in replies} == {200}
    assert probes == 1


async def test_a_disk_without_room_is_not_ready(open_api: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_api(work=False) as api:
        monkeypatch.setattr(api.service.store, "free_bytes", lambda: 7_000_000)
        reply = await until(api, "disk", ok=False)
    assert reply.status == 503
    assert reply.body["disk"]["detail"] == "7 MB are free; at least 100 MB must be"


async def test_a_queue_that_is_silent_is_not_ready(open_api: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(queue, "IDLE_SECONDS", 0.01)
    async with open_api() as api:
        await until(api, "queue", ok=True)
        looking = asyncio.Event()

        async def hangs(*_: Any, **__: Any) -> None:
            await looking.wait()

        monkeypatch.setattr(api.service.store, "claim", hangs)
        reply = await until(api, "queue", ok=False)
        assert reply.status == 503
        assert reply.body["queue"]["detail"].startswith("the queue has not looked for tasks for ")
        looking.set()
        await until(api, "queue", ok=True)


@pytest.mark.parametrize("what", ["store", "queue"])
async def test_what_will_not_be_worked_on_is_refused(
    open_api: Open, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    why = "on purpose"
    async with open_api() as api:
        owner: type = Store if what == "store" else Queue
        monkeypatch.setattr(owner if what == "queue" else type(api.service.store), "failed", lambda _: why)
        refused = await api.submit()
        life, ready = await api.get("/livez"), await api.get("/healthz")
    assert (refused.status, refused.error) == (503, "unavailable")
    assert why in refused.message
    assert int(refused.headers["Retry-After"]) >= 1
    assert (life.status, life.body["ok"]) == (503, False)
    assert why in life.body["detail"]
    assert ready.status == 503
    assert why in ready.body["database" if what == "store" else "queue"]["detail"]


async def test_an_engine_that_breaks_its_promise_is_not_ready(open_api: Open) -> None:
    class Odd(Simulator):
        async def health(self) -> Any:
            raise SystemExit("on purpose")

    async with open_api(Odd("42"), work=False) as api:
        reply = await api.get("/healthz")
    assert reply.status == 503
    assert reply.body["engine"] == {"ok": False, "detail": "its health check raised SystemExit: on purpose"}
