from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from orchestrator.settings import Settings
from orchestrator.tasks.service import Service
from storage.errors import StorageUnavailable
from tests.orchestrator.api.conftest import Api, Open
from workers.engines.simulator.engine import Simulator

BAD_BODIES: list[tuple[Any, str]] = [
    ({}, "query: Field required"),
    ({"query": ""}, "query"),
    ({"query": "   "}, "query"),
    ({"query": 7}, "query"),
    ({"query": "x", "colour": "blue"}, "colour"),
    ({"query": "x", "seed": -1}, "seed"),
    ({"query": "x", "sampling": {"temperature": 9}}, "sampling.temperature"),
    ({"query": "x", "budget": {"tokens": 0}}, "budget.tokens"),
    ({"query": "x", "choices": ["a", ""]}, "choices.1"),
    ({"query": "x", "planner": "vote", "options": {"n": "many"}}, "planner vote: n"),
    ({"query": "x", "planner": "direct", "options": {"m": 1}}, "planner direct: m"),
    ([], "must be an object"),
    ("query", "must be an object"),
]


@pytest.mark.parametrize(("body", "says"), BAD_BODIES)
async def test_a_bad_request_is_told_what_is_wrong(open_api: Open, body: Any, says: str) -> None:
    async with open_api(work=False) as api:
        reply = await api.call("POST", "/v1/tasks", json=body)
    assert (reply.status, reply.error) == (400, "invalid_request")
    assert says in reply.message


async def test_an_unknown_planner_is_told_the_known_ones(open_api: Open) -> None:
    async with open_api(work=False) as api:
        reply = await api.submit(planner="skeletton")
    assert (reply.status, reply.error) == (400, "unknown_planner")
    assert "did you mean skeleton?" in reply.message


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b'{"query": "x"', b"[" * 100_000, b"NaN", b"null"])
async def test_what_is_not_json_is_refused(open_api: Open, body: bytes) -> None:
    async with open_api(work=False) as api:
        headers = {"Content-Type": "application/json"}
        reply = await api.call("POST", "/v1/tasks", data=body, headers=headers)
    assert (reply.status, reply.error) == (400, "invalid_request")


async def test_a_body_that_is_not_in_its_encoding_is_refused(open_api: Open) -> None:
    async with open_api(work=False) as api:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        reply = await api.call("POST", "/v1/tasks", data=b'{"query": "x"}', headers=headers)
    assert (reply.status, reply.error) == (400, "invalid_request")
    assert "encoding" in reply.message


async def test_other_content_types_are_refused(open_api: Open) -> None:
    async with open_api(work=False) as api:
        reply = await api.call("POST", "/v1/tasks", data={"query": "x"})
    assert (reply.status, reply.error) == (415, "unsupported_media_type")
    assert "application/json" in reply.message


async def test_large_bodies_and_long_queries_are_refused(open_api: Open) -> None:
    settings = Settings(max_query_chars=1000, max_body_bytes=100_000)
    async with open_api(work=False, settings=settings) as api:
        large = await api.submit("x" * 200_000)
        assert (large.status, large.error) == (413, "too_large")
        long = await api.submit("x" * 999, context="yy")
        assert (long.status, long.error) == (400, "invalid_request")
        assert "1001 characters" in long.message
        body = b'{"query": "' + b"x" * 200_000 + b'"}'

        async def chunks() -> Any:
            yield body

        headers = {"Content-Type": "application/json"}
        chunked = await api.call("POST", "/v1/tasks", data=chunks(), headers=headers)
        assert (chunked.status, chunked.error) == (413, "too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("DELETE", "/v1/tasks", 405, "method_not_allowed"),
        ("GET", "/v1/tasks/x/cancel", 405, "method_not_allowed"),
        ("GET", "/v1/tasks/x", 404, "task_not_found"),
        ("GET", "/v1/tasks/x/events", 404, "task_not_found"),
        ("GET", "/v1/tasks/x/trace", 404, "task_not_found"),
        ("POST", "/v1/tasks/x/cancel", 404, "task_not_found"),
        ("POST", "/v1/tasks/x/replay", 404, "task_not_found"),
        ("GET", "/v1/tasks?limit=0", 400, "invalid_request"),
        ("GET", "/v1/tasks?limit=1000", 400, "invalid_request"),
        ("GET", "/v1/tasks?status=asleep", 400, "invalid_request"),
        ("GET", "/v1/tasks?colour=blue", 400, "invalid_request"),
        ("POST", "/v1/tasks?wait=-1", 400, "invalid_request"),
        ("POST", "/v1/tasks?wait=nan", 400, "invalid_request"),
        ("POST", "/v1/tasks?wait=1e9", 400, "invalid_request"),
    ],
)
async def test_errors_have_one_shape(open_api: Open, method: str, path: str, status: int, code: str) -> None:
    async with open_api(work=False) as api:
        body = {"query": "x"} if (method, path.partition("?")[0]) == ("POST", "/v1/tasks") else None
        reply = await api.call(method, path, json=body)
    assert (reply.status, reply.error) == (status, code)
    if status == 405:
        assert reply.headers["Allow"]


async def test_the_unexpected_tells_strangers_nothing(
    open_api: Open, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(self: Service, task_id: str) -> None:
        raise LookupError("a secret from within")

    async with open_api(work=False) as api:
        monkeypatch.setattr(Service, "task", broken)
        reply = await api.get("/v1/tasks/x")
    assert (reply.status, reply.error) == (500, "internal")
    assert "secret" not in json.dumps(reply.body)
    assert "a secret from within" in capsys.readouterr().out


async def test_a_database_that_is_gone_is_unavailable(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*args: Any, **kwargs: Any) -> None:
        raise StorageUnavailable("the disk is full")

    async with open_api(work=False) as api:
        monkeypatch.setattr(api.service.store, "submit", gone)
        monkeypatch.setattr(api.service.store, "probe", gone)
        reply = await api.submit()
        health = await api.get("/healthz")
    assert (reply.status, reply.error) == (503, "storage_unavailable")
    assert reply.body["error"]["retryable"]
    assert health.status == 503
    assert health.body["status"] == "unavailable"
    assert health.body["database"] == {"ok": False, "detail": "storage_unavailable: the disk is full"}


async def test_health_tells_of_engine_and_database(open_api: Open) -> None:
    engine = Simulator()
    async with open_api(engine, work=False) as api:
        reply = await api.get("/healthz")
        assert reply.status == 200
        assert reply.body["status"] == "ok"
        assert reply.body["engine"] == reply.body["database"] == {"ok": True, "detail": ""}
        engine.kill("the power is out")
        reply = await api.get("/healthz")
        assert (reply.status, reply.body["status"]) == (503, "unavailable")
        assert reply.body["engine"] == {"ok": False, "detail": "the power is out"}
        engine.revive()
        api.draining.set()
        reply = await api.get("/healthz")
        assert (reply.status, reply.body["status"]) == (503, "draining")


async def test_an_error_in_the_middle_of_a_stream_ends_it(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_api(work=False, heartbeat_seconds=0.05) as api:
        task = (await api.submit()).body
        reached = asyncio.Event()

        async def gone(*args: Any, **kwargs: Any) -> None:
            reached.set()
            raise StorageUnavailable("the disk is full")

        frames = api.frames(f"/v1/tasks/{task['id']}/events")
        assert (await anext(frames)).comment == "heartbeat"
        monkeypatch.setattr(api.service.store, "list", gone)
        api.service.told(task["id"])
        while (frame := await anext(frames)).comment:
            pass
        assert reached.is_set()
        assert frame.event == "error"
        assert frame.data["error"]["code"] == "storage_unavailable"
        with pytest.raises(StopAsyncIteration):
            await anext(frames)


async def test_a_request_with_everything_is_kept_as_given(api: Api) -> None:
    request: dict[str, Any] = {
        "context": "Six is half a dozen.",
        "choices": ["42", "48"],
        "sampling": {"temperature": 0.5, "top_p": 0.9, "max_tokens": 100},
        "budget": {"tokens": 5000, "calls": 10, "depth": 3, "width": 4, "seconds": 60, "nodes": 500},
        "seed": 7,
        "tenant": "t",
    }
    task = (await api.submit(wait=60, **request)).body
    assert task["question"]["context"] == "Six is half a dozen."
    assert task["question"]["choices"] == ["42", "48"]
    assert {key: task["options"][key] for key in ("sampling", "budget")} == {
        "sampling": request["sampling"],
        "budget": request["budget"],
    }
    assert (task["seed"], task["tenant"]) == (7, "t")


@pytest.mark.parametrize("path", ["/chat/completions", "/responses", "/models"])
async def test_a_base_url_without_the_version_is_told_what_is_right(open_api: Open, path: str) -> None:
    async with open_api(work=False) as api:
        reply = await api.call("POST", path, json={})
        assert (reply.status, reply.error) == (404, "not_found")
        assert "ends with /v1" in reply.message
