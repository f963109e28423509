"""Tokens instead of text, to and from a server that has vLLM's endpoints for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.workers.engines.raw_server import (
    DONE,
    HEAD,
    USAGE,
    Exchange,
    RawServer,
    Script,
    event,
    raw_server,
    respond,
)
from workers.calls import Call, Chunk, Logprob, Prompt, Sampling, Segment, Usage
from workers.engine import Capabilities
from workers.engines.openai.dialect import Dialect
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.vllm.engine import VLLMEngine
from workers.engines.vllm.kv_events import KVEndpoints
from workers.errors import EngineProtocolError
from workers.prefix.tokens import TokenBlocks, token_chain, token_root

HELLO = 5000
"""A token of five letters; the server's tokenizer makes a token of each letter."""

QUESTION = (Segment("system", "Be brief."), Segment("user", "Greet me."))
WRITTEN = Segment("assistant", "Hello!", (HELLO, ord("!")))


def chat_tokens(body: Mapping[str, Any]) -> list[int]:
    tokens = [
        ord(char) for message in body["messages"] for char in f"<{message['role']}>{message['content']}"
    ]
    return tokens if body.get("continue_final_message") else [*tokens, *map(ord, "<assistant>")]


def answer(body: Mapping[str, Any]) -> bytes:
    """What vLLM answers to requests that are not streamed."""
    match body:
        case {"tokens": list(tokens)}:
            return respond("200 OK", {"prompt": "".join("Hello" if t == HELLO else chr(t) for t in tokens)})
        case {"messages": _, "add_generation_prompt": _} if "max_tokens" not in body:
            return respond("200 OK", {"tokens": chat_tokens(body)})
        case {"prompt": str(text)}:
            return respond("200 OK", {"tokens": [*map(ord, text)]})
        case {"prompt": list(tokens)}:
            return respond("200 OK", {"choices": [{"text": "1"}], "usage": {"prompt_tokens": len(tokens)}})
    choice = {"message": {"content": "1"}} | ({"token_ids": [49]} if "return_token_ids" in body else {})
    return respond("200 OK", {"choices": [choice], "usage": {"prompt_tokens": len(chat_tokens(body))}})


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[tuple[OpenAIEngine, RawServer]]:
    async with raw_server(script) as server:
        server.whole = answer
        engine = OpenAIEngine(server.url)
        try:
            await engine.capabilities()
            yield engine, server
        finally:
            await engine.close()


async def read(engine: OpenAIEngine, call: Call) -> tuple[str, Chunk]:
    chunks = [chunk async for chunk in engine.generate(call)]
    assert all(not chunk.token_ids for chunk in chunks[:-1])
    return "".join(chunk.text for chunk in chunks), chunks[-1]


def plain(text: str, reason: str | None = None, **fields: object) -> bytes:
    """An event of a completion of a plain prompt."""
    choice = {"index": 0, "text": text, "finish_reason": reason} | fields
    return b"data: " + json.dumps({"choices": [choice], "usage": None}).encode() + b"\n\n"


async def test_the_capabilities_are_found() -> None:
    async with raw_server() as server:
        server.whole = answer
        engine = OpenAIEngine(server.url)
        found = await engine.capabilities()
        await engine.close()
    assert found == Capabilities("raw", token_ids_in=True, token_ids_out=True, assistant_prefill=True)


async def test_a_server_that_renders_chats_otherwise_than_it_tokenises_them_gets_text() -> None:
    def longer(body: Mapping[str, Any]) -> bytes:
        if "messages" in body and "max_tokens" not in body:
            return respond("200 OK", {"tokens": [1, *chat_tokens(body)]})
        return answer(body)

    async with raw_server() as server:
        server.whole = longer
        engine = OpenAIEngine(server.url)
        assert not (await engine.capabilities()).token_ids_in
        await engine.close()


async def test_known_tokens_are_continued_as_tokens() -> None:
    async def script(exchange: Exchange) -> None:
        first = plain(" H", token_ids=[32, 72], stop_reason=None)
        await exchange.send(HEAD + first + plain("i", "length", token_ids=[105]) + event(usage=USAGE) + DONE)

    async with scripted(script) as (engine, server):
        sampling = Sampling(0.0, max_tokens=3, stop=("x",), seed=4, top_logprobs=2)
        call = Call(Prompt((*QUESTION, WRITTEN)), sampling, schema={"type": "object"}, return_token_ids=True)
        text, last = await read(engine, call)
        (exchange,) = server.exchanges
        assert server.paths[-1] == "/v1/completions"
        assert exchange.body == {
            "model": "raw",
            "prompt": [*map(ord, "<system>Be brief.<user>Greet me.<assistant>"), HELLO, ord("!")],
            "temperature": 0.0,
            "max_tokens": 3,
            "stop": ["x"],
            "seed": 4,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_token_ids": True,
        }
    assert (text, last.token_ids, last.finish_reason) == (" Hi", (32, 72, 105), "length")
    assert last.usage == Usage(7, 4, 2)


async def test_what_a_chat_can_be_asked_a_completion_can_too() -> None:
    can = Capabilities("m", logprobs=True, guided_json=True, priority=True, cache_salt=True)
    dialect = Dialect(can, priority_sign=-1)
    call = Call(
        Prompt(QUESTION), Sampling(top_p=0.9, top_logprobs=3), schema={"type": "object"}, priority=1.5
    )
    chat, tokens = dialect.request(call), dialect.plain_request(call, (1, 2))
    assert (chat.pop("messages"), tokens.pop("prompt")) == (call.prompt.messages(), [1, 2])
    assert (chat.pop("logprobs"), chat.pop("top_logprobs"), tokens.pop("logprobs")) == (True, 3, 3)
    assert chat == tokens
    assert {"response_format", "priority", "cache_salt", "top_p"} <= tokens.keys()


async def test_logprobs_in_columns() -> None:
    columns = {
        "tokens": ["H", "i"],
        "token_logprobs": [-0.5, -1],
        "top_logprobs": [{"H": -0.5, "B": -0.25, "A": -3}, None],
    }

    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + plain("Hi", "stop", logprobs=columns) + DONE)

    async with scripted(script) as (engine, _):
        _, last = await read(engine, Call(Prompt((*QUESTION, WRITTEN)), Sampling(top_logprobs=2)))
    assert last.logprobs == (Logprob("H", -0.5, {"B": -0.25, "H": -0.5}), Logprob("i", -1.0))
    assert last.tokens == 2


@pytest.mark.parametrize(
    "wrong", [{"token_ids": [1, "2"]}, {"token_ids": [-1]}, {"token_ids": 3}, {"token_ids": [True]}]
)
async def test_what_is_no_token_is_not_taken_for_one(wrong: dict[str, Any]) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("Hi", **wrong) + DONE)

    async with scripted(script) as (engine, _):
        with pytest.raises(EngineProtocolError, match="not a list of tokens"):
            await read(engine, Call(Prompt(QUESTION), return_token_ids=True))


@pytest.mark.parametrize(
    ("events", "tokens"),
    [
        # The token that ends the turn is not in the text.
        (event("Hello", token_ids=[HELLO]) + event("", "stop", token_ids=[2], stop_reason=None), (HELLO,)),
        (event("Hello", "stop", token_ids=[HELLO, 2], stop_reason=None), (HELLO,)),
        # Nor is the first part of a character whose rest did not come.
        (event("Hello", token_ids=[HELLO]) + event("", "length", token_ids=[9]), (HELLO,)),
        (event("", token_ids=[8]) + event("é", "length", token_ids=[9]), (8, 9)),
        # A stop string may end inside a token.
        (event("Hell", "stop", token_ids=[HELLO], stop_reason="o"), ()),
        (event("Hello", "content_filter", token_ids=[HELLO]), ()),
        (event("Hello", "length"), ()),
    ],
)
async def test_the_tokens_of_a_completion_spell_it(events: bytes, tokens: tuple[int, ...]) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + events + DONE)

    async with scripted(script) as (engine, server):
        _, last = await read(engine, Call(Prompt(QUESTION), return_token_ids=True))
        assert server.exchanges[0].body["return_token_ids"] is True
    assert last.token_ids == tokens


async def test_tokens_are_not_asked_for_unless_they_are_wanted() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("Hello", "length") + DONE)

    async with scripted(script) as (engine, server):
        await read(engine, Call(Prompt(QUESTION)))
        assert "return_token_ids" not in server.exchanges[0].body


async def test_a_text_that_was_changed_is_sent_as_text() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + event("!", "length") + DONE)

    async with scripted(script) as (engine, server):
        await read(engine, Call(Prompt((*QUESTION, Segment("assistant", "Hallo!", WRITTEN.token_ids)))))
        assert server.paths[-1] == "/v1/chat/completions"
        assert server.exchanges[0].body["messages"][-1] == {"role": "assistant", "content": "Hallo!"}


def vllm(path: str) -> bytes:
    """What a vLLM answers to GET."""
    if path == "/metrics":
        return respond("200 OK", 'vllm:num_requests_running{e="0"} 2.0\nvllm:num_requests_waiting 1.0\n')
    return respond("200 OK", {"data": [{"id": "raw", "owned_by": "vllm"}]})


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for what a server is asked beside its calls, however long the machine stands still."""
    monkeypatch.setattr("workers.engines.vllm.engine.LOAD_SECONDS", 60.0)
    monkeypatch.setattr("workers.engines.vllm.engine.TOKENIZE_SECONDS", 60.0)


@pytest.mark.usefixtures("patient")
async def test_only_a_vllm_is_asked_for_its_load() -> None:
    for kind, expected in ((vllm, (2, 1)), (None, None)):
        async with raw_server() as server:
            server.get = kind
            server.whole = answer
            engine = VLLMEngine(server.url)
            await engine.capabilities()
            assert await engine.load() == expected
            assert ("/metrics" in server.paths) == (expected is not None)
            await engine.close()


@pytest.mark.usefixtures("patient")
async def test_the_blocks_of_a_prompt_are_those_of_the_tokens_that_are_sent() -> None:
    blocks = TokenBlocks()
    blocks.block_size = 4
    async with raw_server() as server:
        server.whole = answer
        engine = VLLMEngine(server.url, kv_events=KVEndpoints("ipc:///nowhere"), blocks=blocks)
        begun = [*map(ord, "<system>Be brief.<user>Greet me.<assistant>")]
        for end, tokens in (((), []), ((WRITTEN,), [HELLO, ord("!")])):
            chain = await engine.chain(Call(Prompt((*QUESTION, *end))))
            assert chain == token_chain([*begun, *tokens], 4, token_root())
        asked = len(server.paths)
        await engine.chain(Call(Prompt((*QUESTION, WRITTEN))))
        assert len(server.paths) == asked
        await engine.close()


@pytest.mark.usefixtures("patient")
async def test_a_server_that_is_closed_tells_no_load_and_keeps_no_connection() -> None:
    """A pool asks for the load at any time, also while a restarted server's old connections are closed."""

    def get(path: str) -> bytes:
        gauges = "vllm:num_requests_running 1\nvllm:num_requests_waiting 0\n"
        models = {"data": [{"id": "raw", "owned_by": "vllm"}]}
        return respond("200 OK", models if path.endswith("/models") else gauges)

    async with raw_server() as raw:
        raw.get = get
        raw.whole = answer
        engine = VLLMEngine(raw.url)
        assert await engine.load() == (1, 0)
        closing = asyncio.create_task(engine.close())
        while not closing.done():
            await engine.load()
            await asyncio.sleep(0)
        assert await engine.load() is None
