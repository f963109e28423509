from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from tests.orchestrator.api.conftest import Api, Frame, Open, slow
from workers.engines.simulator.engine import CostModel, Simulator


async def ended(api: Api, path: str, **options: object) -> list[Frame]:
    return [frame async for frame in api.frames(path, **options)]


async def test_events_come_in_order_and_end_with_the_task(api: Api) -> None:
    task = (await api.submit()).body
    frames = await ended(api, f"/v1/tasks/{task['id']}/events")
    stored = [frame for frame in frames if frame.id is not None]
    assert [frame.id for frame in stored] == list(range(len(stored)))
    assert [frame.event for frame in stored] == [
        "run_started",
        "node_added",
        "node_settled",
        "run_finished",
    ]
    assert all(frame.data["seq"] == frame.id and frame.data["type"] == frame.event for frame in stored)
    assert frames[-1].event == "task_ended"
    assert frames[-1].id is None
    assert frames[-1].data["status"] == "succeeded"


async def test_progress_is_told_while_a_call_generates(open_api: Open) -> None:
    progress: list[Frame] = []
    engine = slow()
    async with open_api(engine) as api:
        task = (await api.submit()).body
        async for frame in api.frames(f"/v1/tasks/{task['id']}/events"):
            if frame.event == "progress":
                progress.append(frame)
                if len(progress) == 6:
                    break
        assert engine.counters().in_flight == 1
        await api.call("POST", f"/v1/tasks/{task['id']}/cancel")
    assert all(frame.id is None and frame.data["path"] == "0" for frame in progress)
    assert all(a.data["tokens"] < b.data["tokens"] for a, b in pairwise(progress))


async def test_an_interrupted_stream_is_resumed_where_it_was(open_api: Open) -> None:
    engine = Simulator("The answer is \\boxed{42}", cost=CostModel(latency=0.1))
    async with open_api(engine) as api:
        task = (await api.submit(planner="vote")).body
        path = f"/v1/tasks/{task['id']}/events"
        seen: list[int] = []
        async for frame in api.frames(path):
            if frame.id is not None:
                seen.append(frame.id)
                if frame.event == "node_added":
                    break
        rest = await ended(api, path, headers={"Last-Event-ID": str(seen[-1])})
        seen += [frame.id for frame in rest if frame.id is not None]
        assert seen == list(range(len(seen)))
        assert rest[-1].event == "task_ended"
        # A task that has ended tells the same once more, and nothing to who knows it all.
        again = await ended(api, path)
        assert [frame.id for frame in again if frame.id is not None] == seen
        nothing = await ended(api, path, headers={"Last-Event-ID": str(seen[-1])})
        assert [frame.event for frame in nothing] == ["task_ended"]


async def test_many_may_follow_a_task(open_api: Open) -> None:
    engine = Simulator("The answer is \\boxed{42}", cost=CostModel(latency=0.1))
    async with open_api(engine) as api:
        task = (await api.submit(planner="vote")).body
        path = f"/v1/tasks/{task['id']}/events"
        followed = await asyncio.gather(*(ended(api, path) for _ in range(8)))
    told = [[frame for frame in frames if frame.event != "progress"] for frames in followed]
    assert all(frames == told[0] for frames in told)


async def test_silence_is_filled_with_comments(open_api: Open) -> None:
    async with open_api(work=False, heartbeat_seconds=0.05) as api:
        task = (await api.submit()).body
        frames = []
        async for frame in api.frames(f"/v1/tasks/{task['id']}/events"):
            frames.append(frame)
            if len(frames) == 3:
                await api.call("POST", f"/v1/tasks/{task['id']}/cancel")
    assert [frame.comment for frame in frames[:3]] == ["heartbeat"] * 3
    assert frames[-1].event == "task_ended"
    assert frames[-1].data["status"] == "cancelled"


async def test_who_hangs_up_does_not_disturb_the_task(open_api: Open) -> None:
    engine = Simulator("word " * 40, cost=CostModel(decode_tokens_per_s=400))
    async with open_api(engine) as api:
        task = (await api.submit()).body
        async for frame in api.frames(f"/v1/tasks/{task['id']}/events"):
            if frame.event == "progress":
                break
        frames = await ended(api, f"/v1/tasks/{task['id']}/events")
    assert frames[-1].data["status"] == "succeeded"


@pytest.mark.parametrize("given", ["x", "-3", "1.5", "9" * 30, "²"])
async def test_a_bad_last_event_id_is_refused(open_api: Open, given: str) -> None:
    async with open_api(work=False) as api:
        task = (await api.submit()).body
        reply = await api.get(f"/v1/tasks/{task['id']}/events", headers={"Last-Event-ID": given})
    assert (reply.status, reply.error) == (400, "invalid_request")
