"""Chat completions that a planner answers, as OpenAI's own client asks for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from orchestrator.api.openai.models import PLANNERS
from orchestrator.planning.finding import find_planner
from orchestrator.settings import Settings
from storage.accounts import Limits
from storage.keys import account_of_key
from storage.tasks import Priority, TaskStatus
from tests.orchestrator.api.conftest import Api, Open, slow
from tests.orchestrator.api.openai.conftest import QUESTION, Asked, Connect
from workers.engines.simulator.engine import Simulator, sampled

AGREED = "Six sevens are 42.\n\\boxed{42}"


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so, of which nobody tells."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def only_task(api: Api) -> Any:
    """The one task that there is."""
    [task] = await api.service.store.list(limit=10)
    return task


async def test_a_vote_gives_its_reasoning_and_ends_with_the_answer(open_api: Open, connect: Connect) -> None:
    async with open_api(Simulator(AGREED)) as api:
        client = connect(api)
        raw = await client.chat.completions.with_raw_response.create(
            model="anabranch/vote", messages=QUESTION
        )
        said = raw.parse()
        task = await only_task(api)
        trace = await api.get(f"/v1/tasks/{task.id}/trace")
    [choice] = said.choices
    assert choice.message.content == "Six sevens are 42.\n\nAnswer: 42"
    assert (choice.message.role, choice.finish_reason, choice.index) == ("assistant", "stop", 0)
    assert (said.object, said.model, said.id) == ("chat.completion", "anabranch/vote", f"chatcmpl-{task.id}")
    assert raw.headers["X-Anabranch-Task"] == task.id
    assert raw.headers["X-Request-Id"]
    own = said.model_extra["anabranch"]  # type: ignore[index]
    assert (own["task"], own["planner"], own["answer"], own["outcome"]) == (task.id, "vote", "42", "answered")
    assert own["trust"].endswith("agree")
    assert own["confidence"] == 1.0
    assert trace.status == 200


async def test_usage_adds_up_and_has_its_details(open_api: Open, connect: Connect) -> None:
    engine = Simulator(sampled({AGREED: 3, "I guess.\n\\boxed{41}": 1}))
    async with open_api(engine) as api:
        said = await connect(api).chat.completions.create(model="anabranch/vote", messages=QUESTION, seed=3)
        task = await only_task(api)
    used = said.usage
    assert used is not None
    counted = task.solution["usage"]
    assert used.prompt_tokens == counted["prompt"] > 0
    assert used.completion_tokens == counted["completion"] > 0
    assert used.total_tokens == used.prompt_tokens + used.completion_tokens
    assert used.prompt_tokens_details is not None
    assert used.prompt_tokens_details.cached_tokens == counted["cached"] > 0
    assert used.completion_tokens_details is not None
    assert used.completion_tokens_details.model_extra == {"cancelled_tokens": counted["cancelled"]}


async def test_the_whole_conversation_counts(open_api: Open, connect: Connect) -> None:
    engine = Asked("Bern.")
    async with open_api(engine) as api:
        await connect(api).chat.completions.create(
            model="anabranch/direct",
            messages=[
                {"role": "developer", "content": "Speak like a pirate."},
                {"role": "user", "content": "I am in Switzerland."},
                {"role": "assistant", "content": "Arr, so ye be."},
                {"role": "user", "content": [{"type": "text", "text": "What is the capital?"}]},
            ],
        )
        task = await only_task(api)
    assert task.question["query"] == "What is the capital?"
    assert [turn["role"] for turn in task.question["history"]] == ["system", "user", "assistant"]
    told = "".join(segment.text for segment in engine.calls[0].prompt.segments)
    for said in ("like a pirate", "in Switzerland", "Arr, so ye be", "What is the capital?"):
        assert said in told


async def test_parameters_reach_the_task_and_its_calls(open_api: Open, connect: Connect) -> None:
    engine = Asked(AGREED)
    async with open_api(engine) as api:
        await connect(api).chat.completions.create(
            model="anabranch/vote",
            messages=QUESTION,
            temperature=1.1,
            top_p=0.9,
            max_completion_tokens=77,
            seed=5,
            reasoning_effort="low",
            service_tier="flex",
            metadata={"run": "7"},
            user="somebody",
            extra_body={"anabranch": {"budget": {"tokens": 9000}, "options": {"rule": "fixed"}}},
        )
        task = await only_task(api)
    assert task.seed == 5
    assert task.priority is Priority.BATCH
    assert task.options["options"] == {"n": 4, "rule": "fixed", "temperature": 1.1, "max_tokens": 77}
    assert task.options["metadata"] == {"run": "7"}
    assert task.options["budget"]["tokens"] == 9000
    assert len(engine.calls) == 4
    for call in engine.calls:
        sampling = call.sampling
        assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (1.1, 0.9, 77)


async def test_equal_branches_are_never_compared(open_api: Open, connect: Connect) -> None:
    for model, temperature in (("vote", 0.7), ("direct", 0.0)):
        engine = Asked(AGREED)
        async with open_api(engine) as api:
            await connect(api).chat.completions.create(
                model=f"anabranch/{model}", messages=QUESTION, temperature=0
            )
        assert {call.sampling.temperature for call in engine.calls} == {temperature}


@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh"])
@pytest.mark.parametrize("model", PLANNERS)
def test_every_effort_of_every_model_is_one_that_its_planner_takes(model: str, effort: Any) -> None:
    planner, options = PLANNERS[model].at(effort)
    assert find_planner(planner).validate(options) == options


async def test_asking_again_is_answered_anew(open_api: Open, connect: Connect) -> None:
    engine = Asked("Hello.")
    async with open_api(engine) as api:
        client = connect(api)
        for _ in range(2):
            await client.chat.completions.create(model="anabranch/direct", messages=QUESTION)
        for _ in range(2):
            await client.chat.completions.create(model="anabranch/direct", messages=QUESTION, seed=1)
    seeds = [call.sampling.seed for call in engine.calls]
    assert seeds[0] != seeds[1]
    assert seeds[2] == seeds[3]


async def test_a_second_request_with_its_key_gets_the_first_answer(open_api: Open, connect: Connect) -> None:
    engine = Asked(sampled({f"It is {n}.": 1 for n in range(100)}))
    async with open_api(engine) as api:
        client = connect(api)
        options: dict[str, Any] = {
            "model": "anabranch/direct",
            "messages": QUESTION,
            "temperature": 1,
            "extra_headers": {"Idempotency-Key": "one"},
        }
        first = await client.chat.completions.create(**options)
        second = await client.chat.completions.create(**options)
    assert first.choices == second.choices
    assert first.id == second.id
    assert len(engine.calls) == 1


async def test_structured_output_is_parsed(open_api: Open, connect: Connect) -> None:
    async with open_api(Simulator('{"name": "Bern", "people": 134}')) as api:
        said = await connect(api).chat.completions.create(
            model="anabranch/direct",
            messages=QUESTION,
            response_format={
                "type": "json_schema",
                "json_schema": {
                    "name": "city",
                    "schema": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
                        "required": ["name", "people"],
                        "additionalProperties": False,
                    },
                },
            },
        )
        task = await only_task(api)
    assert task.options["format"]["type"] == "json_schema"
    assert said.choices[0].message.content == '{"name": "Bern", "people": 134}'


async def test_the_short_answer_alone_by_option(open_api: Open, connect: Connect) -> None:
    async with open_api(Simulator(AGREED)) as api:
        said = await connect(api).chat.completions.create(
            model="anabranch/vote", messages=QUESTION, extra_body={"anabranch": {"content": "answer"}}
        )
    assert said.choices[0].message.content == "42"


async def test_an_answer_stops_where_it_is_told_to(open_api: Open, connect: Connect) -> None:
    async with open_api(Simulator("One. Two. Three.")) as api:
        said = await connect(api).chat.completions.create(
            model="anabranch/direct", messages=QUESTION, stop=["Three", "Two"]
        )
    assert said.choices[0].message.content == "One."


async def test_an_answer_that_was_cut_off_says_so(open_api: Open, connect: Connect) -> None:
    async with open_api(Simulator("one two three four five six seven eight nine ten")) as api:
        said = await connect(api).chat.completions.create(
            model="anabranch/direct", messages=QUESTION, max_tokens=3
        )
    assert said.choices[0].finish_reason == "length"


async def test_a_client_that_leaves_frees_the_engine_at_once(open_api: Open, connect: Connect) -> None:
    engine = slow()
    async with open_api(engine) as api:
        for stream in (False, True):
            asking = asyncio.create_task(
                connect(api).chat.completions.create(model="anabranch/vote", messages=QUESTION, stream=stream)
            )
            await until(lambda: engine.counters().in_flight >= 2)
            if stream:
                begun = await asking
                left = time.monotonic()
                await begun.close()  # type: ignore[union-attr]
            else:
                left = time.monotonic()
                asking.cancel()
            await until(lambda: not engine.counters().in_flight)
            assert time.monotonic() - left < 5, "a loaded machine is slow, but the call would take a minute"
        async with asyncio.timeout(60):
            for task in await api.service.store.list(limit=10):
                async for _ in api.service.events(task.id):
                    pass
        ended = {task.status for task in await api.service.store.list(limit=10)}
    assert ended == {TaskStatus.CANCELLED}


async def test_a_client_with_a_key_may_come_back_for_its_answer(open_api: Open, connect: Connect) -> None:
    engine = slow("Done. " * 5)
    async with open_api(engine) as api:
        client = connect(api)
        options: dict[str, Any] = {
            "model": "anabranch/direct",
            "messages": QUESTION,
            "extra_headers": {"Idempotency-Key": "one"},
        }
        asking = asyncio.create_task(client.chat.completions.create(**options))
        await until(lambda: engine.counters().in_flight > 0)
        asking.cancel()
        said = await client.chat.completions.create(**options)
    assert said.choices[0].message.content == "Done. Done. Done. Done. Done."
    assert engine.counters().started == 1


async def test_what_a_model_refuses_is_a_refusal(open_api: Open, connect: Connect) -> None:
    class Refusing(Simulator):
        async def generate(self, call: Any) -> Any:
            from workers.calls import Chunk, Usage

            yield Chunk("I cannot.", tokens=2, finish_reason="refused", usage=Usage(5, 0, 2))

    async with open_api(Refusing()) as api:
        said = await connect(api).chat.completions.create(model="anabranch/direct", messages=QUESTION)
    [choice] = said.choices
    assert choice.finish_reason == "content_filter"
    assert choice.message.content is None
    assert "I cannot" in (choice.message.refusal or "")
    assert said.usage is not None
    assert said.usage.total_tokens == 7


async def test_a_call_that_the_engine_rejects_is_the_requests_fault(open_api: Open, connect: Connect) -> None:
    async with open_api(Simulator(max_model_len=20)) as api:
        with pytest.raises(openai.BadRequestError) as raised:
            await connect(api).chat.completions.create(model="anabranch/direct", messages=QUESTION)
    assert raised.value.code == "call_rejected"


async def test_a_client_tries_again_what_may_succeed_later(open_api: Open, connect: Connect) -> None:
    async with open_api(Simulator(AGREED)) as api:
        key = await api.key("a", id="one")
        await api.service.store.access.set_limits(account_of_key("one"), Limits(rate=5, burst=1))
        api.service.access.forget()
        client = connect(api, key, max_retries=5)
        said = await asyncio.gather(
            *(client.chat.completions.create(model="anabranch/direct", messages=QUESTION) for _ in range(2))
        )
        hasty = connect(api, key)
        asking = [
            hasty.chat.completions.create(model="anabranch/direct", messages=QUESTION) for _ in range(5)
        ]
        replies = await asyncio.gather(*asking, return_exceptions=True)
    assert all(each.choices[0].message.content for each in said)
    refused = next(each for each in replies if isinstance(each, openai.RateLimitError))
    headers = refused.response.headers
    assert headers["x-should-retry"] == "true"
    assert 0 < int(headers["retry-after-ms"]) <= 1000
    assert headers["retry-after"] == "1"
    assert refused.type == "rate_limit_error"


@pytest.mark.parametrize(
    ("prompt", "goes_to_engine"),
    [
        ("### Task:\nGenerate a concise, 3-5 word title for <chat_history>…</chat_history>", True),
        ("Provide a concise, 5-word-or-less title for the conversation", True),
        ("What is my task?", False),
    ],
    ids=["Open WebUI", "LibreChat", "a question"],
)
async def test_what_chat_programs_ask_for_themselves_is_cheap(
    open_api: Open, connect: Connect, prompt: str, goes_to_engine: bool
) -> None:
    engine = Asked(AGREED)
    messages: Any = [{"role": "user", "content": prompt}]
    async with open_api(engine) as api:
        said = await connect(api).chat.completions.create(model="anabranch/vote", messages=messages)
        tasks = await api.service.store.list(limit=10)
    assert said.model == "anabranch/vote"
    assert (tasks == ()) == (len(engine.calls) == 1) == goes_to_engine


async def test_helpers_may_be_answered_like_all_else(open_api: Open, connect: Connect) -> None:
    engine = Asked(AGREED)
    async with open_api(engine, settings=Settings(chat_helpers="")) as api:
        await connect(api).chat.completions.create(
            model="anabranch/vote", messages=[{"role": "user", "content": "### Task:\nA title"}]
        )
    assert len(engine.calls) > 1


async def test_helpers_may_be_answered_by_another_planner(open_api: Open, connect: Connect) -> None:
    engine = Asked(AGREED)
    async with open_api(engine, settings=Settings(chat_helpers="anabranch/direct")) as api:
        said = await connect(api).chat.completions.create(
            model="anabranch/vote", messages=[{"role": "user", "content": "### Task:\nA title"}]
        )
        [task] = await api.service.store.list(limit=10)
    assert (said.model, task.planner, len(engine.calls)) == ("anabranch/vote", "direct", 1)


async def test_a_foreign_tenants_task_is_not_found(open_api: Open, connect: Connect) -> None:
    async with open_api(Simulator(AGREED)) as api:
        ours, theirs = await api.key("a"), await api.key("b")
        said = await connect(api, ours).chat.completions.create(model="anabranch/direct", messages=QUESTION)
        task = said.model_extra["anabranch"]["task"]  # type: ignore[index]
        assert (
            await api.get(f"/v1/tasks/{task}", headers={"Authorization": f"Bearer {theirs}"})
        ).status == 404
        assert (await api.get(f"/v1/tasks/{task}", headers={"Authorization": f"Bearer {ours}"})).status == 200
