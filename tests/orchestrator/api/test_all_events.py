"""One stream of all tasks that a caller may see, which can be resumed."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.structured import Ending
from orchestrator.tasks import runs
from orchestrator.tasks.runs import Cursor
from tests.orchestrator.api.conftest import Api, Open, slow
from workers.engines.simulator.engine import CostModel, Simulator

QUICK = CostModel(latency=0.02)
ENDED = ("succeeded", "failed", "cancelled")


class Seen:
    """What a client knows from the stream, and how far it has read."""

    def __init__(self) -> None:
        self.events: dict[str, list[int]] = defaultdict(list)
        self.statuses: dict[str, list[str]] = defaultdict(list)
        self.gone: list[str] = []
        self.cursor: str | None = None
        self.frames = 0

    def take(self, lines: list[str]) -> None:
        fields = dict(line.split(": ", 1) for line in lines)
        if "" in fields:
            return
        self.frames += 1
        data = json.loads(fields["data"])
        match fields["event"]:
            case "task":
                self.statuses[data["id"]].append(data["status"])
            case "task_deleted":
                self.gone.append(data["id"])
            case _:
                self.events[data["task"]].append(data["seq"])
        self.cursor = fields.get("id", self.cursor)

    def ended(self, *ids: str) -> bool:
        return all(self.statuses.get(each, ["queued"])[-1] in ENDED for each in ids)


async def follow(
    api: Api, seen: Seen, path: str = "/v1/events", **headers: str
) -> AsyncGenerator[None, None]:
    """Read the stream from where ``seen`` is; yields after each frame."""
    if seen.cursor is not None:
        headers["Last-Event-ID"] = seen.cursor
    async with api.session.get(path, headers=headers) as response:
        assert response.status == 200, await response.text()
        lines: list[str] = []
        async for raw in response.content:
            if line := raw.decode().rstrip("\n"):
                lines.append(line)
            else:
                seen.take(lines)
                lines = []
                yield


async def until_ended(api: Api, seen: Seen, *ids: str, path: str = "/v1/events", **headers: str) -> None:
    async with asyncio.timeout(60):
        async for _ in follow(api, seen, path, **headers):
            if seen.ended(*ids):
                return


async def journal(api: Api, task: str) -> list[int]:
    return [event.seq async for event in api.service.store.read(task)]


async def test_all_tasks_come_on_one_stream_each_in_its_order(open_api: Open) -> None:
    async with open_api(Simulator("\\boxed{42}", cost=QUICK)) as api:
        seen = Seen()
        first = (await api.submit(planner="vote")).body["id"]
        following = asyncio.create_task(_grow(api, seen, first))
        others = await following
        for task in (first, *others):
            assert seen.events[task] == await journal(api, task)
            assert seen.statuses[task][-1] == "succeeded"
            assert len(seen.statuses[task]) == len(set(seen.statuses[task]))  # each status once


async def _grow(api: Api, seen: Seen, first: str) -> list[str]:
    """Follow, and submit two more once the first one is seen."""
    others: list[str] = []
    async with asyncio.timeout(60):
        async for _ in follow(api, seen):
            if first in seen.statuses and not others:
                others = [(await api.submit(planner="vote", tenant=each)).body["id"] for each in "ab"]
            if others and seen.ended(first, *others):
                return others
    raise AssertionError


async def test_a_stream_that_breaks_anywhere_goes_on_without_a_gap(open_api: Open) -> None:
    async with open_api(Simulator("\\boxed{42}", cost=QUICK)) as api:
        seen, tasks = Seen(), [(await api.submit(planner="vote", options={"n": 3})).body["id"]]
        breaks = 0
        async with asyncio.timeout(100):
            while not seen.ended(*tasks):
                before = seen.frames
                async for _ in follow(api, seen):
                    if seen.frames >= before + 2 or seen.ended(*tasks):
                        break
                breaks += 1
                if breaks in (2, 4):
                    tasks.append((await api.submit(planner="vote", options={"n": 3})).body["id"])
        assert breaks > 10
        for task in tasks:
            assert list(dict.fromkeys(seen.events[task])) == await journal(api, task)
            # A cursor comes with every frame while it is short, so that hardly anything is told twice.
            assert len(seen.events[task]) <= 2 * len(set(seen.events[task]))


async def test_what_ended_meanwhile_is_told_when_the_stream_goes_on(open_api: Open) -> None:
    async with open_api(Simulator("\\boxed{42}")) as api:
        old = (await api.submit(wait=60)).body["id"]
        open_ = (await api.submit("again", wait=0)).body["id"]
        seen = Seen()
        await until_ended(api, seen, old, open_)
        missed = (await api.submit("missed", wait=60)).body["id"]
        await until_ended(api, seen, missed)
        assert seen.events[missed] == await journal(api, missed)
        for task in (old, open_):  # told once, although they have ended only now
            assert seen.events[task] == await journal(api, task)
            assert seen.statuses[task].count("succeeded") == 1


async def test_an_end_in_the_future_hides_none_that_come_before_it(open_api: Open) -> None:
    async with open_api() as api:
        seen = Seen()
        ended = await api.service.task((await api.submit(wait=60)).body["id"])
        future = replace(ended, id="0123456789abcdef", finished_at=4e9)
        await api.service.store.restore(future, [])
        tasks = [future.id]
        async with asyncio.timeout(60):
            async for _ in follow(api, seen):
                if seen.ended(*tasks):
                    if len(tasks) == 4:
                        break
                    tasks.append((await api.submit()).body["id"])
        assert seen.cursor is not None
        assert Cursor.parse(seen.cursor).time < 3e9


async def test_a_tenant_sees_its_own_tasks_only(open_api: Open) -> None:
    async with open_api(Simulator("\\boxed{42}")) as api:
        foreign = (await api.submit(tenant="b")).body["id"]
        own = (await api.submit(tenant="a")).body["id"]
        seen = Seen()
        seen.cursor = f"1000.{foreign}-0"  # a cursor opens nothing
        await until_ended(api, seen, own, **{"X-Tenant": "a"})
        later = (await api.submit(tenant="b", wait=60)).body["id"]
        last = (await api.submit(tenant="a", wait=60)).body["id"]
        await until_ended(api, seen, last, **{"X-Tenant": "a"})
        assert set(seen.statuses) == set(seen.events) == {own, last}
        assert later not in seen.gone


async def test_a_stream_can_be_limited_to_some_tasks_or_to_how_they_stand(open_api: Open) -> None:
    async with open_api(Simulator("\\boxed{42}")) as api:
        one, two, three = [(await api.submit(wait=60)).body["id"] for _ in range(3)]
        seen = Seen()
        await until_ended(api, seen, one, three, path=f"/v1/events?task={one},{three}")
        assert set(seen.statuses) == {one, three}
        assert seen.events[three] == await journal(api, three)
        standing = Seen()
        await until_ended(api, standing, two, path=f"/v1/events?task={two}&events=false")
        assert standing.events == {}


async def test_a_deleted_task_is_told(open_api: Open) -> None:
    async with open_api(work=False) as api:
        task = (await api.submit()).body["id"]
        seen = Seen()
        async with asyncio.timeout(60):
            async for _ in follow(api, seen):
                if seen.gone:
                    break
                if seen.ended(task):
                    assert (await api.call("DELETE", f"/v1/tasks/{task}")).status == 200
                elif seen.statuses[task] == ["queued"]:
                    await api.call("POST", f"/v1/tasks/{task}/cancel")
        assert seen.gone == [task]
        assert seen.statuses[task] == ["queued", "cancelled"]


async def test_another_process_runs_what_is_followed_here(open_api: Open) -> None:
    async with open_api(work=False) as here, open_api(Simulator("\\boxed{42}", cost=QUICK)) as there:
        seen = Seen()
        tasks = [(await there.submit(planner="vote")).body["id"] for _ in range(2)]
        await until_ended(here, seen, *tasks)
        for task in tasks:
            assert seen.events[task] == await journal(there, task)


async def test_the_stream_says_when_the_process_ends(open_api: Open) -> None:
    closing = Ending()
    async with open_api(slow(), closing=closing) as api:
        await api.submit()
        frames = []
        async for frame in _raw(api):
            frames.append(frame)
            closing.set()
        assert frames[-1].startswith("retry: 1000\nevent: closing\n")


async def _raw(api: Api) -> AsyncIterator[str]:
    async with api.session.get("/v1/events") as response:
        frame = ""
        async for raw in response.content:
            frame += raw.decode()
            if raw == b"\n":
                yield frame
                frame = ""


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/events", {"Last-Event-ID": "x"}),
        ("/v1/events", {"Last-Event-ID": "17.short-1"}),
        ("/v1/events", {"Last-Event-ID": "9" * 16}),
        ("/v1/events?task=", {}),
        ("/v1/events?task=" + ",".join(map(str, range(101))), {}),
        ("/v1/events?task=a%00b", {}),
        ("/v1/events?tasks=a", {}),
    ],
)
async def test_a_bad_request_for_the_stream_is_refused(
    open_api: Open, path: str, headers: dict[str, str]
) -> None:
    async with open_api(work=False) as api:
        reply = await api.get(path, headers=headers)
    assert (reply.status, reply.error) == (400, "invalid_request")


async def test_a_stream_of_tasks_that_are_not_there_is_refused_when_it_begins(open_api: Open) -> None:
    async with open_api(work=False) as api:
        green = {"X-Tenant": "green"}
        own = (await api.submit(headers=green)).body["id"]
        foreign = (await api.submit(headers={"X-Tenant": "red"})).body["id"]
        for wanted in ("nope", foreign, f"{own},{foreign}"):
            reply = await api.get(f"/v1/events?task={wanted}", headers=green)
            assert (reply.status, reply.error) == (404, "task_not_found"), wanted
            assert repr(wanted.split(",")[-1]) in reply.body["error"]["message"]
        seen = Seen()
        async with aclosing(follow(api, seen, f"/v1/events?task={own}", **green)) as frames:
            await anext(frames)
        assert set(seen.statuses) == {own}
        headers = {**green, "Last-Event-ID": "1767225600125"}  # afterwards, it may have been deleted
        async with api.session.get(f"/v1/events?task={foreign}", headers=headers) as response:
            assert response.status == 200


def test_a_cursor_fits_into_a_header_and_comes_back_as_it_was() -> None:
    seen = {f"{number:016}": number * 7 for number in range(runs.NAMED - 1)} | {"1m81a1mspdg5213k": -2}
    cursor = Cursor(1767225600.125, seen)
    assert Cursor.parse(str(cursor)) == cursor
    assert len(str(cursor)) < 8_000
    with pytest.raises(InvalidRequest):
        Cursor.parse(str(cursor) + "-")
