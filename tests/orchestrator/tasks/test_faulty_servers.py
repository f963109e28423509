"""Whole tasks against servers that each fail in one way: what is told, in how many calls, and who suffers."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from orchestrator.engines import build_engine
from orchestrator.errors import TaskFailed
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from storage.opening import open_store

Reply = web.StreamResponse | None
Behaviour = Callable[["Asked"], Awaitable[Reply]]
"""What a server does to a call; None: it answers 42."""


class Asked:
    """A call: its text, and how many calls there were before it. The probes of a new server do not count."""

    def __init__(self, text: str, number: int, request: web.Request) -> None:
        self.text = text
        self.number = number
        self.request = request


def refuse(status: int, message: str, code: str = "", **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    told = {"error": {"message": message, "type": code, "code": code}}
    return web.json_response(told, status=status, headers=named)


async def stream(asked: Asked, *events: Mapping[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(asked.request)
    for event in events:
        await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    return response


def piece(text: str, reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}


async def answers(asked: Asked) -> Reply:
    return None


async def fails_at_one_question(asked: Asked) -> Reply:
    return web.Response(status=500, text="Internal Server Error") if "LONG" in asked.text else None


async def rejects_one_question(asked: Asked) -> Reply:
    too_long = refuse(400, "maximum context length is 10 tokens", "context_length_exceeded")
    return too_long if "LONG" in asked.text else None


async def closes_its_doors_to_one_question(asked: Asked) -> Reply:
    return (
        web.Response(status=413, text="<html>Request Entity Too Large</html>")
        if "LONG" in asked.text
        else None
    )


async def hangs_up_on_one_question(asked: Asked) -> Reply:
    if "LONG" in asked.text and asked.request.transport is not None:
        asked.request.transport.abort()
    return None


async def breaks_one_answer_off_with_an_error(asked: Asked) -> Reply:
    if "LONG" not in asked.text:
        return None
    return await stream(asked, piece("The "), {"error": {"message": "engine broke", "code": 500}})


async def has_no_quota_left(asked: Asked) -> Reply:
    return refuse(429, "You exceeded your current quota", "insufficient_quota")


async def wants_to_be_paid(asked: Asked) -> Reply:
    return refuse(402, "quota: Insufficient Balance")


async def has_revoked_the_key(asked: Asked) -> Reply:
    return refuse(401, "no such quota")


async def asks_to_wait_for_an_hour(asked: Asked) -> Reply:
    return refuse(429, "Rate limit reached", "rate_limit_exceeded", retry_after="3600")


async def says_in_words_to_wait_for_an_hour(asked: Asked) -> Reply:
    return refuse(429, "Rate limit reached. Please try again in 1h0m0s.")


async def asks_to_wait_for_a_moment(asked: Asked) -> Reply:
    return refuse(429, "slow down", retry_after_ms="50") if asked.number < 2 else None


async def fails_once(asked: Asked) -> Reply:
    return web.Response(status=502, text="<html>Bad Gateway</html>") if asked.number == 0 else None


class Server:
    """A server on a real socket, with one behaviour."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.calls = 0
        self.url = ""

    async def list(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": [{"id": "m"}]})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        usage = {"prompt_tokens": 5, "completion_tokens": 1}
        if not body.get("stream"):
            message = {"message": {"role": "assistant", "content": "."}, "finish_reason": "stop"}
            return web.json_response({"choices": [message], "usage": usage})
        asked = Asked(json.dumps(body["messages"]), self.calls, request)
        self.calls += 1
        if (told := await self.behaviour(asked)) is not None:
            return told
        return await stream(asked, piece("The answer is 42."), piece("", "stop") | {"usage": usage})


@asynccontextmanager
async def service_on(*behaviours: Behaviour) -> AsyncIterator[tuple[Service, list[Server]]]:
    servers, runners = [Server(behaviour) for behaviour in behaviours], []
    for server in servers:
        app = web.Application()
        app.router.add_get("/v1/models", server.list)
        app.router.add_post("/v1/chat/completions", server.complete)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}/v1"
    engine = build_engine(Settings(engine=",".join(server.url for server in servers)))
    try:
        async with await open_store("memory") as store:
            yield Service(store, engine), servers
    finally:
        await engine.close()
        for runner in runners:
            await runner.cleanup()


async def solve(service: Service, query: str, planner: str = "direct") -> str:
    return (await service.solve(TaskRequest(query=query, planner=planner))).answer or ""


@pytest.mark.parametrize("planner", ["direct", "vote"])
@pytest.mark.parametrize(
    ("server", "said"),
    [
        (fails_at_one_question, "Internal Server Error"),
        (rejects_one_question, "maximum context length"),
        (closes_its_doors_to_one_question, "Entity Too Large"),
        (hangs_up_on_one_question, "broke the connection off"),
        (breaks_one_answer_off_with_an_error, "engine broke"),
    ],
)
async def test_one_questions_fault_is_told_and_the_next_is_answered(
    server: Behaviour, said: str, planner: str
) -> None:
    async with service_on(server) as (service, (one,)):
        with pytest.raises(TaskFailed, match=said) as caught:
            await solve(service, "LONG " * 10, planner)
        assert caught.value.code == "call_rejected"
        assert one.calls <= 2 * 3 * 8  # a connection that breaks is tried twice
        began, calls = time.monotonic(), one.calls
        assert "42" in await solve(service, "What is 6 times 7?")
        assert one.calls == calls + 1
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("server", [has_no_quota_left, wants_to_be_paid, has_revoked_the_key])
async def test_what_an_account_is_refused_is_told_in_few_calls(server: Behaviour) -> None:
    async with service_on(server) as (service, (one,)):
        await service.engine.capabilities()
        for planner, most in (("direct", 1), ("vote", 8), ("direct", 8)):
            with pytest.raises(TaskFailed, match="quota") as caught:
                await solve(service, "What is 6 times 7?", planner)
            assert caught.value.code in ("quota_exhausted", "access_refused")
            assert one.calls <= most


async def test_another_account_answers_where_one_is_used_up() -> None:
    async with service_on(has_no_quota_left, answers) as (service, (empty, _)):
        for _ in range(4):
            assert "42" in await solve(service, "What is 6 times 7?")
        assert empty.calls <= 1


@pytest.mark.parametrize("server", [asks_to_wait_for_an_hour, says_in_words_to_wait_for_an_hour])
@pytest.mark.parametrize("planner", ["direct", "vote"])
async def test_a_wait_for_an_hour_ends_the_task_and_is_named(server: Behaviour, planner: str) -> None:
    async with service_on(server) as (service, _):
        began = time.monotonic()
        with pytest.raises(TaskFailed, match="a wait of 3600 s is longer than the") as caught:
            await solve(service, "What is 6 times 7?", planner)
        assert caught.value.code == "overloaded"
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("server", [asks_to_wait_for_a_moment, fails_once])
async def test_what_passes_soon_costs_no_answer(server: Behaviour) -> None:
    async with service_on(server) as (service, _):
        assert "42" in await solve(service, "What is 6 times 7?")
