"""What Open WebUI and LibreChat ask of a service, in the bodies and with the headers that they send.

Open WebUI asks by aiohttp for what its page says, without ``metadata``, and with ``max_completion_tokens``
under its old name; LibreChat asks by LangChain's client. Both close the connection at the button to stop.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from storage.tasks import TaskStatus
from tests.orchestrator.api.conftest import Api, Open, slow
from tests.orchestrator.api.openai.conftest import Asked
from tests.orchestrator.api.openai.test_chat import until
from tests.orchestrator.api.openai.test_streaming import chunks_in, joined
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.faults import Outage

AGREED = "Six sevens are 42.\n\\boxed{42}"
CONVERSATION = [
    {"role": "system", "content": "You are helpful.\nThe user is Zoë, who lives in Köln."},
    {"role": "user", "content": "What is 5 * 7?"},
    {"role": "assistant", "content": "35", "reasoning_content": "A vote begins."},
    {"role": "user", "content": [{"type": "text", "text": "And 6 * 7?"}]},
]
CHATS: dict[str, dict[str, Any]] = {
    "Open WebUI": {
        "stream": True,
        "model": "anabranch/vote",
        "messages": CONVERSATION,
        "temperature": 0.8,
        "max_tokens": 512,
        "stop": ["<|end|>"],
        "seed": 42,
        "frequency_penalty": 0.0,
        "stream_options": {"include_usage": True},
    },
    "LibreChat": {
        "model": "anabranch/vote",
        "temperature": 1,
        "top_p": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "user": "66f0c0ffee0000000000abcd",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": CONVERSATION,
    },
}
"""How a chat is asked for, with all that the settings of a conversation can add."""

HEADERS = {
    "X-OpenWebUI-User-Name": "Zo%C3%AB",
    "X-OpenWebUI-User-Id": "7f3e",
    "X-OpenWebUI-User-Role": "user",
    "X-OpenWebUI-Chat-Id": "c0ffee",
}
HELPERS: dict[str, dict[str, Any]] = {
    "title": {"max_tokens": 1000, "content": "### Task:\nGenerate a concise title\n<chat_history>…"},
    "tags": {"content": "### Task:\nGenerate 1-3 broad tags\n<chat_history>…</chat_history>"},
    "follow-ups": {"content": "### Task:\nSuggest 3-5 relevant follow-up questions\n<chat_history>…"},
    "LibreChat's title": {
        "content": "Provide a concise, 5-word-or-less title for the conversation, using its same language",
        "temperature": 0.2,
        "user": "66f0c0ffee0000000000abcd",
    },
}
"""What they ask for themselves after the first answer: one message each, and no stream."""


async def streamed(api: Api, body: dict[str, Any], **headers: str) -> list[Any]:
    """All chunks of a stream."""
    async with api.session.post("/v1/chat/completions", json=body, headers=HEADERS | headers) as response:
        assert response.status == 200, await response.text()
        return chunks_in([line for line in (await response.text()).split("\n") if line])


@pytest.mark.parametrize("program", CHATS)
async def test_a_chat_is_answered_with_all_of_its_conversation(program: str, open_api: Open) -> None:
    engine = Asked(AGREED)
    async with open_api(engine) as api:
        key = await api.key("a")
        chunks = await streamed(api, CHATS[program], Authorization=f"Bearer {key}")
    assert joined(chunks, "content") == "Six sevens are 42.\n\nAnswer: 42"
    assert "agree" in joined(chunks, "reasoning_content")
    assert chunks[-1]["usage"]["total_tokens"] > 0
    for call in engine.calls:
        told = json.dumps(call.prompt.messages(), ensure_ascii=False)
        assert all(part in told for part in ("lives in Köln", "5 * 7", '"35"', "And 6 * 7?"))


async def test_the_models_are_there_at_each_load_even_while_the_engine_is_not(open_api: Open) -> None:
    async with open_api(Simulator(model="acme/tiny-1", outages=[Outage(at=0.0)])) as api:
        key = await api.key("a")
        for _ in range(2):
            reply = await api.get("/v1/models", headers=HEADERS | {"Authorization": f"Bearer {key}"})
            assert reply.status == 200
            assert all(
                isinstance(each["id"], str) and each["object"] == "model" for each in reply.body["data"]
            )
            assert {"anabranch/auto", "anabranch/vote"} <= {each["id"] for each in reply.body["data"]}
        assert (await api.get("/v1/models")).status == 401


@pytest.mark.parametrize("helper", HELPERS)
async def test_what_they_ask_for_themselves_is_one_call_and_no_task(helper: str, open_api: Open) -> None:
    body = dict(HELPERS[helper])
    asked = {"model": "anabranch/vote", "messages": [{"role": "user", "content": body.pop("content")}]}
    engine = Asked('{"title": "Sevens"}')
    async with open_api(engine) as api:
        said = await api.call("POST", "/v1/chat/completions", json={**asked, "stream": False, **body})
        tasks = await api.service.store.list(limit=10)
    assert said.status == 200
    assert said.body["choices"][0]["message"]["content"] == '{"title": "Sevens"}'
    assert (tasks, len(engine.calls)) == ((), 1)


@pytest.mark.parametrize("program", CHATS)
@pytest.mark.parametrize("model", ["anabranch/vote", "anabranch/engine"])
async def test_the_button_to_stop_frees_the_engine(program: str, model: str, open_api: Open) -> None:
    engine = slow()
    async with open_api(engine) as api:
        response = await api.session.post("/v1/chat/completions", json=CHATS[program] | {"model": model})
        await response.content.readany()
        await until(lambda: engine.counters().in_flight > 0)
        response.close()
        left = time.monotonic()
        await until(lambda: not engine.counters().in_flight)
        took = time.monotonic() - left
        for task in await api.service.store.list(limit=10):
            async for _ in api.service.events(task.id):
                pass
        ended = {task.status for task in await api.service.store.list(limit=10)}
    assert took < 5, "a loaded machine is slow, but the call would take a minute"
    assert ended <= {TaskStatus.CANCELLED}


@pytest.mark.parametrize("field", ["min_p", "top_k", "repeat_penalty", "chat_id", "tool_ids"])
async def test_a_field_that_nobody_knows_is_named_where_they_show_it(field: str, open_api: Open) -> None:
    async with open_api() as api:
        reply = await api.call("POST", "/v1/chat/completions", json=CHATS["Open WebUI"] | {field: 1})
    assert reply.status == 400
    assert reply.body["error"]["param"] == field
    assert field in reply.message
