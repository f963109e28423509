"""The engine's own models, straight through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from orchestrator.api.openai.passing import Choice
from orchestrator.structured import Ending
from storage.accounts import Limits
from storage.keys import account_of_key
from tests.orchestrator.api.conftest import Open, slow
from tests.orchestrator.api.openai.conftest import ABLE, QUESTION, Asked, Connect
from tests.orchestrator.api.openai.test_chat import until
from tests.orchestrator.api.openai.test_streaming import Led, chunks_in, joined, lines
from workers.calls import Call, Chunk, Logprob, Prompt, Sampling, Segment, Usage
from workers.engines.simulator.engine import Simulator
from workers.functions import FunctionCall

TOOL: Any = {
    "type": "function",
    "function": {"name": "look_up", "description": "Looks up.", "parameters": {"type": "object"}},
}


class Scripted(Asked):
    """An engine that can do everything, and sends these chunks for each call."""

    def __init__(self, *chunks: Chunk) -> None:
        super().__init__(claims=ABLE)
        self._chunks = chunks

    async def generate(self, call: Call) -> AsyncIterator[Any]:  # type: ignore[override]
        self.calls.append(call)
        for chunk in self._chunks:
            yield chunk


END = Chunk(finish_reason="stop", usage=Usage(7, 4, 3, 1), worker="scripted")


async def test_a_call_is_sent_as_it_was_asked_for(open_api: Open, connect: Connect) -> None:
    engine = Asked("Bern.", claims=ABLE)
    async with open_api(engine) as api:
        said = await connect(api).chat.completions.create(
            model="tiny-1",
            messages=[{"role": "system", "content": "Be brief."}, *QUESTION],
            temperature=0.2,
            top_p=0.8,
            max_tokens=50,
            seed=9,
            stop="###",
            tools=[TOOL],
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "object", "required": ["a"]}},
            },
            user="somebody",
        )
        assert await api.service.store.list() == ()
    [call] = engine.calls
    sampling = call.sampling
    assert [(each.role, each.text) for each in call.prompt.segments] == [
        ("system", "Be brief."),
        ("user", "What is 6 * 7?"),
    ]
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.2, 0.8, 50)
    assert (sampling.seed, sampling.stop) == (9, ("###",))
    assert call.schema == {"type": "object", "required": ["a"]}
    assert [each.name for each in call.functions] == ["look_up"]
    assert (said.model, said.choices[0].message.content) == ("tiny-1", "Bern.")
    assert said.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("name", ["acme/tiny-1", "tiny-1", "TINY-1", "anabranch/engine"])
async def test_the_engines_model_goes_by_several_names(open_api: Open, connect: Connect, name: str) -> None:
    async with open_api(Simulator("Bern.", model="acme/tiny-1")) as api:
        client = connect(api)
        said = await client.chat.completions.create(model=name, messages=QUESTION)
        assert (await client.models.retrieve(name)).id == name
    assert said.choices[0].message.content == "Bern."


async def test_models_are_listed(open_api: Open, connect: Connect) -> None:
    async with open_api(Simulator(model="acme/tiny-1")) as api:
        client = connect(api)
        listed = [model.id for model in (await client.models.list()).data]
        for name in listed:
            assert (await client.models.retrieve(name)).id == name
        with pytest.raises(openai.NotFoundError) as raised:
            await client.models.retrieve("anabranch/nothing")
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="gpt-17", messages=QUESTION)
        with pytest.raises(openai.NotFoundError, match=r"did you mean anabranch/vote\?"):
            await client.chat.completions.create(model="vote", messages=QUESTION)
    assert listed[:3] == ["anabranch/auto", "anabranch/direct", "anabranch/adaptive"]
    assert listed[-2:] == ["anabranch/engine", "acme/tiny-1"]
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")


async def test_several_choices_are_several_calls(open_api: Open, connect: Connect) -> None:
    engine = Asked("Bern.", claims=ABLE)
    async with open_api(engine) as api:
        said = await connect(api).chat.completions.create(model="tiny-1", messages=QUESTION, n=3, seed=5)
        chunks = chunks_in(await lines(api, model="tiny-1", n=2))
    assert [choice.index for choice in said.choices] == [0, 1, 2]
    assert sorted(call.sampling.seed or 0 for call in engine.calls[:3]) == [5, 6, 7]
    assert said.usage is not None
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens
    ended = [choice["index"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    assert sorted(ended) == [0, 1]


async def test_a_stream_is_sent_as_it_is_said(open_api: Open, connect: Connect) -> None:
    engine = Led(Chunk(reasoning="Hm.", tokens=1), "Be", "rn.")
    async with open_api(engine) as api:
        engine.lead()
        stream = await connect(api).chat.completions.create(
            model="simulator", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        deltas: list[Any] = []
        async for chunk in stream:
            if not chunk.choices:
                usage = chunk.usage
                break
            delta = chunk.choices[0].delta.to_dict()
            deltas.append(delta)
            if "role" not in delta:
                engine.lead()
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[1:] == [{"reasoning_content": "Hm."}, {"content": "Be"}, {"content": "rn."}, {}]
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (9, 3, 12)


async def test_calls_of_tools_and_their_results(open_api: Open, connect: Connect) -> None:
    made = FunctionCall("c1", "look_up", '{"of": "Bern"}')
    engine = Scripted(Chunk(finish_reason="stop", usage=Usage(5, 0, 4), calls=(made,)))
    async with open_api(engine) as api:
        client = connect(api)
        said = await client.chat.completions.create(model="tiny-1", messages=QUESTION, tools=[TOOL])
        chunks = chunks_in(await lines(api, model="tiny-1", tools=[TOOL]))
        [call] = said.choices[0].message.tool_calls or []
        answered: Any = said.choices[0].message.to_dict()
        result: Any = {"role": "tool", "tool_call_id": "c1", "content": "old"}
        await client.chat.completions.create(model="tiny-1", messages=[*QUESTION, answered, result])
        await client.chat.completions.create(
            model="tiny-1", messages=QUESTION, tools=[TOOL], tool_choice="none"
        )
    assert said.choices[0].finish_reason == "tool_calls"
    assert (call.id, call.function.name, call.function.arguments) == ("c1", "look_up", '{"of": "Bern"}')  # type: ignore[union-attr]
    told = [choice["delta"]["tool_calls"] for chunk in chunks for choice in chunk["choices"]
            if "tool_calls" in choice["delta"]]  # fmt: skip
    assert told == [[{"index": 0, **call.to_dict()}]]
    assert [segment.role for segment in engine.calls[2].prompt.segments] == ["user", "assistant", "tool"]
    assert engine.calls[3].functions == ()


async def test_log_probabilities(open_api: Open, connect: Connect) -> None:
    scores = (Logprob("Bé", -0.5, {"Bé": -0.5, "Zü": -1.0}),)
    engine = Scripted(Chunk("Bé", tokens=1, logprobs=scores), END)
    async with open_api(engine) as api:
        client = connect(api)
        said = await client.chat.completions.create(
            model="tiny-1", messages=QUESTION, logprobs=True, top_logprobs=2
        )
        text = await client.completions.create(model="tiny-1", prompt="Capital?", logprobs=2)
        chunks = chunks_in(await lines(api, model="tiny-1", logprobs=True))
    assert engine.calls[0].sampling.top_logprobs == 2
    assert said.choices[0].logprobs is not None
    [token] = said.choices[0].logprobs.content or []
    assert (token.token, token.logprob, bytes(token.bytes or [])) == ("Bé", -0.5, "Bé".encode())
    assert [each.token for each in token.top_logprobs] == ["Bé", "Zü"]
    assert text.choices[0].logprobs is not None
    assert text.choices[0].logprobs.token_logprobs == [-0.5]
    assert any(chunk["choices"][0]["logprobs"] for chunk in chunks)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"tools": [TOOL]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"n": 17}, "n"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"messages": [*QUESTION, {"role": "assistant", "content": "It"}]}, "messages[1]"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_what_the_engine_cannot_do_is_refused(
    open_api: Open, connect: Connect, asked: dict[str, Any], param: str
) -> None:
    from workers.engine import Capabilities

    async with open_api(Simulator(claims=Capabilities("tiny-1"))) as api:
        with pytest.raises(openai.BadRequestError) as raised:
            await connect(api).chat.completions.create(**{"model": "tiny-1", "messages": QUESTION, **asked})
    assert raised.value.param == param


async def test_what_the_engine_refuses_is_refused_before_anything_is_sent(
    open_api: Open, connect: Connect
) -> None:
    async with open_api(Simulator(max_model_len=3)) as api:
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError) as raised:
                await connect(api).chat.completions.create(
                    model="simulator", messages=QUESTION, stream=stream
                )
            assert raised.value.code == "call_rejected"


async def test_a_key_that_is_none_is_refused_also_where_it_has_no_effect(
    open_api: Open, connect: Connect
) -> None:
    async with open_api() as api:
        client = connect(api)
        said = await client.chat.completions.create(
            model="simulator", messages=QUESTION, extra_headers={"Idempotency-Key": "one"}
        )
        with pytest.raises(openai.BadRequestError, match="Idempotency-Key"):
            await client.chat.completions.create(
                model="simulator", messages=QUESTION, extra_headers={"Idempotency-Key": "x" * 256}
            )
    assert said.choices[0].message.content


async def test_who_leaves_aborts_the_calls(open_api: Open, connect: Connect) -> None:
    engine = slow()
    async with open_api(engine) as api:
        asking = asyncio.create_task(
            connect(api).chat.completions.create(model="simulator", messages=QUESTION, n=2)
        )
        await until(lambda: engine.counters().in_flight == 2)
        asking.cancel()
        await until(lambda: not engine.counters().in_flight)
        stream = await connect(api).chat.completions.create(model="simulator", messages=QUESTION, stream=True)
        await until(lambda: engine.counters().in_flight == 1)
        await stream.close()
        await until(lambda: not engine.counters().in_flight)
    assert engine.counters().aborted == 3


async def test_a_call_that_began_again_goes_on_where_its_client_is(open_api: Open) -> None:
    again = Chunk("Be", tokens=1, restarted=True)
    async with open_api(Scripted(Chunk("Be", tokens=1), again, Chunk("rn.", tokens=1), END)) as api:
        same = chunks_in(await lines(api, model="tiny-1"))
    other = Chunk("Zü", tokens=1, restarted=True)
    async with open_api(Scripted(Chunk("Be", tokens=1), other, Chunk("rich.", tokens=1), END)) as api:
        sent = await lines(api, model="tiny-1")
    assert joined(same, "content") == "Bern."
    assert json.loads(sent[-1].removeprefix("data: "))["error"]["code"] == "engine_interrupted"


async def test_what_a_call_takes_is_reserved_before_and_charged_after(
    open_api: Open, connect: Connect
) -> None:
    account = account_of_key("one")
    async with open_api(Scripted(Chunk("Bern.", tokens=3), END)) as api:
        key = await api.key("a", id="one")
        access = api.service.store.access
        await access.set_limits(account, Limits(tokens=200))
        api.service.access.forget()
        client = connect(api, key)
        for stream in (False, True):
            said: Any = await client.chat.completions.create(
                model="tiny-1", messages=QUESTION, max_tokens=100, stream=stream
            )
            if stream:
                async for _ in said:
                    pass
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="tiny-1", messages=QUESTION, max_tokens=200)
        with pytest.raises(openai.RateLimitError) as raised:
            await client.chat.completions.create(model="tiny-1", messages=QUESTION, max_tokens=180)
        spent = (await access.accounts((account,)))[account]
    assert spent.spent.tokens == 20
    assert spent.reserved.tokens == 0
    assert (raised.value.code, raised.value.type) == ("quota_exhausted", "insufficient_quota")
    assert raised.value.response.headers["x-should-retry"] == "false"


async def test_completions_of_texts(open_api: Open, connect: Connect) -> None:
    engine = Asked("Bern.", claims=ABLE)
    async with open_api(engine) as api:
        client = connect(api)
        one = await client.completions.create(model="tiny-1", prompt="Capital?", max_tokens=5)
        two = await client.completions.create(model="tiny-1", prompt=["a", "b"], n=2)
        stream = await client.completions.create(model="tiny-1", prompt="Capital?", stream=True)
        pieces = [chunk.choices[0] async for chunk in stream]
        planned = await client.completions.create(model="anabranch/direct", prompt="Capital?")
        told = await client.completions.create(model="anabranch/vote", prompt="Capital?", stream=True)
        parts = [chunk.choices[0].text async for chunk in told]
        refused: list[tuple[dict[str, Any], str]] = [
            ({"prompt": "x", "echo": True}, "echo"),
            ({"prompt": "x", "suffix": "y"}, "suffix"),
            ({"prompt": "x", "best_of": 3}, "best_of"),
            ({"prompt": ["x", " "]}, "prompt[1]"),
            ({"prompt": [1, 2]}, "prompt"),
            ({"model": "anabranch/vote", "prompt": ["x", "y"]}, "prompt[1]"),
        ]
        for asked, param in refused:
            with pytest.raises(openai.BadRequestError) as raised:
                await client.completions.create(**{"model": "tiny-1", **asked})
            assert str(raised.value.param).startswith(param)
    assert (one.object, one.choices[0].text) == ("text_completion", "Bern.")
    assert [choice.index for choice in two.choices] == [0, 1, 2, 3]
    assert [call.prompt.segments[0].text for call in engine.calls[1:5]] == ["a", "a", "b", "b"]
    assert "".join(piece.text for piece in pieces) == "Bern."
    assert pieces[-1].finish_reason == "stop"
    assert planned.choices[0].text == "Bern."
    assert "".join(parts).startswith("Bern.")


async def test_what_a_client_has_is_kept_when_a_call_begins_again_twice(open_api: Open) -> None:
    first, second = Chunk("Bern is", tokens=2), Chunk("Be", tokens=1, restarted=True)
    third = Chunk("Bees fly away", tokens=3, restarted=True)
    async with open_api(Scripted(first, second, third, END)) as api:
        sent = await lines(api, model="tiny-1")
    assert json.loads(sent[-1].removeprefix("data: "))["error"]["code"] == "engine_interrupted"


def test_what_was_said_before_a_call_began_again_does_not_count() -> None:
    choice = Choice(Call(Prompt((Segment("user", "x"),)), Sampling()))
    call = FunctionCall("1", "look_up", "{}")
    choice.take(Chunk("Be", tokens=1, reasoning="Hm.", calls=(call,)))
    choice.take(Chunk("Rome", tokens=1, reasoning="Hm.", calls=(call,), restarted=True))
    assert (choice.text, choice.reasoning, choice.calls, choice.tokens) == ("Rome", "Hm.", (call,), 1)


async def test_the_tools_of_a_call_are_reserved_too(open_api: Open, connect: Connect) -> None:
    account = account_of_key("one")
    async with open_api(Scripted(Chunk("Bern.", tokens=3), END)) as api:
        key = await api.key("a", id="one")
        await api.service.store.access.set_limits(account, Limits(tokens=2_000))
        api.service.access.forget()
        tool: Any = {**TOOL, "function": {**TOOL["function"], "description": "x" * 3_000}}
        with pytest.raises(openai.BadRequestError) as raised:
            await connect(api, key).chat.completions.create(
                model="tiny-1", messages=QUESTION, max_tokens=100, tools=[tool]
            )
    assert "may take at most 2,000" in raised.value.message


@pytest.mark.parametrize("stream", [False, True], ids=["waiting", "streaming"])
async def test_calls_that_an_engine_leaves_in_the_text_are_read(open_api: Open, stream: bool) -> None:
    said = ("I look. ", "<tool_call>\n", '{"name": "look_up", "arguments": {"a": 1}}', "\n</tool_call>")
    body = {"model": "tiny-1", "messages": QUESTION, "tools": [TOOL], "stream": stream}
    async with open_api(Scripted(*(Chunk(each, tokens=2) for each in said), END)) as api:
        if stream:
            chunks = chunks_in(await lines(api, **body))
            text = joined(chunks, "content")
            [made] = [chunk for chunk in chunks if "tool_calls" in chunk["choices"][0]["delta"]]
            [call], finish = made["choices"][0]["delta"]["tool_calls"], chunks[-1]["choices"][0]
        else:
            [finish] = (await api.call("POST", "/v1/chat/completions", json=body)).body["choices"]
            text, [call] = finish["message"]["content"], finish["message"]["tool_calls"]
    assert text == "I look."
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("look_up", {"a": 1})
    assert finish["finish_reason"] == "tool_calls"


async def test_what_begins_no_call_is_said_all_the_same(open_api: Open) -> None:
    said = ("If a ", "< b, ", "then {c}. ", "[d]")
    async with open_api(Scripted(*(Chunk(each, tokens=2) for each in said), END)) as api:
        chunks = chunks_in(await lines(api, model="tiny-1", tools=[TOOL]))
    assert joined(chunks, "content") == "".join(said)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_who_waits_for_the_first_word_is_told_that_the_process_ends(open_api: Open, path: str) -> None:
    closing, engine = Ending(), Led("Bern.")
    async with open_api(engine, closing=closing) as api:
        said = {"messages": QUESTION} if "chat" in path else {"input": "x"}
        body = {"model": "anabranch/engine", "stream": True, **said}
        asking = asyncio.create_task(api.call("POST", path, json=body))
        await until(lambda: bool(engine._led._waiters))
        closing.set()
        reply = await asyncio.wait_for(asking, 20)
    assert (reply.status, reply.error) == (503, "closing")
