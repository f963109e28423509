"""What becomes of a response whose client leaves, and of one that is not to be stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest

from orchestrator.structured import Ending
from orchestrator.tasks.service import Service
from storage.tasks import Task, TaskStatus
from tests.orchestrator.api.conftest import Api, Open, slow
from tests.orchestrator.api.responses.clients import client


async def only_task(api: Api) -> dict[str, Any]:
    """The one task that there is."""
    [task] = (await api.get("/v1/tasks")).body["tasks"]
    return dict(task)


async def running(api: Api) -> str:
    """The id of the one task, once it runs."""
    while True:
        tasks = (await api.get("/v1/tasks")).body["tasks"]
        if tasks and tasks[0]["status"] == "running":
            return str(tasks[0]["id"])
        await asyncio.sleep(0.01)


async def ended(service: Service, task_id: str) -> Task:
    """The task once it has ended."""
    async for _ in service.events(task_id):
        pass
    return await service.task(task_id)


@pytest.mark.parametrize("stream", [False, True], ids=["waiting", "streaming"])
async def test_who_leaves_ends_the_work(open_api: Open, stream: bool) -> None:
    async with open_api(slow()) as api:
        body = {"model": "anabranch/direct", "input": "x", "stream": stream}
        asking = asyncio.create_task(_asked(api, body))
        task_id = await running(api)
        asking.cancel()
        await asyncio.wait([asking])
        assert (await ended(api.service, task_id)).status is TaskStatus.CANCELLED


async def _asked(api: Api, body: dict[str, Any], **options: Any) -> bytes:
    async with api.session.post("/v1/responses", json=body, **options) as response:
        return await response.read()


@pytest.mark.parametrize(
    ("more", "headers"),
    [({"background": True, "stream": True}, {}), ({}, {"Idempotency-Key": "1"})],
    ids=["in the background", "with a key to come back with"],
)
async def test_work_that_somebody_can_come_back_for_goes_on(
    open_api: Open, more: dict[str, Any], headers: dict[str, str]
) -> None:
    async with open_api(slow()) as api:
        body = {"model": "anabranch/direct", "input": "x", **more}
        asking = asyncio.create_task(_asked(api, body, headers=headers))
        task_id = await running(api)
        asking.cancel()
        await asyncio.wait([asking])
        async with client(api) as ai:
            assert (await ai.responses.retrieve(f"resp_{task_id}")).status == "in_progress"
            assert (await ai.responses.cancel(f"resp_{task_id}")).status == "cancelled"


async def test_what_is_not_to_be_stored_is_gone_once_it_is_answered(api: Api) -> None:
    async with client(api) as ai:
        response = await ai.responses.create(model="anabranch/vote", input="x", store=False)
        assert response.status == "completed"
        assert response.model_dump()["store"] is False
        await _gone(api, response.id)
        stream = await ai.responses.create(model="anabranch/vote", input="x", store=False, stream=True)
        async for event in stream:
            if event.type == "response.created":  # not even while it is there
                with pytest.raises(openai.NotFoundError):
                    await ai.responses.retrieve(event.response.id)
        await _gone(api, event.response.id)  # type: ignore[union-attr]
        with pytest.raises(openai.BadRequestError) as both:
            await ai.responses.create(model="anabranch/vote", input="x", store=False, background=True)
        assert both.value.param == "background"


async def _gone(api: Api, response: str) -> None:
    while True:
        if (await api.get(f"/v1/tasks/{response.removeprefix('resp_')}")).status == 404:
            return
        await asyncio.sleep(0.01)


async def test_what_is_not_to_be_stored_is_gone_also_if_its_client_leaves(open_api: Open) -> None:
    async with open_api(slow()) as api:
        asking = asyncio.create_task(_asked(api, {"model": "anabranch/direct", "input": "x", "store": False}))
        task_id = await running(api)
        asking.cancel()
        await asyncio.wait([asking])
        await _gone(api, task_id)


async def test_what_is_not_to_be_stored_is_gone_also_if_the_process_closes(open_api: Open) -> None:
    closing = Ending()
    async with open_api(slow(), work=False, closing=closing) as front, open_api(slow()):
        body = {"model": "anabranch/direct", "input": "x", "store": False}
        asking = asyncio.create_task(_asked(front, body))
        task_id = await running(front)
        closing.set()
        assert b"closing" in await asking
        await _gone(front, task_id)


async def test_what_is_not_to_be_stored_cannot_be_asked_for_again(api: Api) -> None:
    async with client(api, default_headers={"Idempotency-Key": "order-17"}) as ai:
        with pytest.raises(openai.BadRequestError) as raised:
            await ai.responses.create(model="anabranch/direct", input="x", store=False)
    assert raised.value.param == "store"


async def test_a_second_request_with_an_idempotency_key_is_the_first_response(api: Api) -> None:
    async with client(api, default_headers={"Idempotency-Key": "order-17"}) as ai:
        first = await ai.responses.create(model="anabranch/direct", input="x")
        assert await ai.responses.create(model="anabranch/direct", input="x") == first
        stream = await ai.responses.create(model="anabranch/direct", input="x", stream=True)
        events = [event async for event in stream]
        assert events[-1].response == first  # type: ignore[union-attr]
        with pytest.raises(openai.ConflictError):
            await ai.responses.create(model="anabranch/direct", input="y")
        assert (await only_task(api))["id"] == first.id.removeprefix("resp_")


async def test_a_stream_whose_process_ends_says_how_to_go_on(open_api: Open) -> None:
    closing = Ending()
    async with open_api(slow(), closing=closing) as api:
        async with api.session.post(
            "/v1/responses", json={"model": "anabranch/direct", "input": "x", "stream": True}
        ) as response:
            frames = _frames(response)
            created = await anext(frames)
            in_progress = await anext(frames)
            closing.set()
            rest = [frame async for frame in frames]
        error = rest[-1]
        last = rest[-2] if len(rest) > 1 else in_progress
        assert (error["type"], error["error"]["code"]) == ("error", "closing")
        assert error["sequence_number"] == last["sequence_number"]
        assert f"/v1/responses/{created['response']['id']}?stream=true" in error["message"]
        task = await api.service.task(created["response"]["id"].removeprefix("resp_"))
        assert not task.cancel_requested  # another process goes on with it


async def _frames(response: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))
