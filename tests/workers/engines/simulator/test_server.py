from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from workers.calls import Call
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.engines.simulator.server import serving

ROOT = Path(__file__).parents[4]


@asynccontextmanager
async def session(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with serving(simulator) as url, aiohttp.ClientSession(url.removesuffix("v1")) as client:
        yield client


def chat(content: str = "What is 6 times 9?", **fields: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": content}]} | fields


async def post(client: aiohttp.ClientSession, path: str, body: object) -> tuple[int, Any]:
    async with client.post(path, json=body) as response:
        return response.status, await response.json()


async def events(client: aiohttp.ClientSession, path: str, body: object) -> list[Any]:
    async with client.post(path, json=body) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        lines = (await response.text()).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


async def test_a_whole_chat_completion() -> None:
    async with session(Simulator('"54"\n')) as client:
        status, answer = await post(client, "v1/chat/completions", chat())
    assert status == 200
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "m"
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": '"54"\n'}
    assert choice["finish_reason"] == "stop"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + 2
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0}


@pytest.mark.parametrize("cost", [CostModel(), CostModel(decode_tokens_per_s=500)])
async def test_a_streamed_chat_completion(cost: CostModel) -> None:
    async with session(Simulator("the answer is 54", cost=cost)) as client:
        plain = await events(client, "v1/chat/completions", chat(stream=True))
        counted = await events(
            client, "v1/chat/completions", chat(stream=True, stream_options={"include_usage": True})
        )
    assert "".join(event["choices"][0]["delta"]["content"] for event in plain) == "the answer is 54"
    assert {event["object"] for event in plain} == {"chat.completion.chunk"}
    assert [event["choices"][0]["finish_reason"] for event in plain][-1] == "stop"
    assert not any("usage" in event for event in plain)
    assert counted[-1]["choices"] == []
    assert counted[-1]["usage"]["completion_tokens"] == 4


async def test_a_text_completion_in_both_forms() -> None:
    async with session(Simulator("54")) as client:
        _, whole = await post(client, "v1/completions", {"prompt": "6 times 9 is", "max_tokens": 5})
        streamed = await events(client, "v1/completions", {"prompt": "6 times 9 is", "stream": True})
    assert (whole["object"], whole["choices"][0]["text"]) == ("text_completion", "54")
    assert (streamed[0]["object"], streamed[0]["choices"][0]["text"]) == ("text_completion", "54")


async def test_what_a_request_asks_for_reaches_the_simulator() -> None:
    calls: list[Call] = []

    def answer(call: Call, _rng: Random) -> str:
        calls.append(call)
        return "one two three. four"

    body = chat(
        temperature=0.1,
        max_tokens=3,
        stop="three",
        seed=5,
        priority=-2,
        cache_salt="ann",
        add_generation_prompt=False,
        continue_final_message=True,
    )
    body["messages"] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Count"}, {"type": "text", "text": "!"}]},
        {"role": "assistant", "content": "Well, "},
    ]
    async with session(Simulator(answer)) as client:
        _, said = await post(client, "v1/chat/completions", body)
    (call,) = calls
    assert call.prompt.messages() == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Count!"},
        {"role": "assistant", "content": "Well, "},
    ]
    assert (call.sampling.temperature, call.sampling.max_tokens, call.sampling.seed) == (0.1, 3, 5)
    assert call.sampling.stop == ("three",)
    assert (call.priority, call.tenant) == (2, "ann")
    assert said["choices"][0]["message"]["content"] == "one two "


async def test_functions_and_what_came_of_their_calls_are_part_of_the_prompt() -> None:
    seen: list[Call] = []

    def note(call: Call, _rng: Random) -> str:
        seen.append(call)
        return "ok"

    called = {"id": "abc", "type": "function", "function": {"name": "search", "arguments": '{"query": "x"}'}}
    messages = [
        {"role": "user", "content": "Find x."},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "abc", "name": "search", "content": "x is 3"},
    ]
    function = {"name": "search", "description": "Finds.", "parameters": {"type": "object"}}
    offered: dict[str, Any] = {"tools": [{"type": "function", "function": function}], "tool_choice": "auto"}
    async with session(Simulator(note)) as client:
        _, without = await post(client, "v1/chat/completions", chat(messages=messages))
        status, answer = await post(client, "v1/chat/completions", chat(messages=messages, **offered))
    assert status == 200
    assert answer["usage"]["prompt_tokens"] > without["usage"]["prompt_tokens"] + 8
    assert [segment.role for segment in seen[1].prompt.segments] == ["user", "assistant", "tool"]
    assert [each.arguments for each in seen[1].prompt.segments[1].calls] == ['{"query": "x"}']
    assert seen[1].prompt.segments[2].calls[0].id == "abc"
    assert [each.as_tool() for each in seen[1].functions] == offered["tools"]
    assert seen[0].functions == ()


async def test_a_finished_message_of_the_assistant_is_not_continued() -> None:
    finished = chat()
    finished["messages"] = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    async with session(Simulator()) as client:
        _, open_ended = await post(client, "v1/chat/completions", finished | {"continue_final_message": True})
        _, closed = await post(client, "v1/chat/completions", finished)
    assert closed["usage"]["prompt_tokens"] - open_ended["usage"]["prompt_tokens"] > 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"priority": "first"}, "priority"),
        ({"cache_salt": 7}, "cache_salt"),
        ({"cache_salt": ""}, "cache_salt"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "unknown role 'robot'"),
        ({"messages": "hello"}, "messages"),
        ({"max_tokens": 5000}, "must not exceed 4096"),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(fields: dict[str, object], message: str) -> None:
    async with session(Simulator(max_model_len=4096)) as client:
        status, answer = await post(client, "v1/chat/completions", chat() | fields)
    assert status == 400
    assert message in answer["error"]["message"]
    assert answer["error"]["code"] == 400


async def test_models_health_and_metrics() -> None:
    simulator = Simulator("54", model="sim", max_model_len=512)
    async with session(simulator) as client:
        await post(client, "v1/chat/completions", chat("x" * 400, max_tokens=9))
        await post(client, "v1/chat/completions", chat("x" * 400, max_tokens=9))
        async with client.get("v1/models") as response:
            (model,) = (await response.json())["data"]
        assert (model["id"], model["max_model_len"]) == ("sim", 512)
        async with client.get("health") as response:
            assert response.status == 200
        metrics = await read_metrics(client)
        assert metrics["vllm:num_requests_running"] == 0
        assert metrics["vllm:num_requests_waiting"] == 0
        assert metrics["vllm:prefix_cache_queries_total"] == 2 * 103
        assert metrics["vllm:prefix_cache_hits_total"] == 96
        assert metrics['vllm:request_success_total{finished_reason="stop"}'] == 2
        simulator.kill("power is off")
        for path, status in [("health", 503), ("v1/models", 500)]:
            async with client.get(path) as response:
                assert response.status == status
                assert "power is off" in await response.text()


async def read_metrics(client: aiohttp.ClientSession) -> dict[str, float]:
    async with client.get("metrics") as response:
        lines = (await response.text()).splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_hangs_up_aborts_its_call(stream: bool) -> None:
    simulator = Simulator("x" * 4000, cost=CostModel(decode_tokens_per_s=8), max_concurrency=1)
    async with session(simulator) as client:
        calls = [
            asyncio.create_task(post(client, "v1/chat/completions", chat(stream=stream))) for _ in range(2)
        ]
        async with asyncio.timeout(60):
            while True:
                metrics = await read_metrics(client)
                if (metrics["vllm:num_requests_running"], metrics["vllm:num_requests_waiting"]) == (1, 1):
                    break
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        async with asyncio.timeout(60):
            while (await read_metrics(client))["vllm:num_requests_running"]:
                pass
        assert simulator.counters().aborted == 2


async def test_faults_on_the_wire() -> None:
    faults = [
        Fault(kind="refuse", calls={0}),
        Fault(kind="overload", calls={1}, seconds=4),
        Fault(kind="reset", calls={2}),
        Fault(kind="reset", calls={3}, after_tokens=1),
        Fault(kind="garbage", calls={4}),
    ]
    async with session(Simulator("x" * 40, faults=faults)) as client:
        assert (await post(client, "v1/chat/completions", chat()))[0] == 500
        async with client.post("v1/chat/completions", json=chat()) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "4")
        for _ in range(2):
            with pytest.raises(aiohttp.ClientError):
                await events(client, "v1/chat/completions", chat(stream=True))
        async with client.post("v1/chat/completions", json=chat(stream=True)) as response:
            assert not (await response.read()).startswith(b"data:")


async def test_the_command_serves_replicas(tmp_path: Path) -> None:
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"6 times 9": "54"}))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers.engines.simulator",
        *("--port", "0", "--replicas", "2", "--model", "sim", "--answers", str(answers)),
        *("--fault", '{"kind": "reject", "calls": [1]}', "--outage", '{"at": 60}'),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        lines = [(await asyncio.wait_for(process.stdout.readline(), 100)).decode() for _ in range(2)]
        for number, line in enumerate(lines):
            found = re.fullmatch(r"sim-(\d) at (http://127\.0\.0\.1:\d+/)v1\n", line)
            assert found is not None
            assert int(found[1]) == number
            async with aiohttp.ClientSession(found[2]) as client:
                status, answer = await post(client, "v1/chat/completions", chat())
                assert (status, answer["choices"][0]["message"]["content"]) == (200, "54")
                assert (await post(client, "v1/chat/completions", chat()))[0] == 400
    finally:
        process.terminate()
        await process.communicate()
