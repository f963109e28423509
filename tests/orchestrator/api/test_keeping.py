"""Tasks are deleted, exported and imported over HTTP."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from orchestrator.api import keeping, places
from orchestrator.cli.keeping import export_trace
from orchestrator.settings import Settings
from storage.errors import StorageUnavailable
from storage.events import Event, EventType
from tests.orchestrator.api.conftest import Api, Open, Reply, slow
from workers.engines.simulator.engine import Simulator

LINES = {"Content-Type": "application/jsonl"}


async def exported(api: Api, task_id: str) -> bytes:
    async with api.session.get(f"/v1/tasks/{task_id}/export") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("application/jsonl")
        assert response.headers["Content-Disposition"] == f'attachment; filename="{task_id}.jsonl"'
        return await response.read()


async def imported(api: Api, data: Any, **headers: str) -> Reply:
    return await api.call("POST", "/v1/import", data=data, headers={**LINES, **headers})


async def test_what_is_exported_is_imported_as_it_was(open_api: Open, tmp_path: Path) -> None:
    engine = Simulator({"6 * 7": {"The answer is \\boxed{42}": 3, "The answer is \\boxed{48}": 1}})
    async with open_api(engine) as api:
        task = (await api.submit("What is 6 * 7? Ünïcode \u2028 \ud83e\udd14", planner="vote", wait=60)).body
        data = await exported(api, task["id"])
        again = await imported(api, data)
        assert (again.status, again.error) == (409, "task_exists")
        assert (await api.call("DELETE", f"/v1/tasks/{task['id']}")).body["id"] == task["id"]
        assert (await api.get(f"/v1/tasks/{task['id']}")).status == 404
        reply = await imported(api, data)
        assert (reply.status, reply.body) == (201, task)
        assert reply.headers["Location"] == f"/v1/tasks/{task['id']}"
        assert await exported(api, task["id"]) == data
        calls = engine.counters().started
        replay = await api.call("POST", f"/v1/tasks/{task['id']}/replay")
        assert (replay.status, replay.body["outcome"]) == (200, "answered")
        assert engine.counters().started == calls
        assert (await api.get("/v1/tasks?text=ünïcode")).body["tasks"] == [task]
    written = io.StringIO()
    settings = Settings(database=f"sqlite:///{tmp_path / 'api.db'}")
    await asyncio.to_thread(export_trace, task["id"], settings, form="jsonl", content=False, to=written)
    assert written.getvalue().encode() == data


async def test_an_export_that_cannot_be_completed_breaks_off(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_api() as api:
        task = (await api.submit(wait=60)).body["id"]

        async def broken(task_id: str, *, after: int = -1) -> AsyncIterator[Event]:
            for seq in range(3):
                yield Event(seq, EventType.DECISION, "", 1.0, {"text": "x" * keeping.PIECE})
            raise StorageUnavailable("gone")

        monkeypatch.setattr(api.service.store, "read", broken)
        with pytest.raises(aiohttp.ClientError):
            await exported(api, task)
        assert (await api.get(f"/v1/tasks/{task}")).status == 200


async def test_an_import_is_for_the_tenant_of_the_request(open_api: Open) -> None:
    async with open_api() as api:
        task = (await api.submit(tenant="a", wait=60)).body
        data = await exported(api, task["id"])
        taken = await imported(api, data, **{"X-Tenant": "b"})
        assert (taken.status, taken.error) == (409, "task_exists")
        assert (await api.get(f"/v1/tasks/{task['id']}")).body["tenant"] == "a"
        await api.call("DELETE", f"/v1/tasks/{task['id']}")
        reply = await imported(api, data, **{"X-Tenant": "b"})
        assert reply.body == {**task, "tenant": "b"}
        assert (await api.get(f"/v1/tasks/{task['id']}", headers={"X-Tenant": "a"})).status == 404


async def test_what_is_no_trace_is_refused_and_nothing_is_stored(open_api: Open) -> None:
    async with open_api(settings=Settings(max_import_bytes=20_000)) as api:
        task = (await api.submit(wait=60)).body
        data = await exported(api, task["id"])
        await api.call("DELETE", f"/v1/tasks/{task['id']}")
        lines = data.splitlines(keepends=True)
        header = json.loads(lines[0])
        dead = {"status": "dead", "parent_id": "1m81a1mspdg5213k", "fork_at": "0", "outcome": None}
        fork = json.dumps({**header, "task": {**header["task"], **dead, "solution": None}}).encode() + b"\n"
        running = json.dumps({**header, "task": {**header["task"], "status": "queued"}}).encode() + b"\n"
        future = json.dumps({**header, "task": {**header["task"], "finished_at": 4e9}}).encode() + b"\n"
        for wrong, status, code in (
            (b"", 422, "archive_error"),
            (future + b"".join(lines[1:]), 422, "archive_error"),
            (b"\n\n", 422, "archive_error"),
            (b"\xff\xfe", 422, "archive_error"),
            (b"[" * 10_000, 422, "archive_error"),
            (b"".join(lines[:-1]), 422, "archive_error"),
            (b"".join(lines[:-2] + lines[-1:]), 422, "archive_error"),
            (data + b"{}\n", 422, "archive_error"),
            (fork + b"".join(lines[1:]), 422, "archive_error"),
            (running + b"".join(lines[1:]), 422, "archive_error"),
            (data.replace(b'"seed":0', b'"seed":NaN'), 422, "archive_error"),
            (b" " * 20_001, 413, "too_large"),
        ):
            reply = await imported(api, wrong)
            assert (reply.status, reply.error) == (status, code), (wrong[:80], reply.body)
        for kind in ("text/plain", "application/json", "application/x-www-form-urlencoded"):
            reply = await api.call("POST", "/v1/import", data=data, headers={"Content-Type": kind})
            assert (reply.status, reply.error) == (415, "unsupported_media_type")
        assert (await api.get("/v1/tasks")).body["tasks"] == []
        assert (await imported(api, data)).status == 201


async def test_an_import_that_does_not_arrive_ends(open_api: Open) -> None:
    async with open_api(work=False, settings=Settings(client_seconds=0.3)) as api:
        reply = await api.raw(
            b"POST /v1/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/jsonl\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
        assert reply.startswith(b"HTTP/1.1 408 ")


async def test_only_so_many_are_imported_at_a_time(open_api: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "TURN_SECONDS", 0.05)
    hold = asyncio.Event()

    async def endless() -> Any:
        yield b"{"
        await hold.wait()

    async with open_api(work=False) as api:
        held = [asyncio.create_task(imported(api, endless())) for _ in range(keeping.IMPORTS)]
        while (reply := await imported(api, b"")).status != 503:
            assert reply.error == "archive_error"
        assert reply.error == "overloaded"
        hold.set()
        assert {(await each).error for each in held} == {"archive_error"}
        assert (await imported(api, b"")).error == "archive_error"


async def test_who_sends_a_trace_slowly_keeps_no_other_tenant_waiting(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "TURN_SECONDS", 0.05)
    hold = asyncio.Event()

    async def endless() -> Any:
        yield b"{"
        await hold.wait()

    async with open_api(work=False) as api:
        slow = [
            asyncio.create_task(imported(api, endless(), **{"X-Tenant": "slow"}))
            for _ in range(keeping.IMPORTS)
        ]
        while (await imported(api, b"", **{"X-Tenant": "slow"})).error != "overloaded":
            pass
        for _ in range(2 * keeping.IMPORTS):
            assert (await imported(api, b"", **{"X-Tenant": "other"})).error == "archive_error"
        hold.set()
        await asyncio.gather(*slow)


async def test_trace_for_which_the_disk_has_no_room_is_refused(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        name = "/dev/full"

        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda **_: Full())
    async with open_api(work=False) as api:
        reply = await imported(api, b"{}")
        assert (reply.status, reply.error) == (503, "overloaded")


async def test_a_task_that_has_not_ended_is_neither_exported_nor_deleted(open_api: Open) -> None:
    async with open_api(slow()) as api:
        task = (await api.submit()).body["id"]
        async for frame in api.frames(f"/v1/tasks/{task}/events"):
            if frame.event == "progress":
                break
        for method, path in (("GET", "/export"), ("DELETE", "")):
            reply = await api.call(method, f"/v1/tasks/{task}{path}")
            assert (reply.status, reply.error) == (409, "illegal_transition")
            assert "running" in reply.message


async def test_a_task_is_deleted_while_it_is_followed(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_api() as api:
        task = (await api.submit(wait=60)).body["id"]
        read = api.service.store.read

        async def interrupted(task_id: str, *, after: int = -1) -> AsyncIterator[Event]:
            async for event in read(task_id, after=after):
                yield event
                if event.seq == 1:
                    assert (await api.call("DELETE", f"/v1/tasks/{task}")).status == 200

        monkeypatch.setattr(api.service.store, "read", interrupted)
        frames = [frame async for frame in api.frames(f"/v1/tasks/{task}/events")]
        assert [frame.id for frame in frames[:2]] == [0, 1]
        assert frames[-1].event == "error"
        assert frames[-1].data["error"]["code"] == "task_not_found"
        assert not frames[-1].data["error"]["retryable"]
        assert "task_ended" not in [frame.event for frame in frames]
