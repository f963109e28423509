"""The Responses API as OpenAI's own client uses it, over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI

from tests.orchestrator.api.conftest import Api


@asynccontextmanager
async def client(api: Api, key: str = "none", **options: Any) -> AsyncIterator[AsyncOpenAI]:
    """A client of OpenAI's for this API."""
    async with AsyncOpenAI(
        base_url=f"http://127.0.0.1:{api.port}/v1", api_key=key, max_retries=0, **options
    ) as made:
        yield made


async def test_a_question_is_answered(api: Api) -> None:
    async with client(api) as ai:
        response = await ai.responses.create(
            model="anabranch/vote", input="What is 6 * 7?", metadata={"order": "17"}
        )
        assert response.status == "completed"
        assert response.output_text == "Six sevens are 42.\nAnswer: 42"
        assert [item.type for item in response.output] == ["reasoning", "message"]
        assert response.metadata == {"order": "17"}
        assert response.usage is not None
        assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0
        again = await ai.responses.retrieve(response.id)
        assert again == response


async def test_a_stream_has_every_event_in_order_and_builds_up_to_the_response(api: Api) -> None:
    async with client(api) as ai:
        stream = await ai.responses.create(model="anabranch/vote", input="What is 6 * 7?", stream=True)
        events = [event async for event in stream]
        assert [event.sequence_number for event in events] == [*range(len(events))]
        kinds = [event.type for event in events]
        assert kinds[:4] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
        ]
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        last = events[-1]
        assert last.type == "response.completed"
        assert text == last.response.output_text == "Six sevens are 42.\nAnswer: 42"
        again = await ai.responses.retrieve(last.response.id, stream=True, starting_after=5)
        assert [event async for event in again] == events[6:]
        async with ai.responses.stream(model="anabranch/direct", input="What is 6 * 7?") as helper:
            assert (await helper.get_final_response()).output_text == text
