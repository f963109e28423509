"""How many clients may follow tasks, and how that ends when the process does or something breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from orchestrator.settings import Settings
from orchestrator.structured import Ending
from orchestrator.tasks.service import Service
from tests.orchestrator.api.conftest import Api, Frame, Open, slow


class Escaping(BaseException):
    """What no `except Exception` catches."""


@asynccontextmanager
async def followed(api: Api, task: str) -> AsyncIterator[None]:
    """Follow a task while the block runs; the place of a client that has just left may still be taken."""
    while True:
        async with api.session.get(f"/v1/tasks/{task}/events") as response:
            if response.status == 200:
                yield
                return
        await asyncio.sleep(0.02)


async def test_streams_beyond_the_bound_are_refused_until_another_ends(open_api: Open) -> None:
    settings = Settings(streams=3, tenant_streams=2)
    async with open_api(work=False, settings=settings) as api:
        ids = {tenant: (await api.submit(tenant=tenant)).body["id"] for tenant in ("a", "b", "c")}
        async with followed(api, ids["a"]), followed(api, ids["b"]):
            async with followed(api, ids["a"]):
                for tenant, says in (("a", "3 event streams"), ("c", "3 event streams")):
                    reply = await api.get(f"/v1/tasks/{ids[tenant]}/events")
                    assert (reply.status, reply.error) == (503, "too_many_streams")
                    assert says in reply.message
                    assert int(reply.headers["Retry-After"]) > 0
                    assert reply.body["error"]["retryable"]
            async with followed(api, ids["c"]):
                pass
            async with followed(api, ids["a"]):
                pass


async def test_a_tenant_cannot_take_all_the_places(open_api: Open) -> None:
    settings = Settings(streams=3, tenant_streams=1)
    async with open_api(work=False, settings=settings) as api:
        ids = {tenant: (await api.submit(tenant=tenant)).body["id"] for tenant in ("a", "b")}
        async with followed(api, ids["a"]):
            reply = await api.get(f"/v1/tasks/{ids['a']}/events")
            assert (reply.status, reply.error) == (503, "too_many_streams")
            assert "of tenant 'a'" in reply.message
            async with followed(api, ids["b"]):
                pass


async def test_a_request_that_cannot_wait_stores_nothing(open_api: Open) -> None:
    async with open_api(work=False, settings=Settings(streams=1)) as api:
        task = (await api.submit()).body["id"]
        async with followed(api, task):
            reply = await api.submit(wait=30)
            assert (reply.status, reply.error) == (503, "too_many_streams")
            assert len((await api.get("/v1/tasks")).body["tasks"]) == 1
            assert (await api.submit()).status == 202


async def test_waiting_takes_a_place_only_while_it_lasts(open_api: Open) -> None:
    async with open_api(settings=Settings(streams=1, lease_seconds=3600)) as api:
        for _ in range(3):
            assert (await api.submit(wait=60)).status == 200


async def test_streams_end_with_a_farewell_when_the_process_closes(open_api: Open) -> None:
    closing = Ending()
    async with open_api(slow(), closing=closing) as api:
        path = f"/v1/tasks/{(await api.submit()).body['id']}/events"
        frames = [frame async for frame in _until_progress(api, path, closing)]
        assert frames[-1].event == "closing"
        assert frames[-1].id is None
        assert frames[-1].data["error"] == {
            "code": "closing",
            "message": "this process shuts down; follow the task again with the last id as Last-Event-ID",
            "retryable": True,
        }
        async with api.session.get(path) as response:
            assert b"\nretry: 1000\nevent: closing\n" in b"\n" + await response.read()
        seen = [frame.id for frame in frames if frame.id is not None]
    async with open_api() as other:  # what one process began goes on in the next
        rest = [frame async for frame in other.frames(path, headers={"Last-Event-ID": str(seen[-1])})]
    assert rest[-1].event == "task_ended"
    ids = seen + [frame.id for frame in rest if frame.id is not None]
    assert ids == list(range(len(ids)))


async def _until_progress(api: Api, path: str, closing: asyncio.Event) -> AsyncIterator[Frame]:
    async for frame in api.frames(path):
        yield frame
        if frame.event == "progress":
            closing.set()


async def test_a_waiting_request_gets_the_task_when_the_process_closes(open_api: Open) -> None:
    closing = Ending()
    async with open_api(slow(), closing=closing) as api:
        waiting = asyncio.create_task(api.submit(wait=600))
        while not (tasks := (await api.get("/v1/tasks")).body["tasks"]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        closing.set()
        reply = await waiting
    assert reply.status == 202
    assert reply.body["id"] == tasks[0]["id"]
    assert reply.headers["Location"] == f"/v1/tasks/{tasks[0]['id']}"


@pytest.mark.parametrize("error", [LookupError("a secret"), Escaping("a secret"), SystemExit(3)])
async def test_whatever_breaks_a_stream_ends_that_stream_alone(
    open_api: Open, monkeypatch: pytest.MonkeyPatch, error: BaseException | None
) -> None:
    async def broken(*args: Any, **kwargs: Any) -> AsyncIterator[None]:
        if error is not None:
            raise error
        yield

    async with open_api(work=False) as api:
        task = (await api.submit()).body["id"]
        monkeypatch.setattr(Service, "events", broken)
        frames = [frame async for frame in api.frames(f"/v1/tasks/{task}/events")]
        assert [frame.event for frame in frames] == ["error"]
        assert frames[0].data["error"]["code"] == "internal"
        assert "secret" not in str(frames[0].data)
        assert (await api.get("/healthz")).status == 200
        assert (await api.submit("and another", wait=0.1)).status == 202


@pytest.mark.parametrize(
    "error", [Escaping("a secret"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()]
)
async def test_whatever_breaks_a_request_ends_that_request_alone(
    open_api: Open, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    async def broken(self: Service, task_id: str) -> None:
        raise error

    async with open_api(work=False) as api:
        monkeypatch.setattr(Service, "task", broken)
        reply = await api.get("/v1/tasks/x")
        assert (reply.status, reply.error) == (500, "internal")
        assert (await api.get("/healthz")).status == 200
