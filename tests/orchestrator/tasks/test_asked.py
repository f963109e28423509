"""What is asked for besides a question is kept with its task, and in its trace where it decides anything."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from orchestrator.bodies import task_body
from orchestrator.errors import InvalidRequest, Unavailable
from orchestrator.runtime.change import Change
from orchestrator.settings import Settings
from orchestrator.tasks.requests import parse, request_of
from orchestrator.tasks.service import Service
from storage.archive import export, restore
from storage.opening import open_store
from storage.store import Store
from workers.calls import Call
from workers.engines.simulator.engine import Simulator

HISTORY = [
    {"role": "system", "content": "Be kind to ann@example.org."},
    {"role": "user", "content": "Which gauges are there? Write to bob@example.org. \0 🧭"},
    {"role": "assistant", "content": "A red one and a blue one."},
]
SCHEMA = {"type": "object", "properties": {"weight": {"type": "integer"}}, "required": ["weight"]}
FORM = {"type": "json_schema", "schema": SCHEMA}
ASKED: dict[str, Any] = {
    "query": "And the second one?",
    "planner": "vote",
    "options": {"n": 3, "rule": "fixed"},
    "history": HISTORY,
    "format": FORM,
    "metadata": {"ticket": "17"},
    "asked_by": {"protocol": "some", "said": {"id": "ann@example.org"}},
    "idempotency_key": "one",
}


def says(call: Call, rng: Random) -> str:
    told = call.prompt.segments[-1].text
    heard = any("red one" in segment.text for segment in call.prompt.segments)
    return '{"weight": 7}' if "Reply with JSON" in told else f"\\boxed{{{7 if heard else 9}}}"


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = "memory" if request.param == "memory" else f"sqlite:///{tmp_path / 'asked.db'}"
    async with await open_store(url) as opened:
        yield opened


async def header_of(store: Store, task_id: str) -> dict[str, Any]:
    return dict((await anext(aiter(store.read(task_id)))).data)


async def test_a_task_is_run_from_what_is_stored_of_its_request(store: Store) -> None:
    service = Service(store, Simulator(says))
    asked = parse(ASKED)
    solution = await service.solve(asked)
    assert (solution.answer, solution.text) == ("7", '{"weight": 7}')
    again = request_of(await service.task(solution.trace_id))
    for name in ("history", "format", "stop", "metadata", "asked_by"):
        assert getattr(again, name) == getattr(asked, name)


async def test_a_question_without_them_is_stored_as_before_there_were_any(store: Store) -> None:
    service = Service(store, Simulator("so \\boxed{7}"))
    plain = {"query": "How heavy?", "planner": "vote", "options": {"n": 2}}
    solution = await service.solve(parse({**plain, "format": {"type": "text"}, "stop": [], "metadata": {}}))
    task = await service.task(solution.trace_id)
    assert task.question == {"query": "How heavy?", "context": "", "choices": []}
    assert task.options.keys() == {"options", "sampling", "budget", "idempotency_key"}
    header = await header_of(store, solution.trace_id)
    assert header["question"] == {"text": "How heavy?", "context": "", "choices": []}
    assert "stop" not in header


async def test_what_looks_like_a_default_is_kept_where_it_is_none(store: Store) -> None:
    service = Service(store, Simulator("ok"))
    texts = {"type": "text"}
    task = await service.submit(parse({"query": "?", "metadata": texts, "asked_by": texts, "format": texts}))
    assert (task.options["metadata"], task.options["asked_by"]) == (texts, texts)
    assert "format" not in task.options


async def test_what_a_protocol_keeps_is_not_shown_and_metadata_is(store: Store) -> None:
    service = Service(store, Simulator(says))
    body = task_body(await service.submit(parse(ASKED)))
    assert body.metadata == {"ticket": "17"}
    assert body.question["history"] == HISTORY
    assert body.options["format"] == FORM
    assert not {"metadata", "asked_by"} & body.options.keys()
    assert "protocol" not in body.model_dump_json()


async def test_another_conversation_is_another_question_for_an_idempotency_key(store: Store) -> None:
    service = Service(store, Simulator(says))
    first = await service.submit(parse(ASKED))
    assert (await service.submit(parse(ASKED))).id == first.id
    others: list[dict[str, Any]] = [{"history": HISTORY[1:]}, {"metadata": {}}, {"format": None}]
    for other in others:
        with pytest.raises(Unavailable, match="asked for something else"):
            await service.submit(parse({**ASKED, **other}))


async def test_replays_forks_what_ifs_and_imports_have_the_conversation_and_the_form(store: Store) -> None:
    prompts: list[str] = []

    def heard(call: Call, rng: Random) -> str:
        prompts.append("".join(segment.text for segment in call.prompt.segments))
        return says(call, rng)

    service = Service(store, Simulator(heard))
    first = await service.solve(parse(ASKED))
    replayed = await service.replay(first.trace_id)
    assert replayed.result.answer is not None
    assert replayed.result.answer.text == '{"weight": 7}'
    told = await service.counterfactual(first.trace_id, at="0", change=Change(rule="fixed:2"))
    assert told.result.answer is not None
    assert told.result.answer.text == '{"weight": 7}'
    before = len(prompts)
    fork = await service.fork(first.trace_id, at="0.1", change=Change(temperature=1.5))
    assert fork.text == '{"weight": 7}'
    assert prompts[before:]
    assert all("A red one and a blue one." in each for each in prompts)
    async with await open_store("memory") as other:
        await restore(other, [line async for line in export(store, first.trace_id)])
        there = Service(other, Simulator(heard))
        assert (await there.replay(first.trace_id)).result.answer == replayed.result.answer
        assert request_of(await there.task(first.trace_id)).asked_by == ASKED["asked_by"]


async def test_a_redacted_conversation_replays(tmp_path: Path) -> None:
    secret = r"\w+@\S+"
    for url in ("memory", f"sqlite:///{tmp_path / 'redacted.db'}"):
        async with await open_store(url, redact=lambda text: re.sub(secret, "*", text)) as store:
            service = Service(store, Simulator(says))
            solution = await service.solve(parse(ASKED))
            assert solution.text == '{"weight": 7}'
            await service.replay(solution.trace_id)
            fork = await service.fork(solution.trace_id, at="0.1", change=Change(temperature=1.5))
            assert fork.text == solution.text
            task = await service.task(solution.trace_id)
            asked = request_of(task)
            assert [each.role for each in asked.history] == ["system", "user", "assistant"]
            said = json.dumps([each.content for each in asked.history] + [dict(asked.asked_by)])
            assert not re.search(secret, said)


@pytest.mark.parametrize("most", [30, 31])
async def test_the_characters_of_a_conversation_count(store: Store, most: int) -> None:
    service = Service(store, Simulator("ok"), settings=Settings(max_query_chars=most))
    request = parse({"query": "?", "planner": "direct", "history": [{"role": "user", "content": "a" * 30}]})
    if most == 31:
        assert (await service.solve(request)).text == "ok"
    else:
        with pytest.raises(InvalidRequest, match="query, context and history have 31 characters"):
            await service.solve(request)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"history": [{"role": "tool", "content": "?"}]}, "history.0.role: Input should be 'system', 'user'"),
        ({"history": [{"role": "user"}]}, "history.0.content: Field required"),
        ({"history": [{"role": "user", "content": "?", "name": "x"}]}, "history.0.name: Extra inputs"),
        ({"history": [{"role": "user", "content": "?"}] * 4_097}, "at most 4096 items"),
        ({"format": {"type": "xml"}}, "'text', 'json_object', 'json_schema'"),
        ({"format": {"type": "json_schema"}}, "schema: Field required"),
        ({"format": {"type": "json_object", "schema": {}}}, "Extra inputs are not permitted"),
        ({"format": {"type": "json_object"}, "stop": ["x"]}, "cannot be cut at a text"),
        ({"stop": [""]}, "at least 1 character"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "at most 4 items"),
        ({"metadata": {str(each): "" for each in range(17)}}, "at most 16 items"),
        ({"metadata": {"x" * 65: ""}}, "at most 64 characters"),
        ({"metadata": {"x": "y" * 513}}, "at most 512 characters"),
        ({"metadata": {"x": 1}}, "should be a valid string"),
        ({"asked_by": {"x": "y" * 65_536}}, "at most 65536 are kept"),
        ({"asked_by": {"x": float("nan")}}, "must be JSON"),
        ({"asked_by": json.loads('{"a":' * 70 + "1" + "}" * 70)}, "nested more than 48 deep"),
        ({"asked_by": {"x": {1, 2}}}, "must be JSON"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(why)):
        parse({"query": "?", **wrong})
