"""The embedded engine, on real models."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import secrets
import signal
import time
from collections.abc import Sequence
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from tests.real_model import SMALL
from workers.calls import Call, Chunk, Prompt, Role, Sampling, Segment, Usage
from workers.engines.llama.engine import LlamaCppEngine
from workers.errors import (
    CallRejected,
    EngineInterrupted,
    EngineUnavailable,
    ModelUnavailable,
)
from workers.functions import Function, FunctionCall

pytestmark = [
    pytest.mark.engine,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(600),  # the first test may have to fetch a model
]

GREEDY = Sampling(temperature=0.0, max_tokens=4)


def prompt(*texts: str, prefill: str = "") -> Prompt:
    """User segments, and the beginning of the answer."""
    role: Role = "user"
    segments = [Segment(role, text) for text in texts]
    return Prompt((*segments, Segment("assistant", prefill)) if prefill else tuple(segments))


def passage(lines: int) -> str:
    """A text that no slot has seen before, about fourteen tokens a line."""
    nonce = secrets.token_hex(3)
    return f"Ledger {nonce}.\n" + "".join(f"Entry {n}: {n * 37 % 101} crates of tea.\n" for n in range(lines))


async def ask(engine: LlamaCppEngine, call: Call) -> tuple[str, Usage, list[Chunk]]:
    chunks = [chunk async for chunk in engine.generate(call)]
    assert chunks[-1].usage is not None
    return "".join(chunk.text for chunk in chunks), chunks[-1].usage, chunks


async def fan_out(
    engine: LlamaCppEngine, prompts: Sequence[Prompt], family: str | None = None
) -> list[Usage]:
    answers = await asyncio.gather(*(ask(engine, Call(each, GREEDY, family=family)) for each in prompts))
    return [usage for _, usage, _ in answers]


async def test_it_says_what_it_can_do(llama: LlamaCppEngine) -> None:
    found = await llama.capabilities()
    assert found.model == "smollm2-135m"
    assert (found.max_model_len, found.max_concurrency) == (1024, 4)
    assert found.token_ids_in
    assert found.token_ids_out
    assert found.logprobs
    assert found.guided_json
    assert found.guided_grammar
    assert found.priority
    assert found.assistant_prefill
    assert found.cached_token_usage
    assert not found.cache_salt
    assert (await llama.health()).ok


async def test_a_completion_streams(llama: LlamaCppEngine) -> None:
    sampling = Sampling(temperature=0.0, max_tokens=6)
    _, usage, chunks = await ask(llama, Call(prompt("Tell me about tea."), sampling))
    assert [chunk.finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["length"]
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert usage.completion_tokens == 6
    assert sum(chunk.tokens for chunk in chunks) == 6
    assert not any(chunk.token_ids for chunk in chunks), "nobody asked for them"
    assert {chunk.worker for chunk in chunks} == {"llama_cpp"}
    assert 0 <= usage.cached_tokens < usage.prompt_tokens


async def test_a_seed_decides(llama: LlamaCppEngine) -> None:
    """As far as probabilities are the same, whose last digits depend on how a prompt is computed."""

    def call(seed: int) -> Call:
        return Call(prompt("Invent a name for a river."), Sampling(1.5, max_tokens=10, seed=seed))

    first, again = [[(await ask(llama, call(seed)))[0] for seed in range(5)] for _ in range(2)]
    assert sum(text == repeated for text, repeated in zip(first, again, strict=True)) >= 4
    assert len(set(first)) >= 4


async def test_the_beginning_of_an_answer_is_continued_up_to_a_stop_string(llama: LlamaCppEngine) -> None:
    count = prompt("Count from 1 to 20.", prefill="1, 2, 3, 4, 5, 6, 7,")
    text, _, chunks = await ask(llama, Call(count, Sampling(0.0, max_tokens=40, stop=(", 11",))))
    assert text.strip() == "8, 9, 10"
    assert chunks[-1].finish_reason == "stop"


async def test_a_grammar_decides_what_can_be_said(llama: LlamaCppEngine) -> None:
    sampling = Sampling(temperature=0.0, max_tokens=16)
    guided = Call(prompt("Say hello."), sampling, grammar='root ::= "no " [0-9]{2} "!"')
    text, _, chunks = await ask(llama, guided)
    assert re.fullmatch("no [0-9]{2}!", text)
    assert chunks[-1].finish_reason == "stop"
    with pytest.raises(CallRejected, match="grammar"):
        await ask(llama, Call(prompt("Say hello."), GREEDY, grammar="root ::= nothing"))


async def test_an_empty_beginning_is_none(llama: LlamaCppEngine) -> None:
    question = prompt("Say hello.")
    empty = Prompt((*question.segments, Segment("assistant", "")))
    assert (await ask(llama, Call(empty, GREEDY)))[0] == (await ask(llama, Call(question, GREEDY)))[0]


async def test_a_schema_is_followed(llama: LlamaCppEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["🦊🐼 tea"]}, "count": {"type": "integer", "maximum": 99}},
        "required": ["name", "count"],
        "additionalProperties": False,
    }
    call = Call(prompt("Describe a parcel."), Sampling(0.0, max_tokens=60), schema=schema)
    answer = json.loads((await ask(llama, call))[0])
    assert answer["name"] == "🦊🐼 tea", "characters that take several tokens arrive whole"
    assert isinstance(answer["count"], int)


async def test_logprobs(llama: LlamaCppEngine) -> None:
    def call(top: int | None) -> Call:
        return Call(prompt("What is tea?"), Sampling(0.0, max_tokens=3, top_logprobs=top))

    three = [each for chunk in (await ask(llama, call(3)))[2] for each in chunk.logprobs]
    assert len(three) == 3
    for each in three:
        assert each.logprob <= 0
        assert len(each.top) == 3
        assert each.logprob == max(each.top.values()), "greedy decoding takes the most probable"
    chosen = [each for chunk in (await ask(llama, call(0)))[2] for each in chunk.logprobs]
    assert [each.token for each in chosen] == [each.token for each in three]
    assert all(not each.top for each in chosen)
    assert not any(chunk.logprobs for chunk in (await ask(llama, call(None)))[2])


async def test_siblings_compute_their_prefix_once(llama: LlamaCppEngine) -> None:
    """Eight siblings on four slots: all but the first find what they share, which is computed once."""
    shared = passage(20)
    usages = await fan_out(llama, [prompt(shared, f"How many crates are in entry {n}?") for n in range(8)])
    computed = [usage.prompt_tokens - usage.cached_tokens for usage in usages]
    assert usages[0].prompt_tokens > 220
    assert computed[0] > 200
    assert all(count < 25 for count in computed[1:]), computed


async def test_identical_siblings_compute_one_token_each(llama: LlamaCppEngine) -> None:
    usages = await fan_out(llama, [prompt(passage(10))] * 6)
    computed = [usage.prompt_tokens - usage.cached_tokens for usage in usages]
    assert computed[0] > 100
    assert computed[1:] == [1] * 5


async def test_nested_families_share_what_each_shares(llama: LlamaCppEngine) -> None:
    question, plans = passage(12), [passage(5), passage(5)]
    usages = await fan_out(
        llama, [prompt(question, plan, f"Consider entry {n}.") for plan in plans for n in range(3)]
    )
    computed = [usage.prompt_tokens - usage.cached_tokens for usage in usages]
    assert computed[0] > 170, "the question, the first plan, an entry"
    assert 50 < computed[3] < 100, "the second plan, an entry"
    assert all(computed[n] < 20 for n in (1, 2, 4, 5)), computed


async def test_a_sibling_that_comes_later_finds_what_its_family_left(llama: LlamaCppEngine) -> None:
    shared = passage(12)
    family = secrets.token_hex(4)
    first = llama.generate(
        Call(prompt(shared, "Write a long story."), Sampling(0.0, max_tokens=500), family=family)
    )
    async with aclosing(first):
        await anext(first)
        (later,) = await fan_out(llama, [prompt(shared, "Name one entry.")], family)
    assert later.prompt_tokens - later.cached_tokens < 25


async def test_the_next_turn_reuses_the_answer(llama: LlamaCppEngine) -> None:
    for _ in range(5):
        opening = passage(8)
        answer, first, _ = await ask(llama, Call(prompt(opening), Sampling(0.0, max_tokens=12)))
        if first.completion_tokens == 12:  # else it had less to say on this passage
            break
    turn = Prompt(
        (
            Segment("user", opening),
            Segment("assistant", answer),
            Segment("user", "Go on with the next entry."),
        )
    )
    _, second, _ = await ask(llama, Call(turn, GREEDY))
    assert second.cached_tokens >= first.prompt_tokens + 6


async def written(llama: LlamaCppEngine, question: Prompt, sampling: Sampling) -> tuple[Segment, Usage]:
    """A completion as the segment with which another call continues it."""
    text, usage, chunks = await ask(llama, Call(question, sampling, return_token_ids=True))
    return Segment("assistant", text, chunks[-1].token_ids), usage


async def test_a_completion_is_continued_by_its_tokens(llama: LlamaCppEngine) -> None:
    """However unlikely the tokens that were drawn, all of them are found where they were computed."""
    question = prompt("Tell me a long story about a river and those who live by it.")
    for seed in range(10):
        half, usage = await written(llama, question, Sampling(1.5, max_tokens=60, seed=seed))
        if len(half.token_ids) == 60:  # else it ended, or has a character that took several tokens
            break
    _, more, _ = await ask(llama, Call(Prompt((*question.segments, half)), GREEDY))
    assert more.prompt_tokens == usage.prompt_tokens + 60
    assert more.cached_tokens == more.prompt_tokens - 1, "the last one was drawn, but not computed"
    probe = Prompt((*question.segments, half, Segment("assistant", "\n\nThe answer:")))
    _, probed, _ = await ask(llama, Call(probe, GREEDY))
    assert probed.cached_tokens >= more.prompt_tokens - 1


async def test_the_tokens_of_a_completion_spell_it(llama: LlamaCppEngine) -> None:
    ended, _ = await written(llama, prompt("Say hi."), Sampling(0.0, max_tokens=60))
    server = (await llama._run()).server
    assert await server.client.spell(ended.token_ids) == ended.text, "without the end of the turn"
    cut, _ = await written(llama, prompt("Say hi."), Sampling(0.0, max_tokens=60, stop=(ended.text[7:9],)))
    assert cut.text == ended.text[:7]
    assert cut.token_ids == (), "a stop string may end inside a token"
    animals = Call(
        prompt("Hi."), Sampling(0.0, max_tokens=60), grammar='root ::= "🦊🐼 tea"', return_token_ids=True
    )
    text, _, chunks = await ask(llama, animals)
    assert text == "🦊🐼 tea"
    assert chunks[-1].token_ids == (), "the server does not tell the tokens of a character that takes several"


async def test_cancelled_calls_free_their_slots_and_their_places(llama: LlamaCppEngine) -> None:
    """Four long calls hold the slots and four wait; all are cancelled, and the next ones go through."""
    story = Call(prompt(passage(3), "Write a very long story."), Sampling(1.0, max_tokens=900, seed=3))
    tasks = [asyncio.create_task(ask(llama, story)) for _ in range(8)]
    await asyncio.sleep(1)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(result, asyncio.CancelledError) for result in results) >= 4
    usages = await fan_out(llama, [prompt(f"Say {n}.") for n in range(8)])
    assert len(usages) == 8


async def test_a_cancelled_prime_is_taken_over(llama: LlamaCppEngine) -> None:
    for attempt in range(6):
        shared = passage(55)
        calls = (Call(prompt(shared, f"Entry {n}?"), GREEDY) for n in range(4))
        tasks = [asyncio.create_task(ask(llama, call)) for call in calls]
        await asyncio.sleep(0.3 / 2**attempt)  # the quicker the machine, the sooner it must be
        tasks[0].cancel()
        usages = [usage for _, usage, _ in await asyncio.gather(*tasks[1:])]
        computed = sorted(usage.prompt_tokens - usage.cached_tokens for usage in usages)
        assert all(count < 25 for count in computed[:-1]), computed
        if computed[-1] > 25:  # else the first one had its prompt before it was cancelled
            break
    assert computed[-1] > 25, "one computes what was left"


async def test_a_prompt_that_does_not_fit_is_refused(llama: LlamaCppEngine) -> None:
    with pytest.raises(CallRejected, match=r"the prompt has \d{4} tokens, but there is room for 1024"):
        await ask(llama, Call(prompt(passage(150)), GREEDY))
    with pytest.raises(CallRejected, match=r"the prompt has \d{6} tokens"):
        await ask(llama, Call(prompt("tea " * 250_000), GREEDY))
    with pytest.raises(CallRejected, match="max_tokens"):
        await ask(llama, Call(prompt("tea"), Sampling(max_tokens=0)))


async def test_a_completion_ends_where_the_slot_does() -> None:
    engine = LlamaCppEngine("smollm2-135m", slots=1, context=256)
    schema = {"type": "array", "items": {"const": "tea"}, "minItems": 1000}  # cannot end by itself
    call = Call(prompt(passage(10)), Sampling(0.0, max_tokens=5000), schema=schema)
    _, usage, chunks = await ask(engine, call)
    await engine.close()
    assert chunks[-1].finish_reason == "length"
    assert usage.prompt_tokens + usage.completion_tokens == 256


async def test_starting_does_not_block_the_loop_and_happens_once() -> None:
    engine = LlamaCppEngine("smollm2-135m", slots=1, context=256)
    assert (await engine.health()).detail == "not started"
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    began = time.perf_counter()
    first, second = await asyncio.gather(engine.capabilities(), engine.capabilities())
    seconds = time.perf_counter() - began
    ticking.cancel()
    assert first is second
    assert ticks > 3 * seconds, "a free loop would do up to a hundred in a second"
    await engine.close()


async def test_closing_fails_what_is_under_way_and_the_engine_starts_again() -> None:
    engine = LlamaCppEngine("smollm2-135m", slots=1, context=512)
    story = Call(prompt("Write a very long story."), Sampling(1.0, max_tokens=450, seed=5))
    for _ in range(2):
        running = asyncio.create_task(ask(engine, story))
        await engine.capabilities()
        waiting = asyncio.create_task(ask(engine, story))
        await asyncio.sleep(0.3)
        await engine.close()
        await engine.close()
        assert not (await engine.health()).ok
        for task in (running, waiting):
            with suppress(EngineInterrupted, EngineUnavailable):
                await task


async def test_closing_stops_a_start() -> None:
    engine = LlamaCppEngine("smollm2-135m", slots=1, context=256)
    starting = asyncio.create_task(engine.capabilities())
    await asyncio.sleep(0.1)
    await engine.close()
    with pytest.raises(EngineUnavailable, match="closed while it started"):
        await starting


async def test_a_server_that_dies_is_replaced() -> None:
    engine = LlamaCppEngine("smollm2-135m", slots=1, context=256)
    await engine.capabilities()
    assert engine._starting is not None
    process = engine._starting.result().server._process
    stream = engine.generate(Call(prompt("Write a very long story."), Sampling(1.0, max_tokens=200, seed=5)))
    await anext(stream)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises((EngineInterrupted, EngineUnavailable)):
        async for _ in stream:
            pass
    await process.wait()
    assert (await engine.health()).detail == "llama.cpp died"
    assert (await ask(engine, Call(prompt("Hello."), GREEDY)))[1].completion_tokens > 0
    await engine.close()


async def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "xllamacpp" else find(name))
    with pytest.raises(EngineUnavailable, match=r'pip install "anabranch\[embedded\]"'):
        await LlamaCppEngine("smollm2-135m").capabilities()


async def test_models_that_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="Did you mean"):
        await LlamaCppEngine("smollm2-135").capabilities()
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(1000))
    engine = LlamaCppEngine(path)
    for _ in range(2):
        with pytest.raises(EngineUnavailable, match=r"broken\.gguf"):
            await engine.capabilities()
    assert "broken.gguf" in (await engine.health()).detail
    await engine.close()


async def test_senseless_sizes() -> None:
    with pytest.raises(ValueError, match="slots must be at least 1"):
        LlamaCppEngine(slots=0)
    assert LlamaCppEngine().name == "llama_cpp"


async def test_a_model_answers_a_question() -> None:
    engine = LlamaCppEngine(SMALL, slots=2, context=512)
    question = "A farmer has 12 cows and buys 30 more. How many cows has he now?"
    call = Call(prompt(question, prefill="He has 12 + 30 ="), Sampling(0.0, max_tokens=12))
    text, _, _ = await ask(engine, call)
    await engine.close()
    assert "42" in text


@pytest.mark.parametrize("model", ["smollm2-135m", SMALL])
async def test_functions_are_shown_where_the_template_of_the_model_provides_for_them(model: str) -> None:
    """SmolLM2's does not, and Qwen's shows calls and results in the marks that it was trained with."""
    look = Function("look", "Look up a city.", {"type": "object", "properties": {"at": {"type": "string"}}})
    call = FunctionCall("abcdefghi", "look", '{"at": "Paris"}')
    asked = Segment("user", "Where?")
    talk = Prompt((asked, Segment("assistant", "", calls=(call,)), Segment("tool", "here", calls=(call,))))
    engine = LlamaCppEngine(model, slots=1, context=512)
    try:
        can = await engine.capabilities()
        assert can.function_calls == (model == SMALL)
        server = (await engine._run()).server
        shown = await server.client.spell(await server.client.chat(talk.messages(), [look.as_tool()]))
        plain = await ask(engine, Call(Prompt((asked,)), GREEDY))
        offered = await ask(engine, Call(Prompt((asked,)), GREEDY, functions=(look,)))
    finally:
        await engine.close()
    assert ("Look up a city." in shown) == can.function_calls
    assert ('{"name": "look", "arguments": {"at": "Paris"}}' in shown) == can.function_calls
    assert "here" in shown
    assert (offered[1].prompt_tokens > plain[1].prompt_tokens) == can.function_calls
