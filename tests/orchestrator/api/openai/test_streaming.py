"""Streams of chat completions that a planner answers, chunk by chunk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from orchestrator.api.openai.planned import REVISED
from orchestrator.settings import Settings
from orchestrator.structured import Ending
from tests.orchestrator.api.conftest import Api, Open, slow
from tests.orchestrator.api.openai.conftest import QUESTION, Connect
from workers.calls import Call, Chunk, Usage
from workers.engines.simulator.engine import Simulator, sampled
from workers.errors import EngineFailed

AGREED = "Six sevens are 42.\n\\boxed{42}"


class Led(Simulator):
    """An engine that says a piece each time that it is led on, and the rest when it is let go."""

    def __init__(self, *pieces: Chunk | str) -> None:
        super().__init__()
        self._pieces = [Chunk(each, tokens=1) if isinstance(each, str) else each for each in pieces]
        self._led = asyncio.Semaphore(0)

    def lead(self, pieces: int = 1) -> None:
        """Have some more pieces said."""
        for _ in range(pieces):
            self._led.release()

    async def generate(self, call: Call) -> AsyncIterator[Chunk]:  # type: ignore[override]
        for piece in self._pieces:
            await self._led.acquire()
            yield piece
        await self._led.acquire()
        yield Chunk(finish_reason="stop", usage=Usage(9, 3, len(self._pieces)), worker="led")


async def lines(api: Api, **body: Any) -> list[str]:
    """All lines of a stream but the empty ones, as they are sent."""
    asked = {"model": "anabranch/vote", "messages": QUESTION, "stream": True, **body}
    async with api.session.post("/v1/chat/completions", json=asked) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        return [line for line in (await response.text()).split("\n") if line]


def chunks_in(sent: list[str]) -> list[Any]:
    assert sent[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in sent[:-1] if line.startswith("data: ")]


def joined(chunks: list[Any], name: str) -> str:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get(name) or "" for delta in deltas)


async def test_the_exact_sequence_of_chunks(open_api: Open) -> None:
    async with open_api(Simulator(AGREED)) as api:
        chunks = chunks_in(await lines(api, stream_options={"include_usage": True}))
    first, *middle, finish, usage = chunks
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    kinds = ["reasoning_content" if "reasoning_content" in chunk["choices"][0]["delta"] else "content"
             for chunk in middle]  # fmt: skip
    assert kinds == sorted(kinds, reverse=True)
    assert {"content", "reasoning_content"} == set(kinds)
    assert joined(middle, "content") == "Six sevens are 42.\n\nAnswer: 42"
    assert finish["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert finish["anabranch"]["answer"] == "42"
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == (
        usage["usage"]["prompt_tokens"] + usage["usage"]["completion_tokens"]
    )
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks[:-2])
    for name in ("id", "created", "model", "object"):
        assert len({chunk[name] for chunk in chunks}) == 1
    assert first["object"] == "chat.completion.chunk"


async def test_without_being_asked_no_chunk_speaks_of_usage(open_api: Open) -> None:
    async with open_api(Simulator(AGREED)) as api:
        chunks = chunks_in(await lines(api))
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)


async def test_how_the_run_goes_is_told_in_plain_lines(open_api: Open) -> None:
    engine = Simulator(sampled({AGREED: 3, "I guess.\n\\boxed{41}": 1}))
    async with open_api(engine) as api:
        told = joined(chunks_in(await lines(api, seed=4)), "reasoning_content")
    assert told.startswith("A vote begins.\nBranch 1 begins.\n")
    assert "says 42" in told
    assert "agree, entropy" in told
    assert "Enough: " in told
    assert told.rstrip().splitlines()[-1].endswith("agree.")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "none"])
@pytest.mark.parametrize("by", ["setting", "request"])
async def test_where_it_is_told_can_be_chosen(open_api: Open, name: Any, by: str) -> None:
    settings = Settings(chat_progress=name) if by == "setting" else Settings()
    own = {"anabranch": {"progress": name}} if by == "request" else {}
    async with open_api(Simulator(AGREED), settings=settings) as api:
        chunks = chunks_in(await lines(api, **own))
    told = {each for chunk in chunks for each in chunk["choices"][0]["delta"] if each.startswith("reasoning")}
    assert told == ({name} - {"none"})


@pytest.mark.parametrize("model", ["direct", "auto"])
async def test_an_answer_that_is_one_call_is_sent_as_it_is_said(
    open_api: Open, connect: Connect, model: str
) -> None:
    engine = Led("Dear", " Ann,", "\n\nall is", " well.")
    letter: Any = [{"role": "user", "content": "Write a short letter to my friend Ann about the weather."}]
    async with open_api(engine) as api:
        stream = await connect(api).chat.completions.create(
            model=f"anabranch/{model}", messages=letter, stream=True
        )
        said, seen = "", []
        engine.lead()
        async for chunk in stream:
            if piece := chunk.choices[0].delta.content:
                said += piece
                seen.append(piece)
                engine.lead()  # it says nothing more until this piece has arrived
    assert said == "Dear Ann,\n\nall is well."
    assert seen == ["Dear", " Ann,", "\n\nall is", " well."]


async def test_thinking_is_no_part_of_the_answer(open_api: Open, connect: Connect) -> None:
    engine = Led("<think>Let me", " see.</th", "ink>Par", "is.")
    async with open_api(engine) as api:
        stream = await connect(api).chat.completions.create(
            model="anabranch/direct", messages=QUESTION, stream=True
        )
        engine.lead(9)
        deltas = [chunk.choices[0].delta async for chunk in stream]
    assert "".join(delta.content or "" for delta in deltas) == "Paris."
    thought = "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas)
    assert thought in ("Let me see.", "")  # where all came at once, there is nothing to show


async def test_what_the_engine_thinks_apart_is_shown_as_thinking(open_api: Open, connect: Connect) -> None:
    engine = Led(Chunk(reasoning="Hm", tokens=1), Chunk(reasoning=", well.", tokens=1), "Paris.")
    async with open_api(engine) as api:
        stream = await connect(api).chat.completions.create(
            model="anabranch/direct", messages=QUESTION, stream=True
        )
        thought = said = ""
        engine.lead()
        async for chunk in stream:
            delta = chunk.choices[0].delta
            more = (delta.model_extra or {}).get("reasoning_content", "")
            thought, said = thought + more, said + (delta.content or "")
            if more or delta.content:
                engine.lead()
    assert (thought, said) == ("Hm, well.", "Paris.")


async def test_a_stream_stops_where_it_is_told_to(open_api: Open, connect: Connect) -> None:
    engine = Led("One. ", "Tw", "o. ", "Three.")
    async with open_api(engine) as api:
        stream = await connect(api).chat.completions.create(
            model="anabranch/direct", messages=QUESTION, stream=True, stop="Two"
        )
        engine.lead(9)
        said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert said.strip() == "One."


async def test_a_text_that_was_not_the_answer_is_said_to_be_none(open_api: Open, connect: Connect) -> None:
    engine = Led("Let me see.", "</think>", "Paris.")
    async with open_api(engine) as api:
        stream = await connect(api).chat.completions.create(
            model="anabranch/direct", messages=QUESTION, stream=True
        )
        engine.lead()
        said, last = "", None
        async for chunk in stream:
            said += chunk.choices[0].delta.content or ""
            if said == "Let me see.":
                engine.lead(9)
            last = chunk
    assert said == f"Let me see.{REVISED}Paris."
    assert last is not None
    assert last.model_extra is not None
    assert last.model_extra["anabranch"]["revised"] is True


async def test_a_stream_follows_a_task_that_runs_in_another_process(open_api: Open) -> None:
    async with open_api(Simulator(AGREED), work=False) as front, open_api(Simulator(AGREED)) as worker:
        chunks = chunks_in(await lines(front))
        assert sum(worker.service.ended.values()) == 1
        assert not front.service.ended
    assert joined(chunks, "content") == "Six sevens are 42.\n\nAnswer: 42"
    assert "Enough" in joined(chunks, "reasoning_content")


async def test_what_fails_in_mid_stream_is_raised_by_the_client(open_api: Open, connect: Connect) -> None:
    class Failing(Led):
        async def generate(self, call: Call) -> AsyncIterator[Chunk]:  # type: ignore[override]
            yield Chunk("Par", tokens=1)
            await self._led.acquire()
            raise EngineFailed("the power is out")

    engine = Failing()
    async with open_api(engine) as api:
        stream = await connect(api).chat.completions.create(
            model="anabranch/direct", messages=QUESTION, stream=True
        )

        async def read() -> None:
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    engine.lead(9)

        with pytest.raises(openai.APIError, match="the power is out") as raised:
            await read()
    assert raised.value.code == "engine_failed"
    assert raised.value.type == "server_error"


async def test_a_stream_that_is_silent_is_kept_open_by_comments(open_api: Open) -> None:
    engine = Led("Paris.")
    async with open_api(engine, heartbeat_seconds=0.02) as api:
        body = {"model": "anabranch/direct", "messages": QUESTION, "stream": True}
        async with api.session.post("/v1/chat/completions", json=body) as response:
            while not (await response.content.readline()).startswith(b":"):
                pass
            engine.lead(9)
            rest = await response.text()
    assert rest.rstrip().endswith("data: [DONE]")


async def test_a_process_that_ends_says_so_and_takes_nothing_new(open_api: Open, connect: Connect) -> None:
    closing = Ending()
    async with open_api(slow(), closing=closing) as api:
        client = connect(api)
        stream = await client.chat.completions.create(
            model="anabranch/direct", messages=QUESTION, stream=True
        )
        api.draining.set()
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(model="anabranch/direct", messages=QUESTION)
        assert refused.value.code == "draining"
        assert refused.value.response.headers["x-should-retry"] == "true"
        closing.set()
        with pytest.raises(openai.APIError) as raised:
            [each async for each in stream]
    assert raised.value.code == "closing"


async def test_json_is_sent_once_it_is_known_to_be_whole(open_api: Open, connect: Connect) -> None:
    engine = Led('{"city": ', '"Bern"}')
    async with open_api(engine) as api:
        stream = await connect(api).chat.completions.create(
            model="anabranch/direct",
            messages=QUESTION,
            stream=True,
            response_format={"type": "json_object"},
        )
        engine.lead(9)
        said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert json.loads(said) == {"city": "Bern"}
