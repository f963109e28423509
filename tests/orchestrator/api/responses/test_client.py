"""The Responses API as OpenAI's own client uses it, over a real socket."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from orchestrator.access.caller import Scope
from orchestrator.runtime.nodes import NodeKind
from orchestrator.settings import Settings
from storage.events import EventType
from tests.orchestrator.api.conftest import Api, Open, slow
from tests.orchestrator.api.openai.test_passing import END, Scripted
from tests.orchestrator.api.responses.clients import client
from workers.calls import Chunk
from workers.engines.simulator.engine import CostModel, Simulator

SAID = "Six sevens are 42.\nAnswer: 42"
HELLO = "Hello there, how are you? " * 9 + "Well?"


async def test_a_question_is_answered_and_kept(api: Api) -> None:
    async with client(api) as ai:
        response = await ai.responses.create(
            model="anabranch/vote",
            input="What is 6 * 7?",
            instructions="Be brief.",
            metadata={"order": "17"},
            max_output_tokens=99,
            reasoning={"effort": "low"},
            user="someone",
        )
        assert (response.status, response.output_text) == ("completed", SAID)
        assert [item.type for item in response.output] == ["reasoning", "message"]
        assert (response.model, response.instructions) == ("anabranch/vote", "Be brief.")
        assert response.metadata == {"order": "17"}
        assert response.max_output_tokens == 99
        assert response.reasoning is not None
        assert response.reasoning.effort == "low"
        assert response.user == "someone"
        assert response.usage is not None
        assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0
        assert await ai.responses.retrieve(response.id) == response
        task = await api.service.task(response.id.removeprefix("resp_"))
        assert task.question["history"] == [{"role": "system", "content": "Be brief."}]
        assert task.options["options"] == {"n": 4, "max_tokens": 99}


async def test_a_stream_has_every_event_in_order_and_builds_up_to_the_response(api: Api) -> None:
    async with client(api) as ai:
        stream = await ai.responses.create(model="anabranch/vote", input="What is 6 * 7?", stream=True)
        events = [event async for event in stream]
        assert [event.sequence_number for event in events] == [*range(len(events))]
        assert [event.type for event in events][:4] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
        ]
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        last: Any = events[-1]
        assert last.type == "response.completed"
        assert text == last.response.output_text == SAID
        thoughts = "".join(
            event.delta for event in events if event.type == "response.reasoning_summary_text.delta"
        )
        assert "Branch 1 says 42" in thoughts
        assert "Enough: the branches agree." in thoughts
        for number in (0, 5, len(events) - 2, len(events) - 1, len(events) + 5):
            again = await ai.responses.retrieve(last.response.id, stream=True, starting_after=number)
            assert [event async for event in again] == events[number + 1 :]
        async with ai.responses.stream(model="anabranch/direct", input="What is 6 * 7?") as helper:
            assert (await helper.get_final_response()).output_text == SAID


async def test_a_conversation_goes_on_from_response_to_response(api: Api) -> None:
    async with client(api) as ai:
        first = await ai.responses.create(
            model="anabranch/direct", instructions="Speak like a pirate.", input="My name is Alice."
        )
        second = await ai.responses.create(
            model="anabranch/direct",
            previous_response_id=first.id,
            input=[
                {"role": "developer", "content": "Answer in one word."},
                {"role": "user", "content": [{"type": "input_text", "text": "What is my name?"}]},
            ],
        )
        assert second.previous_response_id == first.id
        assert second.instructions is None
        task = await api.service.task(second.id.removeprefix("resp_"))
        assert task.question["history"] == [
            {"role": "user", "content": "My name is Alice."},
            {"role": "assistant", "content": SAID},
            {"role": "system", "content": "Answer in one word."},
        ]
        third = await ai.responses.create(
            model="anabranch/direct", previous_response_id=second.id, instructions="Shout.", input="Again?"
        )
        listed = ai.responses.input_items.list(third.id, order="asc", limit=2)
        items: list[Any] = [item async for item in listed]
        assert [(item.role, item.content[0].text) for item in items] == [
            ("user", "My name is Alice."),
            ("assistant", SAID),
            ("system", "Answer in one word."),
            ("user", "What is my name?"),
            ("assistant", SAID),
            ("user", "Again?"),
        ]
        await ai.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError) as gone:
            await ai.responses.create(model="anabranch/direct", previous_response_id=first.id, input="x")
        assert gone.value.code == "previous_response_not_found"
        assert gone.value.param == "previous_response_id"
        with pytest.raises(openai.NotFoundError):
            await ai.responses.retrieve(first.id)
        assert (await ai.responses.retrieve(second.id)).status == "completed"  # which has what it needs


async def test_work_in_the_background_is_followed_and_cancelled(open_api: Open) -> None:
    async with open_api(slow()) as api, client(api) as ai:
        response = await ai.responses.create(model="anabranch/vote", input="x", background=True)
        assert response.status == "queued"
        stream = await ai.responses.retrieve(response.id, stream=True)
        events = []
        async for event in stream:
            events.append(event)
            if event.type == "response.output_item.added":
                break
        assert [event.type for event in events] == [
            "response.created",
            "response.queued",
            "response.in_progress",
            "response.output_item.added",
        ]
        await stream.close()
        assert (await ai.responses.retrieve(response.id)).status == "in_progress"
        with pytest.raises(openai.BadRequestError) as unanswered:
            await ai.responses.create(model="anabranch/vote", previous_response_id=response.id, input="y")
        assert unanswered.value.code == "previous_response_unanswered"
        with pytest.raises(openai.ConflictError):
            await ai.responses.delete(response.id)
        assert (await ai.responses.cancel(response.id)).status == "cancelled"
        assert (await ai.responses.cancel(response.id)).status == "cancelled"
        rest = await ai.responses.retrieve(response.id, stream=True, starting_after=3)
        told = [event async for event in rest]
        assert [event.sequence_number for event in told] == [*range(4, 4 + len(told))]
        assert told[-1].model_dump()["type"] == "response.cancelled"
        await ai.responses.delete(response.id)


async def test_a_background_stream_goes_on_without_its_client(open_api: Open) -> None:
    async with open_api(Simulator(SAID)) as api, client(api) as ai:
        stream = await ai.responses.create(model="anabranch/vote", input="x", background=True, stream=True)
        first = await anext(aiter(stream))
        assert first.type == "response.created"
        await stream.close()
        rest = await ai.responses.retrieve(first.response.id, stream=True, starting_after=0)
        events = [event async for event in rest]
        assert [event.sequence_number for event in events] == [*range(1, 1 + len(events))]
        assert events[-1].type == "response.completed"


async def test_an_answer_has_the_form_that_is_asked_for(open_api: Open) -> None:
    class Sum(BaseModel):
        total: int

    async with open_api(Simulator('{"total": 42}')) as api, client(api) as ai:
        parsed = await ai.responses.parse(model="anabranch/direct", input="6 * 7 as JSON", text_format=Sum)
        assert parsed.output_parsed == Sum(total=42)
        assert parsed.text is not None
        assert parsed.text.format is not None
        shown = parsed.text.format.model_dump(by_alias=True)
        assert (shown["type"], shown["name"]) == ("json_schema", "Sum")
        assert shown["schema"]["properties"]["total"]["type"] == "integer"
        kept = await ai.responses.retrieve(parsed.id)
        assert json.loads(kept.output_text) == {"total": 42}


async def test_what_ends_early_or_fails_says_why(open_api: Open) -> None:
    async with open_api(Simulator(SAID)) as api, client(api) as ai:
        few = {"anabranch": {"options": {"n": 6, "rule": "fixed"}, "budget": {"nodes": 10}}}
        early = await ai.responses.create(model="anabranch/vote", input="x", extra_body=few)
        assert early.status == "incomplete", early
        assert early.model_dump()["incomplete_details"] == {"reason": "nodes"}
        assert early.output_text == SAID
        none = {"anabranch": {"options": {"n": 2}, "budget": {"calls": 1, "tokens": 1}}}
        failed = await ai.responses.create(model="anabranch/vote", input="x", extra_body=none)
        assert failed.status == "failed", failed
        assert failed.error is not None
        assert failed.error.model_dump()["code"] == "budget_exhausted"
        assert (await ai.responses.retrieve(failed.id)) == failed


async def test_the_engine_answers_by_its_own_name_and_nothing_is_kept(open_api: Open) -> None:
    async with open_api(Simulator(HELLO, cost=CostModel(decode_tokens_per_s=40))) as api, client(api) as ai:
        response = await ai.responses.create(model="anabranch/engine", input="Hi", temperature=0.3)
        assert (response.status, response.output_text) == ("completed", HELLO)
        assert response.temperature == 0.3
        assert response.model_dump()["store"] is False
        stream = await ai.responses.create(model="anabranch/engine", input="Hi", stream=True)
        events = [event async for event in stream]
        assert [event.sequence_number for event in events] == [*range(len(events))]
        assert sum(event.type == "response.output_text.delta" for event in events) > 1
        last: Any = events[-1]
        assert last.response.output_text == HELLO
        assert last.response.usage.output_tokens > 0
        with pytest.raises(openai.NotFoundError):
            await ai.responses.retrieve(last.response.id)
        cut = await ai.responses.create(model="anabranch/engine", input="Hi", max_output_tokens=1)
        assert cut.status == "incomplete"
        assert cut.incomplete_details is not None
        assert cut.incomplete_details.reason == "max_output_tokens"
        refusing: list[dict[str, Any]] = [
            {"store": True},
            {"background": True},
            {"previous_response_id": "resp_x"},
        ]
        for more in refusing:
            with pytest.raises(openai.BadRequestError) as refused:
                await ai.responses.create(model="anabranch/engine", input="Hi", **more)
            assert (refused.value.code, refused.value.param) == ("unsupported_parameter", next(iter(more)))
        listed = await api.get("/v1/tasks")
        assert listed.body["tasks"] == []


async def test_only_what_was_asked_for_by_this_protocol_is_a_response(api: Api) -> None:
    async with client(api) as ai:
        task = (await api.submit(wait=60)).body["id"]
        for wrong in (f"resp_{task}", task, "resp_", "resp_nothing", "nothing"):
            with pytest.raises(openai.NotFoundError) as missing:
                await ai.responses.retrieve(wrong)
            assert missing.value.code == "response_not_found"


async def test_the_same_events_are_told_whoever_asks_and_whenever(api: Api) -> None:
    """Live, and afterwards from the journal."""
    async with client(api) as ai:
        stream = await ai.responses.create(model="anabranch/vote", input="What is 6 * 7?", stream=True)
        live = [event async for event in stream]
        task = live[-1].response.id.removeprefix("resp_")  # type: ignore[union-attr]
        kept = await ai.responses.retrieve(f"resp_{task}", stream=True)
        assert [event async for event in kept] == live
        journal = [event async for event in api.service.store.read(task)]
        assert any(
            event.type is EventType.NODE_ADDED and event.data["kind"] == NodeKind.VOTE for event in journal
        )


@pytest.mark.parametrize("stream", [False, True], ids=["waiting", "streaming"])
async def test_a_call_that_began_again_is_told_once(open_api: Open, stream: bool) -> None:
    said = (
        Chunk("Be", tokens=1, reasoning="Hm."),
        Chunk("Rome" if not stream else "Bern", tokens=1, reasoning="Hm.", restarted=True),
        END,
    )
    async with open_api(Scripted(*said)) as api, client(api) as ai:
        response: Any = await ai.responses.create(model="tiny-1", input="Capital?", stream=stream)
        if stream:
            [*_, last] = [event async for event in response]
            response = last.response
    assert (response.status, response.output_text) == ("completed", "Bern" if stream else "Rome")
    if not stream:
        assert response.output[0].summary[0].text == "Hm."


async def test_who_may_not_read_goes_on_only_with_what_it_has_asked(api: Api) -> None:
    theirs = await api.key("a", id="reads")
    ours = await api.key("a", Scope.SUBMIT, id="asks")
    async with client(api, theirs) as reading, client(api, ours) as asking:
        first = await reading.responses.create(model="anabranch/direct", input="The code is 17.")
        with pytest.raises(openai.PermissionDeniedError):
            await asking.responses.create(
                model="anabranch/direct", input="What is it?", previous_response_id=first.id
            )
        own = await asking.responses.create(model="anabranch/direct", input="x")
        more = await asking.responses.create(model="anabranch/direct", input="y", previous_response_id=own.id)
    assert more.status == "completed"


async def test_nothing_begins_whose_stream_has_no_place(open_api: Open) -> None:
    async with open_api(slow(), settings=Settings(streams=1, tenant_streams=1, grace_seconds=0.2)) as api:
        held = {"model": "anabranch/direct", "input": "x", "stream": True}
        async with api.session.post("/v1/responses", json=held):
            for path, body in (
                ("/v1/responses", {"input": "x", "background": True}),
                ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
            ):
                asked = {"model": "anabranch/direct", "stream": True, **body}
                assert (await api.call("POST", path, json=asked)).error == "too_many_streams"
            assert len(await api.service.store.list(limit=10)) == 1


async def test_an_input_that_says_nothing_is_refused(api: Api) -> None:
    asked = {"model": "anabranch/engine", "input": [{"type": "reasoning"}]}
    assert (await api.call("POST", "/v1/responses", json=asked)).status == 400
